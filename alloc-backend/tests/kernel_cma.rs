//! What needs a machine with contiguous memory and displays that differ: run in the lab's QEMU guest, as root, with
//! `--ignored`. A test here fails where its device is missing; it never skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are no tests to clippy.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapwright_alloc::buffers::{Allocated, Allocator, AllocatorError, Layout, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::{self, KmsDevice, PlaneKind, cpu_participant};
use heapwright_alloc::heaps::{self, DumbHeap, Heap, Request, Root};
use heapwright_alloc::links::{LinkStore, Outcome, Probe, ProbeCount, Trust, probe, probe_renderer};
use heapwright_alloc::solver::problem::{HeapFacts, Participant, Verdict};
use heapwright_alloc::solver::{Answer, PlaneLayout};
use rustix::io::Errno;

const SCREEN: Size = Size { width: 1024, height: 768 };
const MIB: u64 = 1 << 20;

/// These tests fill the machine's only pool, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn display(driver: &str) -> Arc<KmsDevice> {
    let found = devices::list(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let device = found.devices.into_iter().find(|device| device.driver() == driver);
    Arc::new(device.unwrap_or_else(|| panic!("no {driver}")))
}

/// The heaps that are seen to be contiguous.
fn contiguous() -> Vec<Arc<dyn Heap>> {
    let found = heaps::list(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    found.heaps.into_iter().filter(|heap| heap.facts().contiguous).collect()
}

fn layout() -> Layout {
    let (pitch, size) = (4 * u64::from(SCREEN.width), 4 * SCREEN.area());
    let planes = vec![PlaneLayout { offset: 0, pitch, size }];
    Layout::new(SCREEN, Fourcc::XRGB8888, Modifier::LINEAR, planes, size).unwrap()
}

fn last(found: &Probe) -> (&'static str, &Outcome) {
    let step = found.steps.last().unwrap();
    (step.what, &step.outcome)
}

fn painter() -> Participant {
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    cpu_participant("painter", &[Fourcc::XRGB8888], often)
}

/// A display that cannot scatter-gather, such as this machine has none: what it asks of the heaps is real.
fn panel() -> Participant {
    let mut panel = Participant { name: "panel".into(), required: false, weight: 100, ..painter() };
    panel.memory.contiguous = true;
    panel
}

fn want(participants: Vec<Participant>) -> Want<'static> {
    Want { size: SCREEN, participants, count: 1, name: "cma", dma_buf_only: true, ..Want::default() }
}

#[test]
#[ignore = "needs the lab: two dma-heaps on one CMA area"]
fn two_heap_nodes_on_one_contiguous_area_are_one_pool() {
    let _turn = turn();
    let heaps = contiguous();
    let [one, two] = &heaps[..] else { panic!("two contiguous heaps: {heaps:?}") };
    let facts = || (one.facts(), two.facts());
    let (before, other) = facts();
    let names = [&before.names, &other.names].map(|names| names[0].as_str());
    assert_ne!(names[0], names[1]);
    assert_eq!(before.pool, other.pool);
    assert!(before.pool().starts_with("cma:"), "the area itself, not all of CMA: {before:?}");
    assert_eq!((before.capacity, other.capacity), (Some(64 * MIB), Some(64 * MIB)));

    // One pool is more than one name: what one heap gives, the other lacks.
    let free = |facts: &HeapFacts| facts.free.unwrap();
    let taken = one.allocate(&Request::bytes(24 * MIB, "taken")).unwrap();
    let (held, of_other) = facts();
    assert!(free(&of_other) + 24 * MIB <= free(&other), "{other:?} {of_other:?}");
    assert_eq!(free(&held), free(&of_other));
    drop(taken);
    assert!(free(&two.facts()) >= free(&of_other) + 24 * MIB);

    // And no other heap claims any of it.
    let found = heaps::list(&Root::default());
    let others = found.heaps.iter().filter(|heap| !heap.facts().contiguous);
    assert!(others.clone().count() >= 3, "system, udmabuf, memfd");
    assert!(others.into_iter().all(|heap| heap.facts().pool() != before.pool()));
}

