//! The allocator on heaps that fail, lie and run dry, as real ones do. Needs no device.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are no tests to clippy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heapwright_alloc::buffers::{Allocator, AllocatorError, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::cpu_participant;
use heapwright_alloc::feedback::{Target, default_tranches, scanout_tranche};
use heapwright_alloc::heaps::{AllocError, Allocation, Heap, HeapId, HeapList, MemfdHeap, Request, Root};
use heapwright_alloc::solver::problem::{
    Alternative, Evidence, HeapFacts, LayoutLimits, Link, OptionSpec, Participant, Problem, Verdict,
};

/// A heap that has memory for so many buffers.
#[derive(Debug)]
struct Limited {
    id: HeapId,
    contiguous: bool,
    left: AtomicU64,
}

fn limited(id: &str, contiguous: bool, left: u64) -> Arc<dyn Heap> {
    Arc::new(Limited { id: HeapId::new(id), contiguous, left: AtomicU64::new(left) })
}

impl Heap for Limited {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        let capacity = self.contiguous.then_some(1 << 20);
        let id = self.id.to_string();
        HeapFacts { id, contiguous: self.contiguous, capacity, cached: true, ..HeapFacts::default() }
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let out = AllocError::OutOfMemory { heap: self.id.clone(), bytes: request.bytes };
        let take = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| out)?;
        MemfdHeap::new(&Root::default()).allocate(request)
    }
}

fn allocator(heaps: Vec<Arc<dyn Heap>>) -> Allocator {
    Allocator::new(HeapList { heaps, problems: Vec::new() })
}

fn painter() -> Participant {
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    cpu_participant("painter", &[Fourcc::XRGB8888], often)
}

fn want(count: u32) -> Want<'static> {
    Want {
        size: Size::new(64, 64),
        participants: vec![painter()],
        count,
        name: "test",
        dma_buf_only: false,
        ..Want::default()
    }
}

#[test]
fn elastic_memory_is_taken_before_a_fixed_pool() {
    let made = allocator(vec![limited("a-fixed", true, 9), limited("elastic", false, 9)])
        .allocate(&want(2))
        .unwrap();
    assert_eq!(made.resolution.heap, "elastic");
    assert_eq!(made.buffers.len(), 2);
    assert_eq!(made.buffers[0].heap().unwrap().as_str(), "elastic");
}

#[test]
fn a_heap_that_runs_dry_is_left_out_and_named() {
    let made =
        allocator(vec![limited("fixed", true, 9), limited("elastic", false, 1)]).allocate(&want(2)).unwrap();
    assert_eq!(made.resolution.heap, "fixed");
    assert_eq!(made.failures.len(), 1);
    assert!(made.failures[0].to_string().contains("heap elastic: out of memory"), "{}", made.failures[0]);
}

#[test]
fn when_every_heap_fails_the_error_names_each() {
    let error =
        allocator(vec![limited("h0", true, 0), limited("h1", false, 0)]).allocate(&want(1)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("h0") && text.contains("h1") && text.contains("out of memory"), "{text}");
}

#[test]
fn when_nothing_fits_the_error_names_participant_and_field() {
    let mut only_contiguous = painter();
    only_contiguous.memory.contiguous = true;
    let want = Want { participants: vec![only_contiguous], ..want(1) };
    let error = allocator(vec![limited("elastic", false, 9)]).allocate(&want).unwrap_err();
    assert!(error.to_string().contains("painter wants contiguous true"), "{error}");
    let AllocatorError::Unsolved { problem, .. } = error else { panic!("{error}") };
    assert!(serde_json::to_string(&*problem).unwrap().contains("elastic"));
}

#[test]
fn absurd_counts_and_sizes_are_errors() {
    let allocator = allocator(vec![limited("elastic", false, u64::MAX)]);
    assert!(matches!(allocator.allocate(&want(65)), Err(AllocatorError::TooMany(65))));
    for size in [Size::new(0, 1), Size::new(u32::MAX, u32::MAX)] {
        assert!(allocator.allocate(&Want { size, ..want(1) }).is_err(), "{size}");
    }
}

#[test]
fn a_memfd_is_never_given_to_a_device_or_where_a_dma_buf_is_asked() {
    let memfd: Arc<dyn Heap> = Arc::new(MemfdHeap::new(&Root::default()));
    let allocator = allocator(vec![memfd]);
    assert!(allocator.allocate(&want(1)).is_ok());
    assert!(allocator.allocate(&Want { dma_buf_only: true, ..want(1) }).is_err());
    let gpu = Participant { name: "gpu".into(), device: Some("gpu".into()), ..Participant::default() };
    let want = Want { participants: vec![painter(), gpu], ..want(1) };
    let error = allocator.allocate(&want).unwrap_err();
    assert!(error.to_string().contains("gpu"), "{error}");
}

fn option(format: Fourcc, pitch_align: u64) -> OptionSpec {
    let limits = LayoutLimits { pitch_align: Some(pitch_align), ..LayoutLimits::default() };
    OptionSpec { format: format.into(), modifier: Modifier::LINEAR.into(), limits, ..OptionSpec::default() }
}

/// A display with two planes and a renderer that does not know NV12.
fn scene() -> (Problem, Target) {
    let plane = |name: &str, options: Vec<OptionSpec>| Alternative { name: Some(name.into()), options };
    let display = Participant {
        name: "display".into(),
        device: Some("card0".into()),
        required: false,
        alternatives: Some(vec![
            plane("plane-1", vec![option(Fourcc::XRGB8888, 64)]),
            plane("plane-2", vec![option(Fourcc::NV12, 64), option(Fourcc::ARGB8888, 256)]),
        ]),
        ..Participant::default()
    };
    let renderer = Participant {
        name: "renderer".into(),
        options: Some(vec![option(Fourcc::XRGB8888, 4), option(Fourcc::ARGB8888, 4)]),
        ..Participant::default()
    };
    let problem = Problem {
        size: Size::new(100, 10),
        participants: vec![renderer, display],
        heaps: vec![HeapFacts { id: "h0".into(), ..HeapFacts::default() }],
        ..Problem::default()
    };
    (problem, Target { participant: "display".into(), device: 7, scanout: true })
}

#[test]
fn a_tranche_holds_what_target_and_required_participants_can_share_with_its_pitch() {
    let (problem, target) = scene();
    let renderer = Target { participant: "renderer".into(), device: 3, scanout: false };
    let tranches = default_tranches(&problem, &[target.clone(), renderer]);
    let linear = |format| (format, Modifier::LINEAR);
    assert_eq!(tranches[0].pairs(), [linear(Fourcc::XRGB8888), linear(Fourcc::ARGB8888)]);
    assert_eq!(tranches[0].formats.iter().map(|it| it.pitch).collect::<Vec<_>>(), [448, 512]);
    assert!(tranches[0].scanout && tranches[0].target_device == 7);
    assert_eq!(tranches[1].target_device, 3);
    assert_eq!(scanout_tranche(&problem, &target, "plane-2").pairs(), [linear(Fourcc::ARGB8888)]);
    assert!(scanout_tranche(&problem, &target, "plane-9").formats.is_empty());
}

#[test]
fn a_display_that_refuses_every_heap_has_no_tranche() {
    let (mut problem, target) = scene();
    problem.links.push(Link {
        device: "card0".into(),
        heap: "h0".into(),
        verdict: Verdict::Refuses,
        evidence: Evidence::Probed,
        bytes: Some(4096),
    });
    assert!(default_tranches(&problem, &[target]).is_empty());
}
