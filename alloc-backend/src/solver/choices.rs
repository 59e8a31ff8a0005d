//! What can be chosen: the options of every participant, sorted by (format, modifier) so that those for one
//! pair are found quickly.

use std::ops::Range;

use super::layout::refuses_size;
use super::problem::{Alternative, Fourcc, Match, Modifier, OptionSpec, Participant, Size};
use super::steps::{OutOfSteps, Steps};
use crate::constraints::LayoutLimits;

/// A format and a modifier.
pub(super) type Pair = (Fourcc, Modifier);

/// The key of options with `any`; less than every other.
const WILD: u128 = 0;

/// A pair as one number, in the order of pairs.
fn key((format, modifier): Pair) -> u128 {
    ((u128::from(format.0) << 64) | u128::from(modifier.0)) + 1
}

/// One choice a participant has to make: of an alternative, and in it of an option.
#[derive(Debug)]
pub(super) struct Slot {
    /// Options for one (format, modifier), sorted by it.
    exact: Range<usize>,
    /// Options with `any`.
    pub wild: Range<usize>,
    /// Whether options were left out because the picture's size does not suit them.
    pub lost_some: bool,
}

/// One option that can be chosen.
#[derive(Debug, Copy, Clone)]
pub(super) struct Choice<'a> {
    pub option: &'a OptionSpec,
    /// Its format and modifier as a key, [`WILD`] if any will do.
    key: u128,
    /// Its rank, or that of an option without one.
    pub rank: u64,
    /// Place in its alternative: the caller's order.
    pub place: u64,
    /// Place of its alternative in the list.
    pub alternative: usize,
}

impl Choice<'_> {
    fn matches(&self, pair: Pair) -> bool {
        self.option.format.allows(pair.0) && self.option.modifier.allows(pair.1)
    }

    /// Whether `other` need not be tried where this one is: it is no better in any way.
    fn is_as_good_as(&self, other: &Choice<'_>) -> bool {
        let (a, b) = (self.option, other.option);
        self.rank <= other.rank
            && self.place <= other.place
            && (a.format, a.modifier) == (b.format, b.modifier)
            && a.limits == b.limits
    }
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

/// What a participant that says nothing accepts.
static ANYTHING: OptionSpec =
    OptionSpec { format: Match::Any, modifier: Match::Any, rank: None, limits: LayoutLimits::NONE };

/// Every choice of every participant.
#[derive(Debug)]
pub(super) struct Choices<'a> {
    slots: Vec<Slot>,
    all: Vec<Choice<'a>>,
    size: Size,
}