#[test]
#[ignore = "needs the lab: virtio-gpu, bochs and vkms"]
fn a_display_that_imports_nothing_is_found_out_and_served_from_its_own_memory() {
    let _turn = turn();
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    let devices = ["virtio_gpu", "bochs-drm", "vkms"].map(display);
    devices.iter().for_each(|device| allocator.with_device(Arc::clone(device)));
    let [virtio, others @ ..] = &devices;

    let own = DumbHeap::new(Arc::clone(virtio)).unwrap().id().clone();
    let foreign = allocator.heaps().heaps.iter().filter(|heap| heap.makes_dma_bufs() && *heap.id() != own);
    for heap in foreign.clone() {
        let found = probe(virtio, &**heap, &layout());
        assert_eq!(found.link.verdict, Verdict::Refuses, "{found}");
        assert_eq!(last(&found), ("PRIME import", &Outcome::Refused(Errno::NODEV)), "{found}");
    }
    assert!(foreign.clone().count() >= 6, "system, two of CMA, udmabuf, dumb of two others");
    for device in others {
        for heap in allocator.heaps().heaps.iter().filter(|heap| heap.makes_dma_bufs()) {
            let found = probe(device, &**heap, &layout());
            assert_eq!(found.link.verdict, Verdict::Accepts, "{found}");
        }
    }

    let on = |device: &KmsDevice| want(vec![painter(), device.participant(device.crtcs()[0].id, "screen")]);
    let made = allocator.allocate(&on(virtio)).unwrap();
    assert_eq!(made.resolution.heap, own.as_str());
    assert_eq!(made.resolution.satisfied, ["painter", "screen"]);
    // It is real memory of the size asked, that the painter can write.
    made.buffers[0].map().unwrap().write().unwrap().fill(0x5a);
    for device in others {
        let made = allocator.allocate(&on(device)).unwrap();
        assert_eq!(made.resolution.satisfied, ["painter", "screen"]);
        assert!(!made.resolution.heap.starts_with("dumb:"), "{}", made.resolution.heap);
    }
}

#[test]
#[ignore = "needs the lab: virtio-gpu without 3D, and Mesa's EGL"]
fn a_gpu_that_draws_nothing_goes_by_its_displays_name_and_is_known_to_be_software() {
    let _turn = turn();
    let display = display("virtio_gpu");
    let found = devices::render_devices(&Root::default());
    let named = found.devices.iter().find(|device| device.name() == display.name());
    let gpu = named.unwrap_or_else(|| panic!("{found:?}"));
    assert!(gpu.emulated && gpu.is_software() && gpu.imports(None).is_some(), "{gpu:?}");
    // The software itself is nobody's emulation, and its node refuses all that its display refuses.
    assert!(found.devices.iter().any(|device| device.nodes.is_none() && !device.emulated));
    let node = gpu.open().unwrap().expect("a render node");
    assert_eq!(node.name(), display.name());
    for heap in heaps::list(&Root::default()).heaps.iter().filter(|heap| heap.makes_dma_bufs()) {
        let found = probe_renderer(&node, &**heap, &layout());
        assert_eq!(found.link.verdict, Verdict::Refuses, "{found}");
        assert_eq!(last(&found), ("PRIME import", &Outcome::Refused(Errno::NODEV)), "{found}");
    }
    // Both are one device, and the display is the one that is tried.
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_renderer(Arc::new(node));
    assert_eq!(allocator.renderers().len(), 1);
    allocator.with_device(display);
    assert!(allocator.renderers().is_empty());
}

