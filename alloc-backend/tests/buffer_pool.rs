//! The pool that recycles buffers, on heaps of memfds: nobody sees another's pixels, nobody takes more than the quota.
//! What needs dma-bufs is in `kernel_pool.rs`.

#![allow(clippy::unwrap_used)] // Helpers of tests are no tests to clippy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use heapwright_alloc::buffers::{
    Amount, BufferPool, IdleLimits, Layout, Limit, Owner, PoolError, PoolLimits, PooledBuffer, Unit, Wipe,
};
use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use heapwright_alloc::heaps::{AllocError, Allocation, Heap, HeapId, MemfdHeap, Request, Root};
use heapwright_alloc::solver::PlaneLayout;
use heapwright_alloc::solver::problem::HeapFacts;
use proptest::prelude::*;

/// A heap that makes memfds, counts them, and can run dry or make memory that the CPU cannot write.
#[derive(Debug)]
struct Fake {
    id: HeapId,
    made: AtomicU64,
    left: AtomicU64,
    read_only: bool,
    contiguous: bool,
}

fn fake(id: &str) -> Fake {
    Fake { id: HeapId::new(id), made: 0.into(), left: u64::MAX.into(), read_only: false, contiguous: false }
}

impl Heap for Fake {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts {
            id: self.id.to_string(),
            pool: Some("ram".into()),
            contiguous: self.contiguous,
            ..HeapFacts::default()
        }
    }

    fn makes_dma_bufs(&self) -> bool {
        false
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let out = AllocError::OutOfMemory { heap: self.id.clone(), bytes: request.bytes };
        let take = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| out)?;
        self.made.fetch_add(1, Ordering::Relaxed);
        let made = MemfdHeap::new(&Root::default()).allocate(request)?;
        if self.read_only {
            // A descriptor that only reads: mapping it for writing is refused, as for memory not meant for the CPU.
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&made.fd));
            let fd = std::fs::File::open(path).unwrap().into();
            return Ok(Allocation { fd, ..made });
        }
        Ok(made)
    }
}

fn layout(width: u32) -> Layout {
    let pitch = u64::from(width) * 4;
    let size = pitch * 16;
    let planes = vec![PlaneLayout { offset: 0, pitch, size }];
    let bytes = size.next_multiple_of(4096);
    Layout::new(Size::new(width, 16), Fourcc::XRGB8888, Modifier::LINEAR, planes, bytes).unwrap()
}

const WIPING: PoolLimits = PoolLimits {
    idle: IdleLimits { count: 32, bytes: 128 << 20, age: Duration::from_secs(10) },
    owner: Limit::of(256, 1 << 30),
    memory: Limit::NONE,
    wipe: Wipe::Everywhere,
};

const ALICE: Owner = Owner::new(1);
const BOB: Owner = Owner::new(2);

fn paint(buffer: &PooledBuffer, byte: u8) {
    buffer.map().unwrap().write().unwrap().fill(byte);
}

