//! The search: depth first over what each participant takes, cut by what the best answer so far costs.

use super::answer::Cost;
use super::choices::Pair;
use super::layout::{Layout, lay_out};
use super::merge::{Clash, Merged};
use super::place::{Blame, PlaceCost, Placed, Seen, place, place_cost};
use super::prepare::{Class, Part, Prepared};
use super::problem::{ChromaPitch, Fourcc, Modifier};
use super::steps::{OutOfSteps, Steps};
use crate::constraints::Format;

/// In [`Found::chosen`]: the participant was dropped.
pub(super) const DROPPED: usize = usize::MAX;

/// A feasible answer.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub cost: Cost,
    pub tie: Tie,
    /// For each slot, the place of what was chosen in [`Prepared::choices`], or [`DROPPED`].
    pub chosen: Vec<usize>,
    pub layout: Layout,
    pub placed: Placed,
}

impl Found {
    pub fn pair(&self) -> Pair {
        (self.tie.format, self.tie.modifier)
    }

    /// In [`Prepared::heaps`].
    pub fn heap(&self) -> usize {
        self.tie.heap
    }
}

/// What decides between answers of equal cost.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd)]
pub(super) struct Tie {
    /// Sum of the places of the chosen options: the caller's format order.
    pub order: u64,
    pub modifier: Modifier,
    pub format: Fourcc,
    /// Stronger evidence first.
    pub grade: u64,
    /// By pool, then heap id.
    pub heap: usize,
}

/// What an answer cannot cost less than: dropped weight, copies, ranks. The first three numbers of the cost.
type Bound = [u64; 3];

/// What was given up or taken on by the choices so far.
#[derive(Debug, Copy, Clone, Default)]
struct Sums {
    weight: u64,
    copies: u64,
    rank: u64,
    order: u64,
    /// Somebody named the format, the modifier.
    pinned: (bool, bool),
}

/// One choice to be made on the way down.
#[derive(Debug)]
struct Level {
    slot: usize,
    part: usize,
    /// Candidates, in [`Search::candidates`].
    first: usize,
    end: usize,
    /// Whether it is the first choice of its participant, which is where that may be dropped.
    opens: bool,
    /// The level after the participant's last.
    after: usize,
    /// The least rank that this level and those below it add.
    rank_below: u64,
}

#[derive(Debug)]
struct Frame {
    level: usize,
    /// Candidates tried.
    tried: usize,
    merged: Merged,
    sums: Sums,
}

/// The search in progress.
#[derive(Debug)]
pub(super) struct Search<'s, 'a> {
    prepared: &'s Prepared<'a>,
    steps: &'s mut Steps,
    /// Whether any answer will do.
    any: bool,
    best: Option<Found>,
    /// For each slot, its candidates for the pair in hand: from here to the next entry.
    starts: Vec<usize>,
    candidates: Vec<usize>,
    levels: Vec<Level>,
    frames: Vec<Frame>,
    chosen: Vec<usize>,
    seen: Seen,
}

/// Finds the best answer.
pub(super) fn best(prepared: &Prepared<'_>, steps: &mut Steps) -> Result<Option<Found>, OutOfSteps> {
    Search::new(prepared, steps, false).run()
}

