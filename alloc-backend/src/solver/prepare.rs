//! The problem made ready for the search: sorted so that its order is of no consequence, and asked beforehand
//! whatever can be asked of one participant alone.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use super::heap::{Heap, Pools, permitted_pools, refuses_heap};
use super::layout::refuses_size;
use super::link::Settled;
use super::merge::Clash;
use super::problem::{Alternative, Fourcc, Match, Modifier, OptionSpec, Participant, Problem, Size};
use super::steps::{OutOfSteps, Steps};

/// A format and a modifier.
pub(super) type Pair = (Fourcc, Modifier);

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

/// The formats and modifiers among which `any` chooses, sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Universe {
    pub formats: Vec<Fourcc>,
    pub modifiers: Vec<Modifier>,
}

impl Universe {
    /// Those that some option names.
    pub fn of<'o>(options: impl Iterator<Item = &'o OptionSpec>) -> Universe {
        let mut universe = Universe::default();
        for option in options {
            universe.formats.extend(option.format.exact());
            universe.modifiers.extend(option.modifier.exact());
        }
        universe.sort();
        universe
    }

    pub fn sort(&mut self) {
        self.formats.sort_unstable();
        self.formats.dedup();
        self.modifiers.sort_unstable();
        self.modifiers.dedup();
    }
}

/// A participant, ready.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub spec: &'a Participant,
    /// Its slots in [`Prepared::slots`]: one for each choice it has to make.
    pub slots: Range<usize>,
    pub behind_iommu: bool,
    /// Number of its device; devices are numbered by name, 0 is none.
    pub device: usize,
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

/// One choice a participant has to make: of an alternative, and in it of an option.
#[derive(Debug)]
pub(super) struct Slot {
    /// The participant in [`Prepared::parts`].
    pub part: usize,
    /// Options for one (format, modifier), sorted by it, in [`Prepared::choices`].
    exact: Range<usize>,
    /// Options with `any`.
    wild: Range<usize>,
}

/// One option that can be chosen.
#[derive(Debug, Copy, Clone)]
pub(super) struct Choice<'a> {
    pub option: &'a OptionSpec,
    /// Place of its alternative in the list.
    pub alternative: usize,
    /// Place in its alternative: the caller's order.
    pub place: u64,
    /// Its rank, or that of an option without one.
    pub rank: u64,
}

impl Choice<'_> {
    fn pair(&self) -> Option<Pair> {
        Some((self.option.format.exact()?, self.option.modifier.exact()?))
    }

    fn matches(&self, pair: Pair) -> bool {
        let fits = |ok: bool, any: bool| ok || any;
        fits(self.option.format == Match::Is(pair.0), self.option.format == Match::Any)
            && fits(self.option.modifier == Match::Is(pair.1), self.option.modifier == Match::Any)
    }
}

/// The problem, ready.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub problem: &'a Problem,
    pub waivers: Waivers,
    /// Required ones first, then the heaviest; by name where that leaves a choice.
    pub parts: Vec<Part<'a>>,
    pub slots: Vec<Slot>,
    pub choices: Vec<Choice<'a>>,
    /// Sorted by pool, then id: the order in which ties are settled.
    pub heaps: Vec<Heap<'a>>,
    /// Heaps that can be opened and are refused by the same participants: the search cannot tell them apart
    /// until it has a layout.
    pub classes: Vec<Class>,
    pub devices: usize,
    links: BTreeMap<(&'a str, &'a str), Settled>,
}

/// Heaps that are refused by the same participants.
#[derive(Debug)]
pub(super) struct Class {
    /// One bit per participant that refuses them.
    refused_by: Vec<u64>,
    /// In [`Prepared::heaps`].
    pub heaps: Vec<usize>,
}

impl Class {
    pub fn is_refused_by(&self, part: usize) -> bool {
        self.refused_by.get(part / 64).is_some_and(|bits| bits >> (part % 64) & 1 == 1)
    }
}

