//! Pools that run dry: what the answer goes without, what is remembered, and how it ends. On heaps of memfds, without a
//! device; the real contiguous allocator is in the lab's wide lane.

#![allow(clippy::unwrap_used)] // Helpers of tests are no tests to clippy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use heapwright_alloc::buffers::{Allocated, Allocator, AllocatorError, Limit, Owner, PoolLimits, Want};
use heapwright_alloc::constraints::{Counts, CpuAccess, Fourcc, Frequency, Size};
use heapwright_alloc::devices::cpu_participant;
use heapwright_alloc::heaps::{AllocError, Allocation, Heap, HeapId, HeapList, MemfdHeap, Request, Root};
use heapwright_alloc::solver::Answer;
use heapwright_alloc::solver::problem::{HeapFacts, Participant};

/// A heap with so many bytes left in its pool; it counts how often it was asked.
#[derive(Debug)]
struct Fake {
    id: HeapId,
    pool: &'static str,
    contiguous: bool,
    capacity: u64,
    tells_free: bool,
    left: Arc<AtomicU64>,
    asked: AtomicU64,
    /// What those that fail give back of what they had.
    given_back: u64,
    fails_with: Option<AllocError>,
}

impl Heap for Fake {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts {
            id: self.id.to_string(),
            pool: Some(self.pool.into()),
            contiguous: self.contiguous,
            capacity: self.contiguous.then_some(self.capacity),
            free: self.tells_free.then(|| self.left.load(Ordering::Relaxed)),
            ..HeapFacts::default()
        }
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(error) = &self.fails_with {
            return Err(error.clone());
        }
        let out = AllocError::OutOfMemory { heap: self.id.clone(), bytes: request.bytes };
        let take = |left: u64| left.checked_sub(request.bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            self.left.fetch_add(self.given_back, Ordering::Relaxed);
            return Err(out);
        }
        MemfdHeap::new(&Root::default()).allocate(request)
    }

    fn makes_dma_bufs(&self) -> bool {
        false
    }
}

fn heap(id: &str, pool: &'static str, contiguous: bool, left: &Arc<AtomicU64>) -> Arc<Fake> {
    let left = Arc::clone(left);
    let (capacity, tells_free, asked, given_back, fails_with) = (1 << 30, false, 0.into(), 0, None);
    Arc::new(Fake {
        id: HeapId::new(id),
        pool,
        contiguous,
        capacity,
        tells_free,
        left,
        asked,
        given_back,
        fails_with,
    })
}

fn bytes(number: u64) -> Arc<AtomicU64> {
    Arc::new(number.into())
}

fn allocator(heaps: &[&Arc<Fake>]) -> Allocator {
    let heaps = heaps.iter().map(|heap| Arc::clone(heap) as Arc<dyn Heap>).collect();
    Allocator::new(HeapList { heaps, problems: Vec::new() })
}

/// As [`heap`], contiguous, with so many bytes in all, of which the kernel says what is free.
fn told(capacity: u64, left: u64) -> Arc<Fake> {
    let mut heap = heap("fixed", "cma", true, &bytes(left));
    let fake = Arc::get_mut(&mut heap).unwrap();
    (fake.tells_free, fake.capacity) = (true, capacity);
    heap
}

/// 16384 bytes each, painted by the CPU, and shown by a screen that wants contiguous memory but can be done without.
fn want(count: u32) -> Want<'static> {
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    let painter = cpu_participant("painter", &[Fourcc::XRGB8888], often);
    let mut screen = Participant { name: "screen".into(), required: false, weight: 100, ..painter.clone() };
    screen.memory.contiguous = true;
    let participants = vec![painter, screen];
    Want {
        size: Size::new(64, 64),
        participants,
        count,
        name: "test",
        dma_buf_only: false,
        ..Want::default()
    }
}

const ONE: u64 = 16384;

fn asked(heap: &Fake) -> u64 {
    heap.asked.load(Ordering::Relaxed)
}

fn is_whole<B>(made: &Allocated<B>) -> bool {
    made.degraded.is_none() && made.resolution.dropped.is_empty()
}