/// Finds whether there is an answer at all.
pub(super) fn feasible(prepared: &Prepared<'_>, steps: &mut Steps) -> Result<bool, OutOfSteps> {
    Ok(Search::new(prepared, steps, true).run()?.is_some())
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(prepared: &'s Prepared<'a>, steps: &'s mut Steps, any: bool) -> Search<'s, 'a> {
        Search {
            prepared,
            steps,
            any,
            best: None,
            starts: Vec::with_capacity(prepared.choices.slots() + 1),
            candidates: Vec::with_capacity(2 * prepared.choices.slots()),
            levels: Vec::with_capacity(prepared.choices.slots()),
            frames: Vec::with_capacity(prepared.choices.slots() + 1),
            chosen: vec![DROPPED; prepared.choices.slots()],
            seen: Seen::new(prepared.devices),
        }
    }

    fn run(mut self) -> Result<Option<Found>, OutOfSteps> {
        let prepared = self.prepared;
        if prepared.classes.is_empty() {
            return Ok(None);
        }
        let pairs = prepared.choices.pairs(
            prepared.required_slots(),
            prepared.waivers.unpinned.as_ref(),
            self.steps,
        )?;
        let mut bounds: Vec<(Bound, Pair)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if Format::of(pair.0).is_some() {
                self.collect_candidates(pair)?;
                bounds.extend(self.bound(None).map(|bound| (bound, pair)));
            }
        }
        bounds.sort_unstable();
        for (bound, pair) in bounds {
            if self.is_beaten(bound) || self.is_done() {
                break;
            }
            let Some(format) = Format::of(pair.0) else { continue };
            self.collect_candidates(pair)?;
            for class in &prepared.classes {
                if let Some(bound) = self.bound(Some(class)) {
                    if !self.is_beaten(bound) {
                        self.descend(format, pair.1, class, bound)?;
                    }
                }
            }
        }
        Ok(self.best)
    }

    fn is_done(&self) -> bool {
        self.any && self.best.is_some()
    }

    fn is_beaten(&self, bound: Bound) -> bool {
        self.best.as_ref().is_some_and(|best| best.cost.first_chunk().is_some_and(|cost| bound > *cost))
    }

    fn collect_candidates(&mut self, pair: Pair) -> Result<(), OutOfSteps> {
        self.starts.clear();
        self.candidates.clear();
        for slot in 0..self.prepared.choices.slots() {
            self.starts.push(self.candidates.len());
            let compared = self.prepared.choices.candidates(slot, pair, &mut self.candidates);
            self.steps.take(compared)?;
        }
        self.starts.push(self.candidates.len());
        Ok(())
    }

    fn candidates_of(&self, slot: usize) -> (usize, usize) {
        let start = |at: usize| self.starts.get(at).copied().unwrap_or_default();
        (start(slot), start(slot + 1))
    }

    /// Whether a participant can take the pair, in a heap of the class.
    fn is_alive(&self, at: usize, part: &Part<'_>, class: Option<&Class>) -> bool {
        let takes = |slot| {
            let (first, end) = self.candidates_of(slot);
            first < end
        };
        !class.is_some_and(|class| class.is_refused_by(at)) && part.slots.clone().all(takes)
    }

    /// The least cost of the pair, or `None` if a required participant cannot take it.
    fn bound(&self, class: Option<&Class>) -> Option<Bound> {
        let mut bound = Bound::default();
        let [weight, copies, rank] = &mut bound;
        for (at, part) in self.prepared.parts.iter().enumerate() {
            if self.is_alive(at, part, class) {
                *rank += part.slots.clone().map(|slot| self.least_rank(slot)).sum::<u64>();
            } else if part.required() {
                return None;
            } else {
                *weight += part.weight();
                *copies += 1;
            }
        }
        Some(bound)
    }

    fn least_rank(&self, slot: usize) -> u64 {
        let best = self.candidates.get(self.candidates_of(slot).0);
        best.and_then(|at| self.prepared.choices.get(*at)).map_or(0, |choice| choice.rank)
    }

    /// Lists the choices to be made for a pair in a class of heaps, the forced drops left out.
    fn plan(&mut self, class: &Class) {
        self.levels.clear();
        self.chosen.fill(DROPPED);
        for (at, part) in self.prepared.parts.iter().enumerate() {
            if self.is_alive(at, part, Some(class)) {
                let after = self.levels.len() + part.slots.len();
                for slot in part.slots.clone() {
                    let (first, end) = self.candidates_of(slot);
                    let opens = slot == part.slots.start;
                    self.levels.push(Level { slot, part: at, first, end, opens, after, rank_below: 0 });
                }
            }
        }
        let mut below = 0;
        for at in (0..self.levels.len()).rev() {
            below += self.levels.get(at).map_or(0, |level| self.least_rank(level.slot));
            if let Some(level) = self.levels.get_mut(at) {
                level.rank_below = below;
            }
        }
    }

    fn descend(
        &mut self,
        format: &'static Format,
        modifier: Modifier,
        class: &Class,
        bound: Bound,
    ) -> Result<(), OutOfSteps> {
        self.plan(class);
        let prepared = self.prepared;
        let [weight, copies, _] = bound;
        let sums = Sums { weight, copies, ..Sums::default() };
        // Where there is but one way down, only its end need be looked at.
        let branches = self.levels.iter().any(|level| {
            level.end - level.first > 1 || prepared.parts.get(level.part).is_some_and(|part| !part.required())
        });
        self.frames.clear();
        self.frames.push(Frame { level: 0, tried: 0, merged: Merged::nothing(prepared.problem.count), sums });
        while let Some(frame) = self.frames.last_mut() {
            self.steps.take(1)?;
            let Some(level) = self.levels.get(frame.level) else {
                let (merged, sums) = (frame.merged, frame.sums);
                self.frames.pop();
                self.arrive(format, modifier, class, &merged, &sums)?;
                if self.is_done() {
                    return Ok(());
                }
                continue;
            };
            let Some(part) = prepared.parts.get(level.part) else { break };
            let (mut merged, mut sums) = (frame.merged, frame.sums);
            let try_next = level.first + frame.tried;
            frame.tried += 1;
            let next_level = if try_next < level.end {
                let Some(at) = self.candidates.get(try_next).copied() else { break };
                let Some(choice) = prepared.choices.get(at) else { break };
                let added = if level.opens { add_part(&mut merged, part) } else { Ok(()) };
                if added.and_then(|()| merged.add_layout(&choice.option.limits)).is_err() {
                    continue;
                }
                sums.rank += choice.rank;
                sums.order += choice.place;
                sums.pinned.0 |= choice.option.format.exact().is_some();
                sums.pinned.1 |= choice.option.modifier.exact().is_some();
                if let Some(chosen) = self.chosen.get_mut(level.slot) {
                    *chosen = at;
                }
                frame.level + 1
            } else if try_next == level.end && level.opens && !part.required() {
                sums.weight += part.weight();
                sums.copies += 1;
                self.chosen.get_mut(part.slots.clone()).unwrap_or_default().fill(DROPPED);
                level.after
            } else {
                self.frames.pop();
                continue;
            };
            let below = self.levels.get(next_level).map_or(0, |level| level.rank_below);
            if self.is_beaten([sums.weight, sums.copies, sums.rank + below]) {
                continue;
            }
            if branches && next_level < self.levels.len() && is_hopeless(prepared, format, &merged) {
                continue;
            }
            self.frames.push(Frame { level: next_level, tried: 0, merged, sums });
        }
        Ok(())
    }

    /// Everybody has chosen: lays the picture out and tries each heap.
    fn arrive(
        &mut self,
        format: &'static Format,
        modifier: Modifier,
        class: &Class,
        merged: &Merged,
        sums: &Sums,
    ) -> Result<(), OutOfSteps> {
        let prepared = self.prepared;
        if sums.pinned != (true, true) && prepared.waivers.unpinned.is_none() {
            return Ok(());
        }
        for merged in relations(prepared, merged) {
            let Ok(layout) = lay_out(format, &merged, prepared.size()) else { continue };
            for at in &class.heaps {
                self.steps.take(1 + prepared.parts.len() / 8)?;
                let Some(heap) = prepared.heaps.get(*at) else { continue };
                let Ok(placed) = place(&merged, &layout, heap) else { continue };
                let satisfied = satisfied(prepared, &self.chosen);
                let Ok(cost) =
                    place_cost(prepared, &merged, &layout, (*at, heap), placed, satisfied, &mut self.seen)
                else {
                    continue;
                };
                let tie =
                    Tie { order: sums.order, modifier, format: format.fourcc, grade: cost.grade, heap: *at };
                let cost = total(sums.weight, sums.copies, sums.rank, &cost);
                if self.best.as_ref().is_none_or(|best| (cost, tie) < (best.cost, best.tie)) {
                    let mut chosen = self.best.take().map(|best| best.chosen).unwrap_or_default();
                    chosen.clone_from(&self.chosen);
                    self.best = Some(Found { cost, tie, chosen, layout, placed });
                }
            }
        }
        Ok(())
    }
}

