//! From participants to buffers: build the problem, solve it, try the answer, allocate, and think again where the
//! kernel says no.
//!
//! Only what the solver chose is tried, at the layout it chose: when the kernel refuses, the refusal becomes a link and
//! the solver is asked again. So a heap nobody would choose is never touched, and nothing is chosen untried.
//!
//! When a pool of memory runs dry, what it failed to give is what the solver is told is not free: it then finds another
//! pool, or drops an optional participant (the display: a copy is made then), and the answer says so. See `shortage.rs`
//! for how that ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::degradation::{Scarcity, has_room};
use super::ledger::Ledger;
use super::spare::{Found, solve_within_means, within_means};
use super::trying::{for_options, pair_of};
use super::{
    Allocated, AllocatorError, Buffer, BufferPool, Degradation, Layout, Metrics, Owner, PoolLimits,
    PooledBuffer, Shortage, Want,
};
use crate::devices::{KmsDevice, RenderNode, V4l2Device};
use crate::heaps::{DumbHeap, Heap, HeapList};
use crate::links::quirks::{KernelVersion, Rule, Subject, Table};
use crate::links::{LinkCache, LinkStore, probe_scattered};
use crate::solver::problem::{Evidence, HeapFacts, Link, Participant, Problem, Verdict};
use crate::solver::{Answer, solve};

/// Most answers tried for one want before the last is taken as it is.
const MAX_ROUNDS: usize = 64;

/// The heaps, displays and GPUs of a machine, and what is known of them.
#[derive(Debug)]
pub struct Allocator {
    pub(super) heaps: HeapList,
    pub(super) devices: Vec<Arc<KmsDevice>>,
    pub(super) renderers: Vec<Arc<RenderNode>>,
    pub(super) videos: Vec<Arc<V4l2Device>>,
    pub(super) links: LinkCache,
    pub(super) ledger: Arc<Ledger>,
    quirks: Table,
    kernel: Option<KernelVersion>,
    store: Option<LinkStore>,
}

impl Allocator {
    /// An allocator over these heaps; [`heaps::list`](crate::heaps::list) finds them.
    pub fn new(heaps: HeapList) -> Self {
        Allocator {
            heaps,
            devices: Vec::new(),
            renderers: Vec::new(),
            videos: Vec::new(),
            links: LinkCache::default(),
            ledger: Arc::default(),
            quirks: Table::default(),
            kernel: KernelVersion::running(),
            store: None,
        }
    }