#[test]
fn a_dry_pool_costs_the_screen_and_the_answer_says_what_and_why() {
    let fixed = heap("fixed", "cma", true, &bytes(2 * ONE));
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    allocator.tick(Duration::from_secs(1));
    let first = allocator.allocate(&want(2)).unwrap();
    assert!(is_whole(&first));
    let second = allocator.allocate(&want(2)).unwrap();
    assert_eq!((second.resolution.heap.as_str(), second.buffers.len()), ("elastic", 2));
    let degraded = second.degraded.unwrap();
    assert_eq!(
        (degraded.wanted.heap.as_str(), degraded.dropped.as_slice()),
        ("fixed", &["screen".to_owned()][..])
    );
    assert_eq!(degraded.short[0].pool, "cma");
    assert_eq!(degraded.to_string(), "pool cma has no room for 2 x 16384 bytes: goes without screen");
    assert!(second.failures[0].to_string().contains("heap fixed: out of memory"));
    let metrics = allocator.metrics();
    assert_eq!((metrics.degradations, metrics.failures, metrics.pools["cma"].dry), (1, 1, 1));
    let text = serde_json::to_string(&metrics).unwrap();
    assert_eq!(serde_json::from_str::<heapwright_alloc::buffers::Metrics>(&text).unwrap(), metrics);
}

#[test]
fn a_dry_pool_is_left_alone_until_memory_comes_back() {
    let left = bytes(ONE);
    let fixed = heap("fixed", "cma", true, &left);
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    allocator.tick(Duration::from_secs(1));
    let first = allocator.allocate(&want(1)).unwrap();
    let degraded = allocator.allocate(&want(1)).unwrap().degraded.unwrap();
    for _ in 0..10 {
        assert!(!is_whole(&allocator.allocate(&want(1)).unwrap()));
    }
    assert_eq!(asked(&fixed), 2);
    assert!(!allocator.has_recovered(&want(1), &degraded));
    drop(first);
    left.fetch_add(ONE, Ordering::Relaxed);
    assert!(allocator.shortages().is_empty() && allocator.has_recovered(&want(1), &degraded));
    assert!(is_whole(&allocator.allocate(&want(1)).unwrap()));
    assert_eq!(asked(&fixed), 3);
}

#[test]
fn memory_that_others_gave_back_is_found_by_trying_again_ever_more_seldom() {
    let left = bytes(0);
    let fixed = heap("fixed", "cma", true, &left);
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    // Frames of a minute at 60 a second, each wanting a buffer.
    for frame in 0..3600_u64 {
        allocator.tick(Duration::from_millis(frame * 1000 / 60));
        assert!(!is_whole(&allocator.allocate(&want(1)).unwrap()));
    }
    assert_eq!(asked(&fixed), 12, "0.1 s, doubled up to 10 s");
    left.store(u64::MAX, Ordering::Relaxed);
    allocator.tick(Duration::from_secs(70));
    assert!(is_whole(&allocator.allocate(&want(1)).unwrap()));
    assert!(is_whole(&allocator.allocate(&want(1)).unwrap()));
}

#[test]
fn without_a_clock_every_want_tries_anew() {
    let left = bytes(0);
    let fixed = heap("fixed", "cma", true, &left);
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    assert!(!is_whole(&allocator.allocate(&want(1)).unwrap()));
    left.store(ONE, Ordering::Relaxed);
    assert!(is_whole(&allocator.allocate(&want(1)).unwrap()));
}

#[test]
fn two_heaps_of_one_pool_run_dry_together_and_smaller_buffers_may_still_fit() {
    let left = bytes(ONE);
    let (one, two) = (heap("node-1", "cma", true, &left), heap("node-2", "cma", true, &left));
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&one, &two, &elastic]);
    allocator.tick(Duration::from_secs(1));
    assert!(!is_whole(&allocator.allocate(&want(2)).unwrap()));
    assert_eq!(
        asked(&one) + asked(&two),
        2,
        "the second node was not tried for what the first could not give"
    );
    // The buffer that was had and freed on the way is no sign of new memory.
    assert!(!is_whole(&allocator.allocate(&want(2)).unwrap()));
    assert_eq!(asked(&one) + asked(&two), 2);
    left.store(ONE, Ordering::Relaxed);
    assert!(is_whole(&allocator.allocate(&want(1)).unwrap()));
}