/// The cost vector.
pub(super) fn total(weight: u64, copies: u64, rank: u64, place: &PlaceCost) -> Cost {
    [weight, copies + place.migrations, rank, place.pressure, place.cpu, place.unknown, place.padding]
}

/// The participants that were not dropped.
pub(super) fn satisfied<'p, 'a>(
    prepared: &'p Prepared<'a>,
    chosen: &'p [usize],
) -> impl Iterator<Item = &'p Part<'a>> {
    prepared.parts.iter().filter(|part| chosen.get(part.slots.start).is_some_and(|at| *at != DROPPED))
}

/// Adds what holds for a participant whatever it chooses.
pub(super) fn add_part(merged: &mut Merged, part: &Part<'_>) -> Result<(), Clash> {
    merged.add_memory(&part.spec.memory, part.behind_iommu);
    merged.add_sync(part.spec.sync.as_deref())?;
    merged.add_counts(&part.spec.counts)?;
    if part.has_limits { merged.add_layout(&part.spec.limits) } else { Ok(()) }
}

/// Whether no choice further down can help: constraints only ever narrow, so a layout that is too large stays
/// so. The one exception is a relation of chroma pitch that is not stated yet.
fn is_hopeless(prepared: &Prepared<'_>, format: &Format, merged: &Merged) -> bool {
    if format.planes().len() > 1 && merged.chroma_pitch.is_none() {
        return false;
    }
    lay_out(format, merged, prepared.size()).map_or(true, |layout| layout.bytes > merged.max_size_bytes)
}

