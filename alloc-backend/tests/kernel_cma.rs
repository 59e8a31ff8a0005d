//! What needs a machine with contiguous memory and displays that differ: run in the lab's QEMU guest, as root, with
//! `--ignored`. A test here fails where its device is missing; it never skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are no tests to clippy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapwright_alloc::buffers::{Allocated, Allocator, AllocatorError, Layout, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::{self, KmsDevice, cpu_participant};
use heapwright_alloc::heaps::{self, DumbHeap, Heap, Request, Root};
use heapwright_alloc::links::{Outcome, Probe, probe};
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
    Want { size: SCREEN, participants, count: 1, name: "cma", dma_buf_only: true }
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