/// The bytes there are in a buffer, each once.
fn bytes_in(buffer: &PooledBuffer) -> Vec<u8> {
    let mapping = buffer.map().unwrap();
    let mut bytes = mapping.read().unwrap().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

#[test]
fn an_owner_gets_its_buffer_back_as_it_left_it() {
    let (heap, pool) = (fake("h0"), BufferPool::new(WIPING));
    let buffer = pool.take(&heap, &layout(64), ALICE, "a").unwrap();
    paint(&buffer, 0xa5);
    let handle = buffer.clone();
    drop(buffer);
    assert_eq!(pool.idle(), Amount::default(), "a handle is left");
    drop(handle);
    assert_eq!(pool.idle(), Amount::one(4096));
    let again = pool.take(&heap, &layout(64), ALICE, "a").unwrap();
    assert_eq!(bytes_in(&again), [0xa5]);
    assert_eq!((heap.made.into_inner(), pool.metrics().recycled), (1, 1));
}

#[test]
fn another_owner_gets_it_wiped() {
    let (heap, pool) = (fake("h0"), BufferPool::new(WIPING));
    paint(&pool.take(&heap, &layout(64), ALICE, "a").unwrap(), 0xa5);
    let buffer = pool.take(&heap, &layout(64), BOB, "b").unwrap();
    assert_eq!(bytes_in(&buffer), [0]);
    assert_eq!((heap.made.into_inner(), pool.metrics().scrubbed), (1, 1));
    assert_eq!((pool.used_by(ALICE), pool.used_by(BOB)), (Amount::default(), Amount::one(4096)));
}

#[test]
fn ordinary_memory_is_not_wiped_but_had_fresh_and_fixed_memory_is_wiped() {
    let limits = PoolLimits { wipe: Wipe::FixedPools, ..WIPING };
    for (contiguous, made) in [(false, 2), (true, 1)] {
        let (heap, pool) = (Fake { contiguous, ..fake("h0") }, BufferPool::new(limits));
        paint(&pool.take(&heap, &layout(64), ALICE, "a").unwrap(), 0xa5);
        assert_eq!(bytes_in(&pool.take(&heap, &layout(64), BOB, "b").unwrap()), [0]);
        assert_eq!((heap.made.into_inner(), pool.metrics().scrubbed), (made, 2 - made));
    }
}

#[test]
fn other_layouts_and_other_heaps_are_not_mixed_up() {
    let pool = BufferPool::new(WIPING);
    let heaps = [fake("h0"), fake("h1")];
    drop(pool.take(&heaps[0], &layout(64), ALICE, "a").unwrap());
    drop(pool.take(&heaps[1], &layout(64), ALICE, "a").unwrap());
    // The same bytes, another picture.
    let tall = Layout::new(
        Size::new(16, 64),
        Fourcc::XRGB8888,
        Modifier::LINEAR,
        vec![PlaneLayout { offset: 0, pitch: 64, size: 4096 }],
        4096,
    );
    drop(pool.take(&heaps[0], &tall.unwrap(), ALICE, "a").unwrap());
    assert_eq!((pool.metrics().allocations, pool.metrics().recycled), (3, 0));
}

#[test]
fn what_left_the_process_never_goes_to_another_owner_where_the_kernel_does_not_count() {
    let (heap, pool) = (fake("h0"), BufferPool::new(WIPING));
    let buffer = pool.take(&heap, &layout(64), ALICE, "a").unwrap();
    paint(&buffer, 0xa5);
    let outside = buffer.export().unwrap();
    drop(buffer);
    drop(outside);
    let other = pool.take(&heap, &layout(64), BOB, "b").unwrap();
    assert_eq!(bytes_in(&other), [0]);
    assert_eq!(heap.made.load(Ordering::Relaxed), 2);
    // It still counts against the first, who may hold it, and it is still good for the first.
    assert_eq!(pool.used_by(ALICE), Amount::one(4096));
    assert_eq!(bytes_in(&pool.take(&heap, &layout(64), ALICE, "a").unwrap()), [0xa5]);
    pool.forget(ALICE);
    assert_eq!((pool.idle(), pool.used_by(ALICE)), (Amount::default(), Amount::default()));
}

#[test]
fn what_comes_back_after_its_owner_was_forgotten_is_kept_only_if_it_never_left() {
    let (heap, pool) = (fake("h0"), BufferPool::new(WIPING));
    let [stayed, left] = [(); 2].map(|()| pool.take(&heap, &layout(64), ALICE, "a").unwrap());
    let outside = left.export().unwrap();
    pool.forget(ALICE);
    drop((stayed, left));
    assert_eq!((pool.idle().count, pool.metrics().frees), (1, 1));
    assert_eq!(pool.used_by(ALICE), Amount::default());
    drop(outside);
}

#[test]
fn memory_that_the_cpu_cannot_wipe_is_freed_and_another_owner_gets_fresh_memory() {
    let heap = Fake { read_only: true, ..fake("h0") };
    let pool = BufferPool::new(WIPING);
    drop(pool.take(&heap, &layout(64), ALICE, "a").unwrap());
    drop(pool.take(&heap, &layout(64), ALICE, "a").unwrap());
    drop(pool.take(&heap, &layout(64), BOB, "b").unwrap());
    let metrics = pool.metrics();
    assert_eq!((metrics.allocations, metrics.recycled), (2, 1));
    assert_eq!((metrics.not_scrubbed, metrics.scrubbed, metrics.frees), (1, 0, 1));
    assert_eq!(metrics.pools["ram"].live, Amount::one(4096));
}

#[test]
fn a_quota_says_whose_it_is_what_is_used_and_what_to_do() {
    let heap = fake("h0");
    let limits = PoolLimits { owner: Limit::of(2, 1 << 20), ..WIPING };
    let pool = BufferPool::new(limits);
    pool.set_memory_limit("ram", Limit { count: None, bytes: Some(3 * 4096) });
    let take = |owner| pool.take(&heap, &layout(64), owner, "q");
    let held = [take(ALICE).unwrap(), take(ALICE).unwrap()];
    let error = take(ALICE).unwrap_err();
    assert_eq!(
        error.to_string(),
        "quota of owner 1: 2 of 2 buffers used, 1 more asked: free buffers, or raise this owner's limit"
    );
    let bobs = take(BOB).unwrap();
    let error = take(BOB).unwrap_err();
    assert!(
        matches!(&error, PoolError::MemoryQuota { pool, overdrawn }
        if pool == "ram" && overdrawn.unit == Unit::Bytes && overdrawn.used == 3 * 4096),
        "{error}"
    );
    assert_eq!((pool.metrics().quota_refusals, pool.used_by(BOB)), (2, Amount::one(4096)));
    drop((held, bobs));
    assert!(take(ALICE).is_ok());
}

#[test]
fn idle_memory_makes_room_in_the_quota_of_its_pool_but_not_in_vain() {
    let heap = fake("h0");
    let memory = Limit { count: None, bytes: Some(4 * 4096) };
    let pool = BufferPool::new(PoolLimits { memory, ..WIPING });
    let mut held: Vec<_> = (0..3).map(|_| pool.take(&heap, &layout(64), ALICE, "a").unwrap()).collect();
    held.truncate(1);
    // 1 held, 2 idle; 3 pages more need the idle ones to go, 4 do not fit even then.
    assert!(pool.take(&heap, &layout(256), ALICE, "a").is_err());
    assert_eq!(pool.idle().count, 2);
    let large = pool.take(&heap, &layout(192), ALICE, "a").unwrap();
    assert_eq!(large.buffer().bytes(), 3 * 4096);
    assert_eq!((pool.idle().count, pool.metrics().frees), (0, 2));
}

#[test]
fn a_dry_heap_gets_idle_memory_back_before_anybody_is_told() {
    let heap = Fake { left: 2.into(), ..fake("h0") };
    let pool = BufferPool::new(WIPING);
    drop(pool.take(&heap, &layout(64), ALICE, "a").unwrap());
    let held = pool.take(&heap, &layout(128), ALICE, "a").unwrap();
    // The fake does not know that memory came back, so the second try fails as well: what counts is that it was given.
    let error = pool.take(&heap, &layout(256), ALICE, "a").unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!((pool.idle().count, pool.metrics().frees), (0, 1));
    assert_eq!(pool.used_by(ALICE), Amount::one(held.buffer().bytes()));
}

#[test]
fn a_failed_allocation_leaves_no_trace_in_the_accounts() {
    let heap = Fake { left: 0.into(), ..fake("h0") };
    let pool = BufferPool::new(PoolLimits { memory: Limit::of(1, 1 << 20), ..WIPING });
    for _ in 0..3 {
        assert!(pool.take(&heap, &layout(64), ALICE, "a").is_err());
    }
    assert_eq!(pool.used_by(ALICE), Amount::default());
    heap.left.store(1, Ordering::Relaxed);
    assert!(pool.take(&heap, &layout(64), ALICE, "a").is_ok());
}

#[test]
fn idle_buffers_go_by_number_by_bytes_by_age_and_on_request() {
    let heap = fake("h0");
    let idle = IdleLimits { count: 3, bytes: 5 * 4096, age: Duration::from_secs(10) };
    let pool = BufferPool::new(PoolLimits { idle, ..WIPING });
    let idle_after = |widths: &[u32]| {
        pool.clear();
        let held: Vec<_> =
            widths.iter().map(|w| pool.take(&heap, &layout(*w), ALICE, "a").unwrap()).collect();
        drop(held);
        (pool.idle().count, pool.idle().bytes / 4096)
    };
    assert_eq!(idle_after(&[64, 64, 64, 64]), (3, 3));
    assert_eq!(idle_after(&[192, 128, 64]), (2, 3));
    assert_eq!(idle_after(&[64, 128]), (2, 3));
    assert_eq!(pool.relieve("cma", 1), Amount::default());
    assert_eq!(pool.relieve("ram", 1), Amount::one(4096));
    pool.trim(Duration::from_secs(5));
    pool.trim(Duration::from_secs(14));
    assert_eq!(pool.idle(), Amount::one(8192));
    pool.trim(Duration::from_secs(15));
    assert_eq!(pool.idle(), Amount::default());
    let metrics = pool.metrics();
    assert_eq!((metrics.allocations, metrics.pools["ram"].live), (metrics.frees, Amount::default()));
}

#[test]
fn a_buffer_outlives_its_pool_and_a_mapping_its_handle() {
    let (heap, pool) = (fake("h0"), BufferPool::new(WIPING));
    let buffer = pool.take(&heap, &layout(64), ALICE, "a").unwrap();
    let mapping = buffer.map().unwrap();
    drop(buffer);
    assert_eq!(pool.idle(), Amount::default(), "it is mapped");
    drop(mapping);
    let buffer = pool.take(&heap, &layout(64), ALICE, "a").unwrap();
    drop(pool);
    paint(&buffer, 1);
}

#[test]
fn threads_share_a_pool() {
    let (heap, pool) = (Arc::new(fake("h0")), BufferPool::new(WIPING));
    let threads: Vec<_> = (1..=4_u8)
        .map(|number| {
            let (heap, pool) = (Arc::clone(&heap), pool.clone());
            std::thread::spawn(move || {
                for _ in 0..200 {
                    let buffer = pool.take(&*heap, &layout(64), Owner::new(number.into()), "t").unwrap();
                    let seen = bytes_in(&buffer);
                    assert!(seen == [0] || seen == [number], "{number} saw {seen:?}");
                    paint(&buffer, number);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    pool.clear();
    let metrics = pool.metrics();
    assert_eq!(metrics.allocations, metrics.frees);
    assert_eq!(metrics.allocations + metrics.recycled + metrics.scrubbed, 800);
}

#[derive(Debug, Clone)]
enum Step {
    Take(u64, u32),
    Export(usize),
    Drop(usize),
    Trim(u64),
    Forget(u64),
    Relieve(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4_u64, 1..4_u32).prop_map(|(owner, width)| Step::Take(owner, width * 64)),
        1 => any::<usize>().prop_map(Step::Export),
        4 => any::<usize>().prop_map(Step::Drop),
        1 => (0..40_u64).prop_map(Step::Trim),
        1 => (1..4_u64).prop_map(Step::Forget),
        1 => (0..20_000_u64).prop_map(Step::Relieve),
    ]
}

proptest! {
    /// Whatever happens, in whatever order: nobody sees a byte of another, the books agree with what is held, and in the
    /// end nothing is left.
    #[test]
    fn no_order_of_events_shows_anybody_anothers_pixels(steps in prop::collection::vec(step(), 1..60)) {
        let heap = fake("h0");
        let idle = IdleLimits { count: 3, bytes: 1 << 20, age: Duration::from_secs(20) };
        let limits = PoolLimits { idle, owner: Limit::of(4, 40_000), memory: Limit::of(9, 90_000), ..WIPING };
        let pool = BufferPool::new(limits);
        let mut held: Vec<PooledBuffer> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Take(owner, width) => {
                    let Ok(buffer) = pool.take(&heap, &layout(width), Owner::new(owner), "p") else { continue };
                    let seen = bytes_in(&buffer);
                    prop_assert!(seen == [0] || seen == [owner as u8], "{owner} saw {seen:?}");
                    paint(&buffer, owner as u8);
                    held.push(buffer);
                }
                Step::Export(at) if !held.is_empty() => {
                    held[at % held.len()].export().unwrap();
                }
                Step::Drop(at) if !held.is_empty() => {
                    held.swap_remove(at % held.len());
                }
                Step::Export(_) | Step::Drop(_) => {}
                Step::Trim(seconds) => {
                    now += seconds;
                    pool.trim(Duration::from_secs(now));
                }
                Step::Forget(owner) => {
                    // Only those who hold nothing go.
                    if held.iter().all(|buffer| buffer.owner() != Owner::new(owner)) {
                        pool.forget(Owner::new(owner));
                    }
                }
                Step::Relieve(bytes) => {
                    pool.relieve("ram", bytes);
                }
            }
            for owner in 1..4 {
                let mine = held.iter().filter(|buffer| buffer.owner() == Owner::new(owner));
                let bytes: u64 = mine.map(|buffer| buffer.buffer().bytes()).sum();
                let used = pool.used_by(Owner::new(owner));
                prop_assert!(used.bytes >= bytes && used.count <= 4 && used.bytes <= 40_000);
            }
            let live = pool.metrics().pools.get("ram").map_or(0, |ram| ram.live.bytes);
            let lent: u64 = held.iter().map(|buffer| buffer.buffer().bytes()).sum();
            prop_assert_eq!(live, lent + pool.idle().bytes);
            prop_assert!(live <= 90_000);
        }
        held.clear();
        (1..4).for_each(|owner| pool.forget(Owner::new(owner)));
        pool.clear();
        let metrics = pool.metrics();
        prop_assert_eq!(metrics.allocations, metrics.frees);
        prop_assert!((1..4).all(|owner| pool.used_by(Owner::new(owner)).is_none()));
    }
}