/// The merged constraints, with every relation of chroma pitch where the question is what would do.
fn relations(prepared: &Prepared<'_>, merged: &Merged) -> impl Iterator<Item = Merged> {
    let open = prepared.waivers.chroma_pitch && merged.chroma_pitch.is_none();
    let all = [ChromaPitch::Equal, ChromaPitch::Half, ChromaPitch::Double];
    let merged = *merged;
    let others = all.into_iter().filter(move |_| open).map(move |relation| {
        let mut other = merged;
        other.chroma_pitch = Some(relation);
        other
    });
    std::iter::once(merged).chain(others)
}

/// What an answer would cost, or whom to blame that it cannot be. Used to give reasons. Where the first three numbers already
/// exceed those of the `best` answer, the others are left at 0.
pub(super) fn judge(
    prepared: &Prepared<'_>,
    pair: Pair,
    at: usize,
    chosen: &[usize],
    (weight, copies): (u64, u64),
    best: Option<&Found>,
    seen: &mut Seen,
) -> Result<Cost, Blame> {
    let format = Format::of(pair.0).ok_or(Blame::Merged("format"))?;
    let heap = prepared.heaps.get(at).ok_or(Blame::Heap("id"))?;
    let mut merged = Merged::nothing(prepared.problem.count);
    let mut rank = 0;
    for part in satisfied(prepared, chosen) {
        add_part(&mut merged, part).map_err(Blame::Merged)?;
        for choice in chosen.get(part.slots.clone()).unwrap_or_default() {
            let Some(choice) = prepared.choices.get(*choice) else { continue };
            merged.add_layout(&choice.option.limits).map_err(Blame::Merged)?;
            rank += choice.rank;
        }
    }
    let layout = lay_out(format, &merged, prepared.size()).map_err(Blame::Merged)?;
    let placed = place(&merged, &layout, heap)?;
    // In a heap that is no device's own nothing else can fail, and nobody must migrate.
    let bound = [weight, copies, rank];
    let exceeds = |best: &Found| best.cost.first_chunk().is_some_and(|cost| bound > *cost);
    if heap.facts.device.is_none() && best.is_some_and(exceeds) {
        return Ok(total(weight, copies, rank, &PlaceCost::default()));
    }
    let parts = satisfied(prepared, chosen);
    let cost = place_cost(prepared, &merged, &layout, (at, heap), placed, parts, seen)?;
    Ok(total(weight, copies, rank, &cost))
}