static ANYTHING: OptionSpec = OptionSpec {
    format: Match::Any,
    modifier: Match::Any,
    rank: None,
    limits: crate::constraints::LayoutLimits::NONE,
};

impl<'a> Prepared<'a> {
    pub fn new(
        problem: &'a Problem,
        waivers: Waivers,
        steps: &mut Steps,
    ) -> Result<Prepared<'a>, OutOfSteps> {
        let options: usize =
            problem.participants.iter().map(|p| 1 + offered(p).map(Vec::len).sum::<usize>()).sum();
        steps.take(options + problem.links.len() + problem.participants.len() * (1 + problem.heaps.len()))?;

        let mut by_id: Vec<(&str, &str)> = problem.heaps.iter().map(|h| (h.id.as_str(), h.pool())).collect();
        by_id.sort_unstable();
        let pools = Pools::of(&problem.heaps);
        let mut heaps: Vec<Heap<'a>> =
            problem.heaps.iter().map(|facts| Heap { facts, budget: pools.budget(facts.pool()) }).collect();
        heaps.sort_unstable_by_key(|heap| (heap.facts.pool(), heap.facts.id.as_str()));

        let mut links: BTreeMap<(&str, &str), Settled> = BTreeMap::new();
        for link in &problem.links {
            links.entry((&link.device, &link.heap)).or_default().add(link);
        }

        let mut order: Vec<&Participant> = problem.participants.iter().collect();
        order.sort_unstable_by_key(|p| (!p.required, Reverse(p.weight), p.name.as_str()));
        let mut iommu: Vec<&str> = problem.iommu.iter().map(String::as_str).collect();
        iommu.sort_unstable();
        let mut devices: Vec<&str> = order.iter().filter_map(|p| p.device.as_deref()).collect();
        devices.sort_unstable();
        devices.dedup();