impl<'a> Choices<'a> {
    /// No choices yet, with room for so many options.
    pub fn new(size: Size, participants: usize, options: usize) -> Choices<'a> {
        Choices { slots: Vec::with_capacity(participants), all: Vec::with_capacity(options), size }
    }

    /// Adds the choices a participant has to make. `unlisted` is the rank of an option without one.
    pub fn add(&mut self, spec: &'a Participant, unlisted: u64) -> Range<usize> {
        let first = self.slots.len();
        let lost_all = refuses_size(&spec.limits, self.size).is_some();
        let options = |list: &'a [OptionSpec], alternative| {
            list.iter().enumerate().map(move |(place, option)| Choice {
                option,
                key: option.format.exact().zip(option.modifier.exact()).map_or(WILD, key),
                rank: option.rank.map_or(unlisted, u64::from),
                place: place as u64,
                alternative,
            })
        };
        let every = |list: &'a [Alternative]| {
            list.iter().enumerate().flat_map(move |(at, alternative)| options(&alternative.options, at))
        };
        if let Some(list) = &spec.options {
            self.add_slot(lost_all, options(list, 0));
        } else if let Some(list) = &spec.alternatives {
            self.add_slot(lost_all, every(list));
        } else if let Some(groups) = spec.groups.as_ref().filter(|groups| !groups.is_empty()) {
            groups.iter().for_each(|group| self.add_slot(lost_all, every(group)));
        } else {
            self.add_slot(lost_all, options(std::slice::from_ref(&ANYTHING), 0));
        }
        first..self.slots.len()
    }

    fn add_slot(&mut self, lost_all: bool, choices: impl Iterator<Item = Choice<'a>>) {
        let first = self.all.len();
        let mut lost_some = lost_all;
        for choice in choices {
            if lost_all || refuses_size(&choice.option.limits, self.size).is_some() {
                lost_some = true;
            } else {
                self.all.push(choice);
            }
        }
        let new = self.all.get_mut(first..).unwrap_or_default();
        new.sort_unstable_by_key(|c| (c.key, c.rank, c.place, c.alternative));
        let wild = first + new.partition_point(|c| c.key == WILD);
        self.slots.push(Slot { exact: wild..self.all.len(), wild: first..wild, lost_some });
    }

    /// How many choices there are to be made.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// One choice to be made.
    pub fn slot(&self, at: usize) -> Option<&Slot> {
        self.slots.get(at)
    }

    /// One option.
    pub fn get(&self, at: usize) -> Option<&Choice<'a>> {
        self.all.get(at)
    }

    fn range(&self, range: &Range<usize>) -> &[Choice<'a>] {
        self.all.get(range.clone()).unwrap_or_default()
    }

    /// The options of a slot that allow a pair, into `out`: the best first. Of two, one is left out if the
    /// other is no worse in any way, so that planes which are all alike cost one.
    ///
    /// Returns how many options were looked at.
    pub fn candidates(&self, slot: usize, pair: Pair, out: &mut Vec<usize>) -> usize {
        let Some(slot) = self.slots.get(slot) else { return 0 };
        let exact = self.range(&slot.exact);
        let wanted = key(pair);
        let first = exact.partition_point(|c| c.key < wanted);
        let begin = out.len();
        let mut looked_at = 1 + slot.wild.len();
        for (at, choice) in exact.iter().enumerate().skip(first).take_while(|(_, c)| c.key == wanted) {
            looked_at += 1;
            self.admit(slot.exact.start + at, choice, begin, out);
        }
        if !slot.wild.is_empty() {
            for (at, choice) in self.range(&slot.wild).iter().enumerate().filter(|(_, c)| c.matches(pair)) {
                self.admit(slot.wild.start + at, choice, begin, out);
            }
            let order = |at: &usize| self.get(*at).map(|c| (c.rank, c.place, c.alternative));
            out.get_mut(begin..).unwrap_or_default().sort_by_key(order);
        }
        looked_at
    }

    fn admit(&self, at: usize, choice: &Choice<'a>, begin: usize, out: &mut Vec<usize>) {
        /// With how many others a choice is compared: enough for planes that are alike, and no square of a
        /// hostile list.
        const COMPARED: usize = 16;
        let mut kept =
            out.get(begin..).unwrap_or_default().iter().take(COMPARED).filter_map(|at| self.get(*at));
        if !kept.any(|kept| kept.is_as_good_as(choice)) {
            out.push(at);
        }
    }

    /// The best option of a slot for a pair: the first of its [`candidates`](Self::candidates). `cursor` is where the search among
    /// the sorted options left off; pairs asked in order find theirs a few places on. It begins at 0.
    pub fn best(&self, slot: usize, pair: Pair, cursor: &mut usize) -> Option<usize> {
        let slot = self.slots.get(slot)?;
        let exact = self.range(&slot.exact);
        let wanted = key(pair);
        while exact.get(*cursor).is_some_and(|c| c.key < wanted) {
            *cursor += 1;
        }
        let exact =
            exact.get(*cursor).filter(|c| c.key == wanted).map(|choice| (slot.exact.start + *cursor, choice));
        if slot.wild.is_empty() {
            return exact.map(|(at, _)| at);
        }
        let wild = self.range(&slot.wild).iter().zip(slot.wild.start..).filter(|(c, _)| c.matches(pair));
        let all = wild.map(|(choice, at)| (at, choice)).chain(exact);
        all.min_by_key(|(_, choice)| (choice.rank, choice.place, choice.alternative)).map(|(at, _)| at)
    }

    /// The best option of one alternative of a slot for a pair.
    pub fn in_alternative(&self, slot: usize, alternative: usize, pair: Pair) -> Option<usize> {
        let slot = self.slots.get(slot)?;
        let takes = |choice: &&Choice<'_>| choice.alternative == alternative && choice.matches(pair);
        let all = slot.wild.start..slot.exact.end;
        let matching = all.filter_map(|at| self.get(at).filter(takes).map(|choice| (at, choice)));
        matching.min_by_key(|(_, choice)| (choice.rank, choice.place)).map(|(at, _)| at)
    }

    /// The (format, modifier) pairs that can be in an answer, sorted: those that one of the `required` slots
    /// allows, else all. What nobody names is of `unpinned`, where that is allowed.
    pub fn pairs(
        &self,
        required: impl Iterator<Item = usize>,
        unpinned: Option<&Universe>,
        steps: &mut Steps,
    ) -> Result<Vec<Pair>, OutOfSteps> {
        let required = required.filter_map(|at| self.slots.get(at));
        let pivot = required.min_by_key(|s| (!s.wild.is_empty(), s.exact.len() + s.wild.len()));
        let choices: &[Choice<'_>] =
            pivot.map_or(&self.all, |slot| self.range(&(slot.wild.start..slot.exact.end)));
        let mut pairs: Vec<Pair> = Vec::with_capacity(choices.len());
        pairs.extend(choices.iter().filter_map(|c| c.option.format.exact().zip(c.option.modifier.exact())));
        let mut wild: Vec<(Match<Fourcc>, Match<Modifier>)> =
            choices.iter().filter(|c| c.key == WILD).map(|c| (c.option.format, c.option.modifier)).collect();
        if self.slots.is_empty() {
            wild.push((Match::Any, Match::Any));
        }
        if !wild.is_empty() {
            wild.sort_unstable();
            wild.dedup();
            let named;
            let universe = match unpinned {
                Some(universe) => universe,
                None => {
                    named = Universe::of(self.all.iter().map(|choice| choice.option));
                    &named
                }
            };
            for (format, modifier) in &wild {
                let formats = format.among(&universe.formats);
                let modifiers = modifier.among(&universe.modifiers);
                steps.take(formats.len().saturating_mul(modifiers.len()))?;
                pairs.extend(formats.iter().flat_map(|f| modifiers.iter().map(move |m| (*f, *m))));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok(pairs)
    }
}
