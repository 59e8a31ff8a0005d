//! The problem made ready for the search: sorted so that its order is of no consequence, and asked beforehand
//! whatever can be asked of one participant alone.

use std::cmp::Reverse;
use std::ops::Range;

use super::choices::{Choices, Universe};
use super::heap::{Heap, Pools, permitted_pools, refuses_heap};
use super::link::{LinkTable, Settled};
use super::merge::Clash;
use super::problem::{OptionSpec, Participant, Problem, Size};
use super::steps::{OutOfSteps, Steps};
use crate::constraints::LayoutLimits;

/// What a relaxed problem leaves out beyond what can be said in a [`Problem`]. Used to find conflicts.
#[derive(Debug, Clone, Default)]
pub(super) struct Waivers {
    /// Names of participants whose links are ignored, sorted.
    pub links: Vec<String>,
    /// Where nobody states a relation of chroma pitch, any will do.
    pub chroma_pitch: bool,
    /// Nobody need pin the format and modifier: what nobody pins may be any of these.
    pub unpinned: Option<Universe>,
}

/// A participant, ready.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub spec: &'a Participant,
    /// The choices it has to make, in [`Prepared::choices`].
    pub slots: Range<usize>,
    pub behind_iommu: bool,
    /// Number of its device; devices are numbered by name, 0 is none.
    pub device: usize,
    /// Whether it has layout limits of its own, beside those of its options.
    pub has_limits: bool,
    permitted: Option<Vec<&'a str>>,
    waives_links: bool,
}

impl Part<'_> {
    pub fn required(&self) -> bool {
        self.spec.required
    }

    pub fn weight(&self) -> u64 {
        if self.spec.required { 0 } else { u64::from(self.spec.weight) }
    }
}

/// The problem, ready.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub problem: &'a Problem,
    pub waivers: Waivers,
    /// Required ones first, then the heaviest; by name where that leaves a choice.
    pub parts: Vec<Part<'a>>,
    pub choices: Choices<'a>,
    /// Sorted by pool, then id: the order in which ties are settled.
    pub heaps: Vec<Heap<'a>>,
    /// Heaps that can be opened, class by class.
    pub classes: Vec<Class>,
    /// One more than the number of devices.
    pub devices: usize,
    links: LinkTable,
}

/// Heaps that are refused by the same participants: the search cannot tell them apart until it has a layout.
#[derive(Debug)]
pub(super) struct Class {
    /// One bit per participant that refuses them.
    refused_by: Vec<u64>,
    /// In [`Prepared::heaps`].
    pub heaps: Vec<usize>,
}

impl Class {
    pub fn is_refused_by(&self, part: usize) -> bool {
        self.refused_by.get(part / 64).is_some_and(|bits| (bits >> (part % 64)) & 1 == 1)
    }
}

impl<'a> Prepared<'a> {
    pub fn new(
        problem: &'a Problem,
        waivers: Waivers,
        steps: &mut Steps,
    ) -> Result<Prepared<'a>, OutOfSteps> {
        let mut order: Vec<&Participant> = problem.participants.iter().collect();
        order.sort_unstable_by_key(|p| (!p.required, Reverse(p.weight), p.name.as_str()));
        let mut iommu: Vec<&str> = problem.iommu.iter().map(String::as_str).collect();
        iommu.sort_unstable();
        let mut devices: Vec<&str> = order.iter().filter_map(|p| p.device.as_deref()).collect();
        devices.sort_unstable();
        devices.dedup();

        let pools = Pools::of(&problem.heaps);
        let mut heaps: Vec<Heap<'a>> =
            problem.heaps.iter().map(|facts| Heap { facts, budget: pools.budget(facts.pool()) }).collect();
        heaps.sort_unstable_by_key(|heap| (heap.facts.pool(), heap.facts.id.as_str()));
        let mut by_id: Vec<(&str, usize)> =
            heaps.iter().enumerate().map(|(at, heap)| (heap.facts.id.as_str(), at)).collect();
        by_id.sort_unstable();