        let mut prepared = Prepared {
            problem,
            waivers,
            parts: Vec::with_capacity(order.len()),
            slots: Vec::with_capacity(order.len()),
            choices: Vec::with_capacity(options),
            heaps,
            classes: Vec::new(),
            devices: devices.len() + 1,
            links,
        };
        let worst = worst_rank(order.iter().copied());
        for spec in order {
            let first = prepared.slots.len();
            prepared.add_slots(spec, worst);
            let device = spec.device.as_deref();
            prepared.parts.push(Part {
                spec,
                slots: first..prepared.slots.len(),
                behind_iommu: device.is_some_and(|device| iommu.binary_search(&device).is_ok()),
                device: device.and_then(|device| devices.binary_search(&device).ok()).map_or(0, |at| at + 1),
                permitted: permitted_pools(spec, &by_id),
                waives_links: prepared.waivers.links.binary_search(&spec.name).is_ok(),
            });
        }
        prepared.classify();
        Ok(prepared)
    }

    fn add_slots(&mut self, spec: &'a Participant, worst: Option<u32>) {
        let part = self.parts.len();
        let own_worst = worst_rank([spec]);
        // Worse than every rank listed where this participant lists some, so never equal to one of them;
        // where it lists none, its options are all alike and the worst rank of the others stands for each.
        let unlisted = u64::from(worst.unwrap_or(0)) + u64::from(own_worst.is_some());
        let choice = |option: &'a OptionSpec, alternative, place: usize| Choice {
            option,
            alternative,
            place: place as u64,
            rank: option.rank.map_or(unlisted, u64::from),
        };
        let size = self.problem.size;
        let fits = refuses_size(&spec.limits, size).is_none();
        let mut add = |alternatives: &mut dyn Iterator<Item = Choice<'a>>| {
            let first = self.choices.len();
            self.choices
                .extend(alternatives.filter(|c| fits && refuses_size(&c.option.limits, size).is_none()));
            let new = self.choices.get_mut(first..).unwrap_or_default();
            // `None` sorts first: the wild ones.
            new.sort_unstable_by_key(|c| (c.pair(), c.rank, c.place, c.alternative));
            let wild = first + new.partition_point(|c| c.pair().is_none());
            self.slots.push(Slot { part, exact: wild..self.choices.len(), wild: first..wild });
        };
        let all = |alternatives: &'a [Alternative]| {
            alternatives.iter().enumerate().flat_map(move |(at, alternative)| {
                alternative.options.iter().enumerate().map(move |(place, option)| choice(option, at, place))
            })
        };
        if let Some(options) = &spec.options {
            add(&mut options.iter().enumerate().map(|(place, option)| choice(option, 0, place)));
        } else if let Some(alternatives) = &spec.alternatives {
            add(&mut all(alternatives));
        } else if let Some(groups) = &spec.groups {
            groups.iter().for_each(|group| add(&mut all(group)));
        }
        let says_nothing = spec.options.is_none() && spec.alternatives.is_none();
        if says_nothing && spec.groups.as_ref().is_none_or(Vec::is_empty) {
            add(&mut std::iter::once(choice(&ANYTHING, 0, 0)));
        }
    }

    /// Groups the heaps by who refuses them.
    fn classify(&mut self) {
        let words = self.parts.len().div_ceil(64);
        let mut rows: Vec<(Vec<u64>, usize)> = Vec::with_capacity(self.heaps.len());
        for (at, heap) in self.heaps.iter().enumerate() {
            if !heap.facts.can_open || heap.facts.max_ranges == Some(0) {
                continue;
            }
            let mut row = vec![0_u64; words];
            for (word, parts) in row.iter_mut().zip(self.parts.chunks(64)) {
                for (bit, part) in parts.iter().enumerate() {
                    *word |= u64::from(self.refusal(part, heap).is_some()) << bit;
                }
            }
            rows.push((row, at));
        }
        rows.sort_unstable();
        for (row, heap) in rows {
            match self.classes.last_mut() {
                Some(class) if class.refused_by == row => class.heaps.push(heap),
                _ => self.classes.push(Class { refused_by: row, heaps: vec![heap] }),
            }
        }
    }

    /// What is said of a participant's device using a heap.
    pub fn link(&self, part: &Part<'a>, heap: &Heap<'a>) -> Settled {
        match &part.spec.device {
            Some(device) if !self.links.is_empty() && !part.waives_links => {
                self.links.get(&(device.as_str(), heap.facts.id.as_str())).copied().unwrap_or_default()
            }
            _ => Settled::default(),
        }
    }

    /// The first field of a participant that forbids a heap, whatever the others want.
    pub fn refusal(&self, part: &Part<'a>, heap: &Heap<'a>) -> Option<Clash> {
        refuses_heap(part.spec, part.behind_iommu, part.permitted.as_deref(), heap, &self.link(part, heap))
    }

    /// The options of a slot that allow a pair, into `out`: the best first. Of two, one is left out if the
    /// other is no worse in any way, so that planes which are all alike cost one.
    ///
    /// Returns how many options were looked at.
    pub fn candidates(&self, slot: &Slot, pair: Pair, out: &mut Vec<usize>) -> usize {
        let exact = self.choices.get(slot.exact.clone()).unwrap_or_default();
        let first = exact.partition_point(|c| c.pair() < Some(pair));
        let begin = out.len();
        let mut looked_at = 1 + slot.wild.len();
        for (at, choice) in exact.iter().enumerate().skip(first) {
            if choice.pair() != Some(pair) {
                break;
            }
            looked_at += 1;
            self.admit(slot.exact.start + at, begin, out);
        }
        if !slot.wild.is_empty() {
            for (at, choice) in self.choices.get(slot.wild.clone()).unwrap_or_default().iter().enumerate() {
                if choice.matches(pair) {
                    self.admit(slot.wild.start + at, begin, out);
                }
            }
            let key = |at: &usize| self.choices.get(*at).map(|c| (c.rank, c.place, c.alternative));
            out.get_mut(begin..).unwrap_or_default().sort_by_key(key);
        }
        looked_at
    }

    /// Whether a slot has an option for a pair.
    pub fn allows(&self, slot: &Slot, pair: Pair) -> bool {
        let exact = self.choices.get(slot.exact.clone()).unwrap_or_default();
        exact.binary_search_by_key(&Some(pair), Choice::pair).is_ok()
            || self
                .choices
                .get(slot.wild.clone())
                .unwrap_or_default()
                .iter()
                .any(|choice| choice.matches(pair))
    }

    /// The best option of one alternative of a slot for a pair.
    pub fn choice_in(&self, slot: usize, alternative: usize, pair: Pair) -> Option<usize> {
        let slot = self.slots.get(slot)?;
        let all = slot.wild.start..slot.exact.end;
        let takes = |choice: &Choice<'_>| choice.alternative == alternative && choice.matches(pair);
        let matching = all
            .filter_map(|at| self.choices.get(at).filter(|choice| takes(choice)).map(|choice| (at, choice)));
        matching.min_by_key(|(_, choice)| (choice.rank, choice.place)).map(|(at, _)| at)
    }

    fn admit(&self, choice: usize, begin: usize, out: &mut Vec<usize>) {
        /// Against how many others a choice is compared: enough for planes that are alike, and no square of a
        /// hostile list.
        const COMPARED: usize = 16;
        let get = |at: usize| self.choices.get(at);
        let Some(new) = get(choice) else { return };
        let kept = out.get(begin..).unwrap_or_default().iter().take(COMPARED);
        let dominated = kept.filter_map(|at| get(*at)).any(|old| {
            old.rank <= new.rank
                && old.place <= new.place
                && old.option.format == new.option.format
                && old.option.modifier == new.option.modifier
                && old.option.limits == new.option.limits
        });
        if !dominated {
            out.push(choice);
        }
    }

    /// The (format, modifier) pairs that can be in an answer, sorted: those that one required slot allows,
    /// else all.
    pub fn pairs(&self, steps: &mut Steps) -> Result<Vec<Pair>, OutOfSteps> {
        let required = self.slots.iter().filter(|s| self.parts.get(s.part).is_some_and(Part::required));
        let pivot = required.min_by_key(|s| (!s.wild.is_empty(), s.exact.len() + s.wild.len()));
        let choices: &[Choice<'_>] = match pivot {
            Some(slot) => self.choices.get(slot.wild.start..slot.exact.end).unwrap_or_default(),
            None => &self.choices,
        };
        let mut pairs: Vec<Pair> = Vec::with_capacity(choices.len());
        pairs.extend(choices.iter().filter_map(Choice::pair));
        let wild: Vec<_> = choices.iter().filter(|c| c.pair().is_none()).collect();
        let nobody = self.slots.is_empty().then_some((Match::Any, Match::Any));
        if !wild.is_empty() || nobody.is_some() {
            let named;
            let universe = match &self.waivers.unpinned {
                Some(universe) => universe,
                None => {
                    named = Universe::of(self.choices.iter().map(|choice| choice.option));
                    &named
                }
            };
            let mut seen: Vec<_> =
                wild.iter().map(|c| (c.option.format, c.option.modifier)).chain(nobody).collect();
            seen.sort_unstable();
            seen.dedup();
            for (format, modifier) in seen {
                let one;
                let formats = match format {
                    Match::Any => universe.formats.as_slice(),
                    Match::Is(format) => {
                        one = [format];
                        &one
                    }
                };
                let single;
                let modifiers = match modifier {
                    Match::Any => universe.modifiers.as_slice(),
                    Match::Is(modifier) => {
                        single = [modifier];
                        &single
                    }
                };
                steps.take(formats.len().saturating_mul(modifiers.len()))?;
                pairs.extend(formats.iter().flat_map(|f| modifiers.iter().map(move |m| (*f, *m))));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok(pairs)
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

fn worst_rank<'a>(participants: impl IntoIterator<Item = &'a Participant>) -> Option<u32> {
    participants.into_iter().flat_map(offered).flatten().filter_map(|option| option.rank).max()
}
