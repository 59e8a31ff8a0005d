//! The pool on real dma-bufs, and what remains when things fail: run in the lab, as root, with `--ignored`.
//!
//! A test here fails where its device is missing; it never skips.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drm::control::Device as _;
use heapwright_alloc::buffers::{
    Allocator, AllocatorError, Amount, Buffer, BufferPool, IdleLimits, Layout, Limit, Mapping, Owner,
    PoolError, PoolLimits, PooledBuffer, Want, Wipe, dma_buf,
};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::{self, KmsDevice, cpu_participant};
use heapwright_alloc::heaps::{self, DumbHeap, Heap, HeapId, Root};
use heapwright_alloc::solver::PlaneLayout;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// These tests count what the whole machine holds, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn vkms() -> Arc<KmsDevice> {
    let found = devices::list(&Root::default());
    Arc::new(found.devices.into_iter().find(|device| device.driver() == "vkms").expect("a vkms device"))
}

/// The heaps whose buffers can only be reached through their dma-bufs: the system heap and udmabuf.
fn counted_heaps() -> Vec<Arc<dyn Heap>> {
    let found = heaps::list(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let heaps: Vec<_> = found.heaps.into_iter().filter(|heap| heap.only_as_dma_buf()).collect();
    assert!(heaps.len() >= 2, "{heaps:?}");
    heaps
}

fn layout(width: u32, height: u32) -> Layout {
    let pitch = u64::from(width) * 4;
    let size = pitch * u64::from(height);
    let planes = vec![PlaneLayout { offset: 0, pitch, size }];
    let bytes = size.next_multiple_of(4096);
    Layout::new(Size::new(width, height), Fourcc::XRGB8888, Modifier::LINEAR, planes, bytes).unwrap()
}

const WIPING: PoolLimits = PoolLimits {
    idle: IdleLimits { count: 32, bytes: 128 << 20, age: Duration::from_secs(10) },
    owner: Limit::of(256, 1 << 30),
    memory: Limit::NONE,
    wipe: Wipe::Everywhere,
};

const ALICE: Owner = Owner::new(1);
const BOB: Owner = Owner::new(2);

fn paint(buffer: &PooledBuffer) {
    buffer.map().unwrap().write().unwrap().fill(0xa5);
}

fn first_byte(buffer: &PooledBuffer) -> u8 {
    let mapping = buffer.map().unwrap();
    let bytes = mapping.read().unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    bytes[0]
}

/// One way in which somebody goes on holding a buffer.
type Hold = fn(&PooledBuffer) -> Box<dyn std::any::Any>;

fn descriptor(buffer: &PooledBuffer) -> Box<dyn std::any::Any> {
    Box::new(buffer.export().unwrap())
}

fn mapping(buffer: &PooledBuffer) -> Box<dyn std::any::Any> {
    let fd = buffer.export().unwrap();
    Box::new(Mapping::new(fd.as_fd(), buffer.buffer().bytes(), true).unwrap())
}

/// Closed by the sender, not yet received.
fn on_its_way(buffer: &PooledBuffer) -> Box<dyn std::any::Any> {
    let fd = buffer.export().unwrap();
    let (from, to) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let text = [std::io::IoSlice::new(b"x")];
    rustix::net::sendmsg(&from, &text, &mut control, SendFlags::empty()).unwrap();
    Box::new(to)
}

/// Held by a device: a GEM handle, without any descriptor.
fn import(buffer: &PooledBuffer) -> Box<dyn std::any::Any> {
    struct Imported(Arc<KmsDevice>, drm::buffer::Handle);
    impl Drop for Imported {
        fn drop(&mut self) {
            self.0.close_buffer(self.1).unwrap();
        }
    }
    let device = vkms();
    let fd = buffer.export().unwrap();
    let handle = device.prime_fd_to_buffer(fd.as_fd()).unwrap();
    Box::new(Imported(device, handle))
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_buffer_goes_to_another_owner_only_when_nobody_holds_it_in_any_way() {
    let _turn = turn();
    let ways: [(&str, Hold); 4] =
        [("descriptor", descriptor), ("mapping", mapping), ("in a socket", on_its_way), ("import", import)];
    for heap in counted_heaps() {
        for (way, hold) in ways {
            let what = format!("{} {way}", heap.id());
            let pool = BufferPool::new(WIPING);
            let buffer = pool.take(&*heap, &layout(64, 64), ALICE, "a").unwrap();
            paint(&buffer);
            let held = hold(&buffer);
            drop(buffer);
            let other = pool.take(&*heap, &layout(64, 64), BOB, "b").unwrap();
            assert_eq!((first_byte(&other), pool.metrics().allocations), (0, 2), "{what}");
            // Its owner does not get it either, and has it on its account.
            drop(pool.take(&*heap, &layout(64, 64), ALICE, "a").unwrap());
            assert_eq!(pool.metrics().allocations, 3, "{what}");
            pool.trim(Duration::from_secs(1));
            assert_eq!(pool.used_by(ALICE), Amount::one(16384), "{what}");
            // What it holds is not the pool's to free.
            pool.clear();
            assert_eq!(pool.idle(), Amount::one(16384), "{what}");
            drop(held);
            pool.trim(Duration::from_secs(2));
            assert_eq!(pool.used_by(ALICE), Amount::default(), "{what}");
            drop(other);
            let (one, two) = (
                pool.take(&*heap, &layout(64, 64), BOB, "b").unwrap(),
                pool.take(&*heap, &layout(64, 64), BOB, "b").unwrap(),
            );
            assert_eq!((first_byte(&one), first_byte(&two)), (0, 0), "{what}");
            assert_eq!((pool.metrics().allocations, pool.metrics().scrubbed), (3, 1), "{what}");
        }
    }
}

#[test]
#[ignore = "needs the lab: dma-heap and udmabuf"]
fn an_owner_gets_back_what_left_the_process_and_was_let_go() {
    let _turn = turn();
    for heap in counted_heaps() {
        for size in [layout(64, 64), layout(1920, 1080)] {
            let pool = BufferPool::new(WIPING);
            for _ in 0..10 {
                let buffer = pool.take(&*heap, &size, ALICE, "a").unwrap();
                buffer.export().unwrap();
            }
            assert_eq!((pool.metrics().allocations, pool.metrics().recycled), (1, 9), "{}", heap.id());
            assert_eq!(pool.used_by(ALICE).count, 1, "until somebody asks");
            pool.trim(Duration::ZERO);
            assert_eq!(pool.used_by(ALICE), Amount::default());
        }
    }
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_client_that_keeps_descriptors_runs_into_its_own_quota() {
    let _turn = turn();
    for heap in counted_heaps() {
        let pool = BufferPool::new(PoolLimits { owner: Limit::of_count(8), ..WIPING });
        // A buffer of another size each time, so that none is recycled.
        let hoard = |from: u32| -> (Vec<OwnedFd>, PoolError) {
            let mut kept = Vec::new();
            for width in from.. {
                match pool.take(&*heap, &layout(width, 64), ALICE, "hoard") {
                    Ok(buffer) => kept.push(buffer.export().unwrap()),
                    Err(error) => return (kept, error),
                }
            }
            unreachable!("no limit")
        };
        let (kept, error) = hoard(64);
        assert_eq!(kept.len(), 8, "{error}");
        assert!(error.to_string().contains("quota of owner 1: 8 of 8 buffers used"), "{error}");
        drop(kept);
        // It let go: that is seen when it next asks, without a trim.
        assert_eq!(hoard(164).0.len(), 8);
    }
}

#[test]
#[ignore = "needs the lab: vkms"]
fn dumb_buffers_that_left_never_change_owners() {
    let _turn = turn();
    let heap = DumbHeap::new(vkms()).expect("dumb buffers");
    let pool = BufferPool::new(WIPING);
    let buffer = pool.take(&heap, &layout(64, 64), ALICE, "a").unwrap();
    paint(&buffer);
    drop(buffer.export().unwrap());
    drop(buffer);
    drop(pool.take(&heap, &layout(64, 64), BOB, "b").unwrap());
    assert_eq!((pool.metrics().allocations, pool.metrics().scrubbed), (2, 0));
    // The same without leaving.
    drop(pool.take(&heap, &layout(64, 64), Owner::new(3), "c").unwrap());
    assert_eq!((pool.metrics().allocations, pool.metrics().scrubbed), (2, 1));
    pool.forget(ALICE);
    assert_eq!(pool.idle().count, 1);
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and debugfs"]
fn a_recycled_buffer_carries_its_new_name() {
    let _turn = turn();
    let pool = BufferPool::new(WIPING);
    for heap in counted_heaps() {
        drop(pool.take(&*heap, &layout(64, 64), ALICE, "hw-first-name").unwrap());
        let again = pool.take(&*heap, &layout(64, 64), BOB, "hw-second-name").unwrap();
        let info = bufinfo();
        assert!(info.contains("hw-second-name") && !info.contains("hw-first-name"), "{}", heap.id());
        drop(again);
        pool.clear();
        assert!(!bufinfo().contains("hw-second-name"));
    }
}

#[test]
#[ignore = "needs the lab: udmabuf"]
fn no_buffer_of_any_heap_can_shrink() {
    let _turn = turn();
    let mut heaps = counted_heaps();
    heaps.push(Arc::new(DumbHeap::new(vkms()).expect("dumb buffers")));
    for heap in heaps {
        let buffer = Buffer::allocate(&*heap, &layout(64, 64), "shrink").unwrap();
        assert!(rustix::fs::ftruncate(buffer.fd(), 0).is_err(), "{}", heap.id());
        assert!(rustix::fs::ftruncate(buffer.fd(), 1 << 20).is_err(), "{}", heap.id());
        let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        assert!(rustix::fs::fallocate(buffer.fd(), hole, 0, 4096).is_err(), "{}", heap.id());
        assert_eq!(dma_buf::byte_size(buffer.fd()).unwrap(), buffer.bytes());
    }
}

fn bufinfo() -> String {
    fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo").expect("debugfs with dma_buf/bufinfo")
}

/// What this process and the machine hold: descriptors, dma-bufs.
fn held() -> (usize, usize) {
    (fs::read_dir("/proc/self/fd").unwrap().count(), bufinfo().lines().count())
}

fn allocator() -> Allocator {
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(vkms());
    allocator
}

/// Painted by the CPU, shown by vkms.
fn want(allocator: &Allocator, count: u32) -> Want<'static> {
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    let painter = cpu_participant("painter", &[Fourcc::XRGB8888], often);
    let device = &allocator.devices()[0];
    let screen = device.participant(device.crtcs()[0].id, "screen");
    let participants = vec![painter, screen];
    Want {
        size: Size::new(320, 240),
        participants,
        count,
        name: "failing",
        dma_buf_only: true,
        ..Want::default()
    }
}

/// The kernel's fault injection, ended on drop. Only tasks that ask for it are hit.
struct Faults(&'static str);

impl Faults {
    fn start(which: &'static str, settings: &[(&str, &str)]) -> Self {
        let faults = Faults(which);
        let directory = format!("/sys/kernel/debug/{which}");
        let usual =
            [("task-filter", "Y"), ("times", "-1"), ("verbose", "0"), ("interval", "1"), ("space", "0")];
        for (name, value) in usual.iter().chain(settings) {
            fs::write(format!("{directory}/{name}"), value).expect("fault injection in debugfs");
        }
        faults
    }

    /// Runs something in this thread with faults on.
    fn hit<T>(&self, run: impl FnOnce() -> T) -> T {
        let file = "/proc/thread-self/make-it-fail";
        fs::write(file, "1").expect("make-it-fail");
        let result = run();
        // Switching it off can be hit as well.
        while fs::write(file, "0").is_err() {}
        result
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = fs::write(format!("/sys/kernel/debug/{}/probability", self.0), "0");
    }
}

#[test]
#[ignore = "needs the lab: fault injection"]
fn a_kernel_that_fails_at_random_leaks_nothing_and_every_error_is_typed() {
    let _turn = turn();
    let allocator = allocator();
    let want = want(&allocator, 2);
    let pool = allocator.pool(WIPING);
    let mut owner = 0;
    let mut round = || {
        owner += 1;
        let bare = allocator.allocate(&want).map(|_| ());
        let pooled = allocator.allocate_pooled(&want, &pool, Owner::new(owner)).map(|_| ());
        pool.clear();
        [bare, pooled]
    };
    assert!(round().iter().all(Result::is_ok));
    let before = held();
    for (which, settings) in [
        ("failslab", &[("probability", "5"), ("ignore-gfp-wait", "N")][..]),
        // The heaps ask for memory anywhere, and would be spared otherwise.
        (
            "fail_page_alloc",
            &[
                ("probability", "40"),
                ("ignore-gfp-wait", "N"),
                ("ignore-gfp-highmem", "N"),
                ("min-order", "0"),
            ],
        ),
    ] {
        let faults = Faults::start(which, settings);
        let results: Vec<_> = (0..300).flat_map(|_| faults.hit(&mut round)).collect();
        drop(faults);
        let failed: Vec<&AllocatorError> =
            results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert!(!failed.is_empty(), "{which} hit nothing");
        for error in failed {
            let typed = matches!(error, AllocatorError::Unsolved { .. } | AllocatorError::NoDescriptors(_));
            assert!(typed, "{error}");
        }
        assert_eq!(held(), before, "after {which}");
        assert!(round().iter().all(Result::is_ok), "after {which}");
    }
    let metrics = allocator.metrics();
    assert_eq!(metrics.allocations, metrics.frees);
    assert!(metrics.failures > 0 && metrics.pools.values().all(|pool| pool.live.is_none()), "{metrics:?}");
}

/// Runs one test of this program in a process of its own, with a variable that says so.
fn in_a_child(test: &str) -> bool {
    if std::env::var_os("HEAPWRIGHT_CHILD").is_some() {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("HEAPWRIGHT_CHILD", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    false
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_process_without_descriptors_gets_typed_errors_and_goes_on_when_it_has_some() {
    let _turn = turn();
    if !in_a_child("a_process_without_descriptors_gets_typed_errors_and_goes_on_when_it_has_some") {
        return;
    }
    let allocator = allocator();
    let want = want(&allocator, 1);
    let pool = allocator.pool(WIPING);
    assert!(allocator.allocate(&want).is_ok());
    drop(allocator.allocate_pooled(&want, &pool, ALICE).unwrap());
    let before = held();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    for spare in 0..6_u64 {
        let mut plugs: Vec<OwnedFd> = Vec::new();
        let null = fs::File::open("/dev/null").unwrap();
        let used = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let tight = rustix::process::Rlimit { current: Some(used + 64), ..limit };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, tight).unwrap();
        while let Ok(plug) = rustix::io::fcntl_dupfd_cloexec(&null, 0) {
            plugs.push(plug);
        }
        plugs.truncate(plugs.len() - spare as usize);
        let bare = allocator.allocate(&Want { size: Size::new(640, 480), ..want.clone() });
        let fresh = pool.take(&**allocator.heaps().heaps.first().unwrap(), &layout(33, 33), BOB, "b");
        let recycled = allocator.allocate_pooled(&want, &pool, ALICE);
        if spare == 0 {
            assert!(matches!(&bare, Err(AllocatorError::NoDescriptors(_))), "{bare:?}");
            assert!(matches!(&fresh, Err(PoolError::Buffer(_))), "{fresh:?}");
            assert!(recycled.is_ok(), "what lies idle needs no descriptor");
        }
        for error in [bare.err().map(|error| error.to_string()), fresh.err().map(|error| error.to_string())] {
            assert!(error.as_ref().is_none_or(|error| error.contains("RLIMIT_NOFILE")), "{error:?}");
        }
        drop((plugs, null, recycled));
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        // Buffers idle in the pool are its own; nothing else remains.
        pool.clear();
        drop(allocator.allocate_pooled(&want, &pool, ALICE).unwrap());
        assert_eq!(held(), before, "with {spare} to spare");
    }
}

#[test]
#[ignore = "needs the lab: dma-heap"]
fn a_machine_that_runs_out_of_memory_degrades_and_recovers() {
    let _turn = turn();
    // A real heap with little left, one buffer to be tried on the display and three to keep: then it fails as the
    // kernel's would.
    #[derive(Debug)]
    struct Scarce(Arc<dyn Heap>, HeapId, Mutex<u64>);
    impl Heap for Scarce {
        fn id(&self) -> &HeapId {
            &self.1
        }
        fn facts(&self) -> heapwright_alloc::solver::problem::HeapFacts {
            let mut facts = self.0.facts();
            facts.id = self.1.to_string();
            facts.pool = Some("scarce".into());
            facts.contiguous = true;
            facts
        }
        fn allocate(&self, request: &heaps::Request<'_>) -> Result<heaps::Allocation, heaps::AllocError> {
            let mut left = self.2.lock().unwrap();
            match left.checked_sub(request.bytes) {
                Some(rest) => *left = rest,
                None => {
                    return Err(heaps::AllocError::OutOfMemory {
                        heap: self.1.clone(),
                        bytes: request.bytes,
                    });
                }
            }
            self.0.allocate(request)
        }
    }
    let mut list = heaps::list(&Root::default());
    let real = list.heaps.iter().find(|heap| heap.only_as_dma_buf()).unwrap();
    let scarce = Arc::new(Scarce(Arc::clone(real), HeapId::new("scarce"), Mutex::new(4 * 320 * 240 * 4)));
    list.heaps.push(Arc::clone(&scarce) as Arc<dyn Heap>);
    let mut allocator = Allocator::new(list);
    allocator.with_device(vkms());
    allocator.tick(Duration::from_secs(1));
    let mut want = want(&allocator, 3);
    want.participants[1].memory.contiguous = true;
    let before = held();
    let whole = allocator.allocate(&want).unwrap();
    assert_eq!(whole.resolution.satisfied, ["painter", "screen"]);
    let degraded = allocator.allocate(&want).unwrap();
    assert_eq!(degraded.resolution.satisfied, ["painter"]);
    assert_eq!(degraded.degraded.as_ref().unwrap().dropped, ["screen"]);
    drop(whole);
    *scarce.2.lock().unwrap() = 3 * 320 * 240 * 4;
    assert!(allocator.has_recovered(&want, degraded.degraded.as_ref().unwrap()));
    assert_eq!(allocator.allocate(&want).unwrap().resolution.satisfied, ["painter", "screen"]);
    drop(degraded);
    assert_eq!(held(), before);
}

/// The long run, a quarter of an hour: build with `cargo test -p heapwright-alloc --test kernel_pool --no-run`, then run the
/// program that cargo names with `lab uml --timeout 2700 --mount ITS_DIRECTORY:/run/tests --env HEAPWRIGHT_CYCLES=1000000
/// '/run/tests/PROGRAM --ignored --nocapture many_cycles'`.
#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn many_cycles_leave_memory_descriptors_and_dma_bufs_as_they_were() {
    let _turn = turn();
    let cycles: u64 =
        std::env::var("HEAPWRIGHT_CYCLES").map_or(20_000, |text| text.parse().expect("a number of cycles"));
    let heaps = counted_heaps();
    let device = vkms();
    let dumb: Arc<dyn Heap> = Arc::new(DumbHeap::new(Arc::clone(&device)).expect("dumb buffers"));
    let idle = IdleLimits { count: 8, bytes: 8 << 20, age: Duration::from_secs(1) };
    let pool = BufferPool::new(PoolLimits { idle, ..WIPING });
    let layouts = [layout(64, 64), layout(160, 120), layout(320, 240)];
    let mut window: Vec<PooledBuffer> = Vec::new();
    let mut cycle = |number: u64| {
        let layout = &layouts[number as usize % 3];
        match number % 8 {
            // Half from the pool, three owners in turn, a few at a time; some leave the process for a while.
            0..4 => {
                let heap = &heaps[number as usize / 8 % heaps.len()];
                let buffer = pool.take(&**heap, layout, Owner::new(number / 3 % 3), "cycle").unwrap();
                if number % 5 == 0 {
                    drop(buffer.export().unwrap());
                }
                window.push(buffer);
                if window.len() > 3 {
                    window.swap_remove(number as usize % 3);
                }
            }
            4 => drop(Buffer::allocate(&*dumb, layout, "cycle").unwrap()),
            5 => {
                let mut mapping = Buffer::allocate(&*heaps[0], layout, "cycle").unwrap().map().unwrap();
                mapping.write().unwrap()[0] = 1;
            }
            6 => drop(heaps[1].allocate(&heaps::Request::bytes(layout.bytes(), "cycle")).unwrap()),
            _ => {
                let buffer = Buffer::allocate(&*heaps[number as usize / 8 % 2], layout, "cycle").unwrap();
                let handle = device.prime_fd_to_buffer(buffer.fd()).unwrap();
                device.close_buffer(handle).unwrap();
            }
        }
        if number % 64 == 0 {
            pool.trim(Duration::from_millis(number));
        }
        if number % 1024 == 0 {
            window.clear();
            (0..3).for_each(|owner| pool.forget(Owner::new(owner)));
            pool.clear();
        }
    };
    // The first cycles fill the allocator's and the kernel's caches; every 1024th leaves nothing alive.
    (0..=4096).for_each(&mut cycle);
    let start = std::time::Instant::now();
    let before = (held(), resident_kib());
    let mut peak = before.1;
    for number in 1..=cycles {
        cycle(number);
        if number % 10_000 == 0 {
            peak = peak.max(resident_kib());
        }
    }
    cycle(0);
    let after = (held(), resident_kib());
    let took = start.elapsed();
    let report = format!(
        "{cycles} cycles in {took:?}: resident {} KiB before, {} after, {peak} at most; descriptors and lines of \
         bufinfo {:?} before, {:?} after; {:?}\n",
        before.1,
        after.1,
        before.0,
        after.0,
        pool.metrics()
    );
    std::io::Write::write_all(&mut std::io::stdout().lock(), report.as_bytes()).unwrap();
    assert_eq!(after.0, before.0);
    // A leak of 64 bytes in each cycle would be 1.2 MiB after 20,000.
    assert!(after.1 <= before.1 + 1024, "{before:?} {after:?}");
    let metrics = pool.metrics();
    assert_eq!(metrics.allocations, metrics.frees);
    assert!(metrics.recycled > 0 && metrics.scrubbed > 0);
}

/// Memory of this process that is resident and its own: not the dma-bufs it has mapped, nor its program.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