#[test]
fn what_the_kernel_says_is_free_needs_no_failure() {
    let left = bytes(ONE);
    let mut told = heap("fixed", "cma", true, &left);
    Arc::get_mut(&mut told).unwrap().tells_free = true;
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&told, &elastic]);
    let made = allocator.allocate(&want(2)).unwrap();
    let degraded = made.degraded.unwrap();
    assert_eq!((asked(&told), made.failures.len(), degraded.short[0].free), (0, 0, ONE));
    assert!(!allocator.has_recovered(&want(2), &degraded));
    left.store(2 * ONE, Ordering::Relaxed);
    assert!(allocator.has_recovered(&want(2), &degraded));
}

#[test]
fn who_cannot_do_without_gets_an_error_that_names_the_pool() {
    let fixed = heap("fixed", "cma", true, &bytes(0));
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    allocator.tick(Duration::from_secs(1));
    let mut want = want(1);
    want.participants[1].required = true;
    for _ in 0..2 {
        let text = allocator.allocate(&want).unwrap_err().to_string();
        assert!(text.contains("pool cma is short: at most 16383 bytes free"), "{text}");
    }
    assert_eq!(asked(&fixed), 1);
}

#[test]
fn what_never_could_be_had_is_no_degradation() {
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let made = allocator(&[&elastic]).allocate(&want(1)).unwrap();
    assert_eq!((made.resolution.dropped.as_slice(), made.degraded), (&["screen".to_owned()][..], None));
}

#[test]
fn the_quota_of_a_pool_of_memory_turns_to_another_heap_and_an_owners_is_an_error() {
    let fixed = heap("fixed", "cma", true, &bytes(u64::MAX));
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let allocator = allocator(&[&fixed, &elastic]);
    let pool = allocator.pool(PoolLimits { owner: Limit::of_count(3), ..PoolLimits::default() });
    pool.set_memory_limit("cma", Limit { count: None, bytes: Some(2 * ONE) });
    let owner = Owner::new(7);
    let first = allocator.allocate_pooled(&want(2), &pool, owner).unwrap();
    assert!(is_whole(&first));
    let second = allocator.allocate_pooled(&want(1), &pool, owner).unwrap();
    let degraded = second.degraded.as_ref().unwrap();
    assert_eq!((degraded.dropped.as_slice(), degraded.short[0].retry_at), (&["screen".to_owned()][..], None));
    assert!(second.failures[0].to_string().contains("quota of pool cma: 32768 of 32768 bytes used"));
    let error = allocator.allocate_pooled(&want(1), &pool, owner).unwrap_err();
    assert!(matches!(error, AllocatorError::Quota(_)), "{error}");
    drop(first);
    // From the shelf, and counted by allocator and pool alike.
    let again = allocator.allocate_pooled(&want(2), &pool, owner).unwrap();
    assert!(is_whole(&again));
    assert_eq!((pool.metrics().recycled, allocator.metrics().allocations), (2, 3));
}

#[test]
fn without_descriptors_no_other_heap_is_blamed() {
    let mut broke = heap("a", "ram", false, &bytes(u64::MAX));
    let error = AllocError::NoDescriptors { heap: HeapId::new("a") };
    Arc::get_mut(&mut broke).unwrap().fails_with = Some(error);
    let other = heap("b", "ram", false, &bytes(u64::MAX));
    let error = allocator(&[&broke, &other]).allocate(&want(1)).unwrap_err();
    assert!(error.to_string().contains("raise RLIMIT_NOFILE"), "{error}");
    assert_eq!((asked(&broke), asked(&other)), (1, 0));
}

/// As [`want`], two at least, and so many to spare.
fn with_spare(spare: u32) -> Want<'static> {
    let mut want = want(2);
    want.participants[0].counts = Counts { camping: Some(2), shared_slack: Some(spare), ..Counts::default() };
    want
}