    /// Begins with what earlier processes found out, and has [`Allocator::save_links`] add to it. To be said before
    /// devices are added.
    #[must_use]
    pub fn with_store(mut self, store: LinkStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps what was found out for later processes. Without a store, nothing.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn save_links(&mut self) -> std::io::Result<()> {
        let heaps = self.heap_facts();
        let Some(store) = &mut self.store else { return Ok(()) };
        for device in &self.devices {
            let own = self.heaps.heaps.iter().filter(|heap| heap.of_device() == Some(device.name()));
            let own: Vec<&str> = own.map(|heap| heap.id().as_str()).collect();
            store.note(device, &heaps, &own, &self.links);
        }
        store.save()
    }

    /// What is known of every heap now, in the order of [`Allocator::heaps`]: what it says of itself, and what follows from
    /// the quirks of the display whose memory it is.
    #[must_use]
    pub fn heap_facts(&self) -> Vec<HeapFacts> {
        self.heaps.heaps.iter().map(|heap| self.facts_of(&**heap)).collect()
    }

    pub(super) fn facts_of(&self, heap: &dyn Heap) -> HeapFacts {
        let mut facts = heap.facts();
        let display = self.devices.iter().find(|device| heap.of_device() == Some(device.name()));
        // One that can show nothing else shows its own memory, wherever that lies.
        facts.contiguous |= display.is_some_and(|it| self.quirks.wants_contiguous(&self.subject(it)));
        facts
    }

    /// Goes by a table of quirks, as [`quirks::installed`](crate::links::quirks::installed) gives it; without one, only by
    /// what devices say and what is tried.
    #[must_use]
    pub fn with_quirks(mut self, quirks: Table) -> Self {
        self.quirks = quirks;
        self
    }

    /// The quirks that hold for a display.
    pub fn quirks_of(&self, device: &KmsDevice) -> Vec<Rule> {
        self.quirks.of(&self.subject(device))
    }

    /// Whether a display takes only memory in one piece, as far as is known: by its quirks, or because it was tried.
    #[must_use]
    pub fn wants_contiguous(&self, device: &KmsDevice) -> bool {
        self.quirks.wants_contiguous(&self.subject(device)) || device.refuses_pieces()
    }

    fn subject<'a>(&self, device: &'a KmsDevice) -> Subject<'a> {
        Subject {
            device: device.name(),
            driver: device.driver(),
            kernel: self.kernel,
            iommu: device.behind_iommu(),
        }
    }

    /// A pool that recycles buffers, for [`Allocator::allocate_pooled`]. It and this allocator count together.
    pub fn pool(&self, limits: PoolLimits) -> BufferPool {
        BufferPool::with_ledger(limits, Arc::clone(&self.ledger))
    }

    /// It is `now`, in a time that only rises and starts anywhere: pools that ran dry are tried again when their wait is
    /// over. [`BufferPool::trim`] of this allocator's pools tells it too. An allocator that is never told the time
    /// remembers no shortage beyond the allocation that met it.
    pub fn tick(&self, now: Duration) {
        self.ledger.tick(now);
    }

    /// Pools that are known to be short, and when they will be tried again.
    pub fn shortages(&self) -> Vec<Shortage> {
        self.ledger.shortages()
    }

    /// What happened so far.
    pub fn metrics(&self) -> Metrics {
        self.ledger.metrics()
    }

    /// Whether a want that was degraded would now get what it could not have then, as far as can be known without
    /// trying: then it is worth allocating again.
    pub fn has_recovered(&self, want: &Want<'_>, degraded: &Degradation) -> bool {
        match solve_within_means(&self.problem(want)) {
            Answer::Solved(answer) => has_room(&answer, degraded),
            _ => false,
        }
    }

    /// Adds a display: finds out whether it takes memory in pieces, and lists its dumb buffers as a heap.
    pub fn with_device(&mut self, device: Arc<KmsDevice>) {
        if self.devices.iter().any(|known| known.name() == device.name()) {
            return;
        }
        if let Some(heap) = DumbHeap::new(Arc::clone(&device)) {
            self.heaps.heaps.push(Arc::new(heap));
        }
        self.renderers.retain(|known| known.name() != device.name());
        self.devices.push(Arc::clone(&device));
        if let Some(store) = &self.store {
            // Of the others too: the new device's memory is a heap for them.
            let heaps = self.heap_facts();
            for known in &self.devices {
                store.recall(known, &heaps, &self.links);
            }
        }
        // Not tried again where it was recalled.
        probe_scattered(&device, &self.heaps);
    }

    /// Adds a GPU: heaps that the solver chooses for it are tried with it. Of one that is also a display here only the
    /// display is tried, which asks for more: both go by one name.
    pub fn with_renderer(&mut self, node: Arc<RenderNode>) {
        let is = |name: &str| name == node.name();
        if !self.devices.iter().any(|known| is(known.name()))
            && !self.renderers.iter().any(|known| is(known.name()))
        {
            self.renderers.push(node);
        }
    }

    /// Takes a display away that is not to be used any more, with its memory as a heap and with what was found out about
    /// it: for one that [`has_vanished`](KmsDevice::has_vanished), whose name may soon be another's. Buffers of its memory
    /// that are held stay valid. `None` when there is no display of that name.
    pub fn without_device(&mut self, name: &str) -> Option<Arc<KmsDevice>> {
        let index = self.devices.iter().position(|known| known.name() == name)?;
        self.heaps.heaps.retain(|heap| heap.of_device() != Some(name));
        self.links.forget(name);
        Some(self.devices.remove(index))
    }

    /// The heaps.
    pub fn heaps(&self) -> &HeapList {
        &self.heaps
    }

    /// The displays.
    pub fn devices(&self) -> &[Arc<KmsDevice>] {
        &self.devices
    }

    /// The GPUs that are no displays.
    pub fn renderers(&self) -> &[Arc<RenderNode>] {
        &self.renderers
    }

    /// What was tried so far, and how it went.
    pub fn links(&self) -> &LinkCache {
        &self.links
    }

    /// The question as it stands now: participants, heaps, what is known of both. Tries nothing.
    pub fn problem(&self, want: &Want<'_>) -> Problem {
        self.problem_within(want, &Scarcity::new(self.ledger.shortages()))
    }

    /// Solves a want, trying what the solver chooses until it chooses nothing untried. Allocates nothing that stays.
    pub fn resolve(&self, want: &Want<'_>) -> (Problem, Answer) {
        self.resolve_within(want, &Scarcity::new(self.ledger.shortages()))
    }

    /// What [`Allocator::allocate`] would answer now, as far as can be known without allocating: where memory is short,
    /// with fewer spare buffers rather than without somebody.
    #[must_use]
    pub fn foresee(&self, want: &Want<'_>) -> Answer {
        self.resolve_within_means(want, &Scarcity::new(self.ledger.shortages())).found.1
    }

    /// Allocates what is wanted. Where memory is short, with fewer spare buffers ([`Counts`](crate::constraints::Counts))
    /// rather than without somebody: [`Allocated::degraded`] says so.
    ///
    /// # Errors
    /// [`AllocatorError`] with the solver's reasons and every heap that failed; nothing stays allocated.
    pub fn allocate(&self, want: &Want<'_>) -> Result<Allocated, AllocatorError> {
        self.carry_out(want, |heap, layout| Ok(Buffer::entered(heap, layout, want.name, &self.ledger)?))
    }

    /// Allocates what is wanted, for `owner`, with buffers of `pool` where it has such.
    ///
    /// # Errors
    /// As [`Allocator::allocate`], and [`AllocatorError::Quota`] when the owner has had its share. The quota of a pool of
    /// memory is no error while another heap serves.
    pub fn allocate_pooled(
        &self,
        want: &Want<'_>,
        pool: &BufferPool,
        owner: Owner,
    ) -> Result<Allocated<PooledBuffer>, AllocatorError> {
        self.carry_out(want, |heap, layout| pool.take(heap, layout, owner, want.name))
    }

    fn problem_within(&self, want: &Want<'_>, scarcity: &Scarcity) -> Problem {
        let mut participants = want.participants.clone();
        for participant in &mut participants {
            self.apply_findings(participant);
            self.apply_video_findings(participant);
        }
        let mut names: Vec<&str> = participants.iter().filter_map(|it| it.device.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let usable = |heap: &&Arc<dyn Heap>| {
            !scarcity.has_failed(heap.id()) && (heap.makes_dma_bufs() || !want.dma_buf_only)
        };
        let heaps: Vec<&Arc<dyn Heap>> = self.heaps.heaps.iter().filter(usable).collect();
        // No format takes fewer bytes than a few bits per pixel; 4 bytes is what most buffers have.
        let mut links = self.links.links(want.size.area().saturating_mul(4));
        for heap in heaps.iter().filter(|heap| !heap.makes_dma_bufs()) {
            let none = |device: &&str| Link {
                device: (*device).to_owned(),
                heap: heap.id().as_str().to_owned(),
                verdict: Verdict::Refuses,
                evidence: Evidence::Declared,
                bytes: None,
            };
            links.extend(names.iter().map(none));
        }
        let iommu = self.devices.iter().filter(|it| it.behind_iommu() && it.takes_scattered() != Some(false));
        let heaps: Vec<_> = heaps.into_iter().map(|heap| scarcity.applied(self.facts_of(&**heap))).collect();
        let shows = |device: &&Arc<KmsDevice>| {
            let mut all = participants.iter().filter_map(|it| self.display_of(it));
            all.any(|display| display.name() == device.name())
        };
        for device in self.devices.iter().filter(shows) {
            links.extend(self.quirks.links(&self.subject(device), &heaps));
        }
        Problem {
            size: want.size,
            count: want.count.max(1),
            heaps,
            links,
            iommu: iommu.map(|it| it.name()).chain(self.videos_behind_iommu()).map(str::to_owned).collect(),
            participants,
        }
    }

    /// What was found out after a participant was described.
    fn apply_findings(&self, participant: &mut Participant) {
        let Some(device) = self.display_of(participant) else { return };
        self.quirks.narrow(&self.subject(device), participant);
        if device.takes_scattered() == Some(false) {
            participant.memory.contiguous = true;
        }
        for_options(participant, |option| {
            if let Some(align) = pair_of(option).and_then(|pair| self.links.pitch_align(device.name(), pair))
            {
                let old = option.limits.pitch_align.unwrap_or(1);
                if old % align != 0 {
                    option.limits.pitch_align = Some(align);
                }
            }
        });
    }

    /// As [`Allocator::resolve_within`], with fewer spare buffers rather than without somebody.
    pub(super) fn resolve_within_means(
        &self,
        want: &Want<'_>,
        scarcity: &Scarcity,
    ) -> Found<(Problem, Answer)> {
        let ask = |count| self.resolve_within(&want.of_only(count), scarcity);
        let whole = self.resolve_within(want, scarcity);
        within_means((&want.participants, want.count), whole, |(_, answer)| answer, ask)
    }

    pub(super) fn resolve_within(&self, want: &Want<'_>, scarcity: &Scarcity) -> (Problem, Answer) {
        let mut problem = self.problem_within(want, scarcity);
        let mut tried = HashSet::new();
        for _ in 0..MAX_ROUNDS {
            let Answer::Solved(resolution) = solve(&problem) else { break };
            let Ok(layout) = Layout::of(&resolution, want.size) else { break };
            if !self.try_answer(want, &mut problem, &resolution, &layout, &mut tried) {
                return (problem, Answer::Solved(resolution));
            }
        }
        let answer = solve(&problem);
        (problem, answer)
    }
}