#[test]
#[ignore = "needs the lab: a CMA area that can be used up"]
fn when_contiguous_memory_runs_dry_the_panel_is_dropped_and_served_again_when_some_returns() {
    let _turn = turn();
    let pool = contiguous()[0].facts().pool().to_owned();
    let allocator = Allocator::new(heaps::list(&Root::default()));
    let served = |made: &Allocated| {
        let panel = made.resolution.satisfied.iter().any(|name| name == "panel");
        assert_eq!(panel, made.resolution.pool == pool, "{:?}", made.resolution);
        panel
    };
    let optional = want(vec![painter(), panel()]);
    let mut held = Vec::new();
    let degraded = loop {
        let made = allocator.allocate(&optional).unwrap();
        if !served(&made) {
            break made;
        }
        held.push(made);
        assert!(held.len() <= 64, "a pool of 64 MiB has no end");
    };
    // 64 MiB hold 21 buffers of 3 MiB; what the kernel lent of it to others may not come back.
    assert!((12..=21).contains(&held.len()), "{} buffers", held.len());
    assert_eq!(degraded.resolution.dropped, ["panel"]);

    // Who cannot do without is told so, with the participant and the field.
    let needed = Participant { required: true, ..panel() };
    let error = allocator.allocate(&want(vec![painter(), needed.clone()])).unwrap_err();
    let AllocatorError::Unsolved { answer, .. } = &error else { panic!("{error}") };
    assert!(matches!(**answer, Answer::Unsatisfiable { .. }), "{error}");
    assert!(error.to_string().contains("panel wants contiguous true"), "{error}");
    // Who can, is not held up: elastic memory is still there.
    assert!(allocator.allocate(&want(vec![painter()])).is_ok());

    held.truncate(held.len() - 2);
    assert!(served(&allocator.allocate(&optional).unwrap()), "the panel is served again");
    assert!(served(&allocator.allocate(&want(vec![painter(), needed])).unwrap()));
}

#[test]
#[ignore = "needs the lab: a CMA area that can be broken to pieces"]
fn free_memory_in_small_holes_is_found_out_by_failing_and_the_answer_degrades() {
    let _turn = turn();
    let heap = Arc::clone(&contiguous()[0]);
    let mut blocks: Vec<_> =
        (0..64).map_while(|_| heap.allocate(&Request::bytes(MIB, "block")).ok()).map(Some).collect();
    blocks.iter_mut().step_by(2).for_each(|block| *block = None);
    let free = heap.facts().free.unwrap();
    assert!(free >= 16 * MIB, "{free} bytes ought to be free, in holes of 1 MiB");

    let allocator = Allocator::new(heaps::list(&Root::default()));
    let made = allocator.allocate(&want(vec![painter(), panel()])).unwrap();
    assert_eq!(made.resolution.dropped, ["panel"], "{:?}", made.resolution);
    // The numbers promised room, so one node was asked; its failure stands for the pool, and the other node is spared.
    assert_eq!(made.failures.len(), 1, "{:?}", made.failures);
    let degraded = made.degraded.as_ref().expect("for want of memory");
    assert_eq!(degraded.dropped, ["panel"]);
    assert!(degraded.short.iter().all(|short| short.pool == heap.facts().pool()), "{degraded:?}");
    assert!(made.failures.iter().all(|it| it.to_string().contains("out of memory")), "{:?}", made.failures);
    let needed = Participant { required: true, ..panel() };
    let error = allocator.allocate(&want(vec![painter(), needed])).unwrap_err().to_string();
    assert!(error.contains(heap.id().as_str()) && error.contains("out of memory"), "{error}");

    drop(blocks);
    let made = allocator.allocate(&want(vec![painter(), panel()])).unwrap();
    assert!(made.resolution.dropped.is_empty() && made.failures.is_empty(), "{made:?}");
}

/// A display of this driver, unbound from it; bound again when this is dropped, also by a test that fails.
struct Unbound {
    driver: PathBuf,
    place: String,
}

impl Unbound {
    fn new(device: &KmsDevice) -> Self {
        let number = device.dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let device = std::fs::canonicalize(format!("/sys/dev/char/{major}:{minor}/device")).unwrap();
        let driver = std::fs::canonicalize(device.join("driver")).unwrap();
        let place = device.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::write(driver.join("unbind"), &place).unwrap();
        Unbound { driver, place }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        std::fs::write(self.driver.join("bind"), &self.place).unwrap();
    }
}