#[test]
fn spare_buffers_are_given_up_before_the_screen_is() {
    // The same whether the kernel says what is free, or only fails.
    for tells_free in [true, false] {
        let mut fixed = heap("fixed", "cma", true, &bytes(4 * ONE));
        let fake = Arc::get_mut(&mut fixed).unwrap();
        (fake.tells_free, fake.given_back) = (tells_free, 4 * ONE);
        let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
        let allocator = allocator(&[&fixed, &elastic]);
        allocator.tick(Duration::from_secs(1));
        let foreseen = if tells_free { 4 } else { 5 };
        assert!(matches!(allocator.foresee(&with_spare(3)), Answer::Solved(it) if it.count == foreseen));
        let made = allocator.allocate(&with_spare(3)).unwrap();
        let degraded = made.degraded.as_ref().unwrap();
        assert_eq!((made.buffers.len(), made.resolution.heap.as_str(), asked(&elastic)), (4, "fixed", 0));
        assert_eq!((degraded.buffers, degraded.wanted.count, degraded.dropped.len()), (Some(4), 5, 0));
        assert_eq!(degraded.to_string(), "pool cma has no room for 5 x 16384 bytes: makes do with 4");
        assert!(!allocator.has_recovered(&with_spare(3), degraded));
        // What was given up stays so until there is room for all of it.
        let held = made.buffers;
        assert_eq!(held.len(), 4);
        fixed.left.fetch_add(5 * ONE, Ordering::Relaxed);
        allocator.tick(Duration::from_secs(100));
        assert!(allocator.has_recovered(&with_spare(3), degraded));
        assert!(matches!(allocator.foresee(&with_spare(3)), Answer::Solved(it) if it.count == 5));
        assert!(is_whole(&allocator.allocate(&with_spare(3)).unwrap()));
    }
}

#[test]
fn with_no_room_for_the_least_the_screen_goes_and_all_spare_buffers_stay() {
    let fixed = heap("fixed", "cma", true, &bytes(ONE));
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    let made = allocator(&[&fixed, &elastic]).allocate(&with_spare(1)).unwrap();
    let degraded = made.degraded.unwrap();
    assert_eq!(
        (made.buffers.len(), degraded.buffers, degraded.dropped),
        (3, None, vec!["screen".to_owned()])
    );
}

#[test]
fn a_machine_too_small_for_all_spare_buffers_gives_as_many_as_it_has() {
    // No other memory at all, and what is wanted at least is what there is.
    let mut fixed = heap("fixed", "cma", true, &bytes(2 * ONE));
    Arc::get_mut(&mut fixed).unwrap().tells_free = true;
    let made = allocator(&[&fixed]).allocate(&with_spare(60)).unwrap();
    assert_eq!((made.buffers.len(), made.resolution.dropped.len()), (2, 0));
    let degraded = made.degraded.unwrap();
    assert_eq!((degraded.buffers, degraded.wanted.count), (Some(2), 62));
    // Who has none to spare gets none.
    let fixed = heap("fixed", "cma", true, &bytes(2 * ONE));
    assert!(matches!(allocator(&[&fixed]).allocate(&want(3)), Err(AllocatorError::Unsolved { .. })));
}

#[test]
fn in_a_pool_that_never_has_room_for_all_the_most_that_it_can_have_is_waited_for() {
    let elastic = heap("elastic", "ram", false, &bytes(u64::MAX));
    // Four buffers at most, of which one, two and three can be had now.
    for (free, had, lost) in [(1, 5, 1), (2, 2, 0), (3, 3, 0)] {
        let fixed = told(4 * ONE, free * ONE);
        let allocator = allocator(&[&fixed, &elastic]);
        let made = allocator.allocate(&with_spare(3)).unwrap();
        let degraded = made.degraded.as_ref().unwrap();
        assert_eq!((made.buffers.len(), degraded.dropped.len()), (had, lost), "{free}");
        assert_eq!((degraded.wanted.count, degraded.wanted.dropped.len()), (4, 0), "{free}");
        assert!(!allocator.has_recovered(&with_spare(3), degraded), "{free}");
        fixed.left.store(4 * ONE, Ordering::Relaxed);
        assert!(allocator.has_recovered(&with_spare(3), degraded), "{free}");
        let whole = allocator.allocate(&with_spare(3)).unwrap();
        assert_eq!((whole.buffers.len(), whole.degraded), (4, None), "{free}");
    }
}

#[test]
fn spare_buffers_beyond_all_measure_are_no_reason_to_go_without_any() {
    let allocator = allocator(&[&told(1 << 30, 1 << 30)]);
    let mut want = with_spare(u32::MAX);
    assert_eq!(want.most(), 64);
    assert_eq!(allocator.allocate(&want).unwrap().buffers.len(), 64);
    want.participants[0].counts.camping = Some(u32::MAX);
    assert_eq!(want.most(), 64);
    assert!(allocator.allocate(&want).is_err());
}