        let ranks: Vec<(usize, Option<u32>)> =
            order.iter().map(|spec| options_and_worst_rank(spec)).collect();
        let options = ranks.iter().map(|(options, _)| 1 + options).sum::<usize>();
        let worst = ranks.iter().filter_map(|(_, worst)| *worst).max();
        let permitted =
            order.iter().filter_map(|p| p.memory.permitted_heaps.as_ref()).map(Vec::len).sum::<usize>();
        steps.take(options + permitted + problem.links.len() + order.len() * (1 + heaps.len()))?;

        let mut choices = Choices::new(problem.size, order.len(), options);
        let mut parts = Vec::with_capacity(order.len());
        for (spec, (_, own_worst)) in order.into_iter().zip(ranks) {
            // Worse than every rank listed where this participant lists some, so never equal to one of them;
            // where it lists none, its options are all alike and the worst rank of the others stands for
            // each.
            let unlisted = u64::from(worst.unwrap_or(0)) + u64::from(own_worst.is_some());
            let device = spec.device.as_deref();
            parts.push(Part {
                spec,
                slots: choices.add(spec, unlisted),
                behind_iommu: device.is_some_and(|device| iommu.binary_search(&device).is_ok()),
                device: device.and_then(|device| devices.binary_search(&device).ok()).map_or(0, |at| at + 1),
                has_limits: spec.limits != LayoutLimits::NONE,
                permitted: permitted_pools(spec, &by_id, &heaps),
                waives_links: waivers.links.binary_search(&spec.name).is_ok(),
            });
        }
        let links = LinkTable::new(&problem.links, &devices, &by_id);
        let classes = Vec::with_capacity(heaps.len());
        let devices = devices.len() + 1;
        let mut prepared = Prepared { problem, waivers, parts, choices, heaps, classes, devices, links };
        prepared.classify();
        Ok(prepared)
    }

    /// Groups the heaps by who refuses them.
    fn classify(&mut self) {
        let words = self.parts.len().div_ceil(64).max(1);
        let mut bits = vec![0_u64; words * self.heaps.len()];
        for ((at, heap), row) in self.heaps.iter().enumerate().zip(bits.chunks_mut(words)) {
            for (word, parts) in row.iter_mut().zip(self.parts.chunks(64)) {
                for (bit, part) in parts.iter().enumerate() {
                    *word |= u64::from(self.refusal(part, at, heap).is_some()) << bit;
                }
            }
        }
        let usable = |heap: &Heap<'_>| heap.facts.can_open && heap.facts.max_ranges != Some(0);
        let mut rows: Vec<(&[u64], usize)> = bits.chunks(words).zip(0..).collect();
        rows.retain(|(_, at)| self.heaps.get(*at).is_some_and(usable));
        rows.sort_unstable();
        for (row, heap) in rows {
            match self.classes.last_mut() {
                Some(class) if class.refused_by == row => class.heaps.push(heap),
                _ => self.classes.push(Class { refused_by: row.to_vec(), heaps: vec![heap] }),
            }
        }
    }

    /// What is said of a participant's device using a heap, by its place.
    pub fn link(&self, part: &Part<'a>, heap: usize) -> Settled {
        if part.waives_links { Settled::default() } else { self.links.get(part.device, heap) }
    }

    /// The first field of a participant that forbids a heap, whatever the others want.
    pub fn refusal(&self, part: &Part<'a>, at: usize, heap: &Heap<'a>) -> Option<Clash> {
        refuses_heap(part.spec, part.behind_iommu, part.permitted.as_deref(), heap, &self.link(part, at))
    }

    /// The slots of the required participants.
    pub fn required_slots(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter(|part| part.required()).flat_map(|part| part.slots.clone())
    }

    /// The picture's size.
    pub fn size(&self) -> Size {
        self.problem.size
    }
}

/// Every list of options of a participant.
pub(super) fn offered(participant: &Participant) -> impl Iterator<Item = &Vec<OptionSpec>> {
    let alternatives = participant.alternatives.iter().flatten();
    let grouped = participant.groups.iter().flatten().flatten();
    participant.options.iter().chain(alternatives.chain(grouped).map(|alternative| &alternative.options))
}

/// How many options a participant lists, and the worst rank among them.
fn options_and_worst_rank(participant: &Participant) -> (usize, Option<u32>) {
    offered(participant).fold((0, None), |(count, worst), options| {
        (count + options.len(), options.iter().map(|option| option.rank).max().flatten().max(worst))
    })
}