fn scanout(device: &KmsDevice, required: bool) -> Participant {
    let of_all = device.planes().iter().filter(|plane| plane.kind == PlaneKind::Primary);
    Participant { required, ..device.participant_of(of_all, "screen") }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Lines of the kernel's list of all dma-bufs.
fn dma_bufs() -> usize {
    std::fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo").unwrap().lines().count()
}

#[test]
#[ignore = "needs the lab: a display that can be unbound"]
fn a_display_that_goes_away_while_it_is_probed_is_named_and_leaves_nothing() {
    let _turn = turn();
    let before = (descriptors(), dma_bufs());
    {
        let device = display("bochs-drm");
        assert!(!device.has_vanished());
        let directory = tempfile::tempdir().unwrap();
        let store = LinkStore::open(&directory.path().join("links.json"), Trust::Any);
        let mut allocator = Allocator::new(heaps::list(&Root::default())).with_store(store);
        allocator.with_device(Arc::clone(&device));
        let heap = Arc::clone(&contiguous()[0]);

        // Somebody probes without pause while the display goes.
        let (first, probing) = std::sync::mpsc::channel();
        let prober = {
            let device = Arc::clone(&device);
            std::thread::spawn(move || {
                loop {
                    let found = probe(&device, &*heap, &layout());
                    match last(&found) {
                        (_, Outcome::Vanished) => return found,
                        (_, Outcome::Passed | Outcome::NotTried(_)) => first.send(()).unwrap_or_default(),
                        _ => panic!("{found}"),
                    }
                }
            })
        };
        probing.recv().unwrap();
        let unbound = Unbound::new(&device);
        let found = prober.join().unwrap();
        assert!(device.has_vanished());
        assert_eq!(found.link.verdict, Verdict::Refuses, "{found}");
        assert!(found.to_string().ends_with("the device has gone)"), "{found}");

        // Who can do without it gets a buffer, who cannot is told which display it is.
        let optional = allocator.allocate(&want(vec![painter(), scanout(&device, false)])).unwrap();
        assert_eq!(optional.resolution.dropped, ["screen"]);
        let error = allocator.allocate(&want(vec![painter(), scanout(&device, true)])).unwrap_err();
        let AllocatorError::Unsolved { answer, .. } = &error else { panic!("{error}") };
        assert!(matches!(**answer, Answer::Unsatisfiable { .. }), "{error}");
        assert!(error.to_string().contains("screen"), "{error}");

        // Nothing is kept of it: the next display of its number may be another.
        allocator.save_links().unwrap();
        let kept = std::fs::read_to_string(directory.path().join("links.json")).unwrap();
        assert!(!kept.contains("bochs"), "{kept}");
        let name = device.name().to_owned();
        assert_eq!(allocator.without_device(&name).map(|gone| gone.name().to_owned()), Some(name.clone()));
        assert!(allocator.devices().is_empty() && allocator.links().probes().is_empty());
        assert!(allocator.heaps().heaps.iter().all(|heap| heap.of_device() != Some(&*name)));
        assert!(allocator.without_device(&name).is_none());
        drop((optional, allocator, device, unbound));
    }
    assert_eq!((descriptors(), dma_bufs()), before);
    assert!(!display("bochs-drm").has_vanished(), "it is back");
}

#[test]
#[ignore = "needs the lab: three displays, of which one takes no foreign memory"]
fn a_warm_store_answers_for_every_display_without_trying_anything() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    // Everything anew but the file, as in another process.
    let ask = || {
        let before = ProbeCount::so_far();
        let store = LinkStore::open(&directory.path().join("links.json"), Trust::Any);
        let mut allocator = Allocator::new(heaps::list(&Root::default())).with_store(store);
        for device in devices::list(&Root::default()).devices {
            allocator.with_device(Arc::new(device));
        }
        let devices = allocator.devices().to_vec();
        let of = |device: &Arc<KmsDevice>| allocator.resolve(&want(vec![scanout(device, true)])).1;
        let answers: Vec<_> = devices.iter().map(of).collect();
        assert!(answers.iter().all(|it| matches!(it, Answer::Solved(_))), "{answers:?}");
        allocator.save_links().unwrap();
        (devices.len(), ProbeCount::so_far().since(before))
    };
    let (displays, cold) = ask();
    assert_eq!(displays, 3);
    // Each is asked about memory in pieces, and one refuses at the first question.
    assert!(cold.imports > 5 && cold.framebuffers >= 3, "{cold:?}");
    assert_eq!(ask(), (3, ProbeCount::default()));
}
