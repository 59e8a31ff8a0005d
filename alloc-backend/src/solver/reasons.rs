//! Why not otherwise: for each heap, format, plane and participant that is not in the answer, who rejected
//! it.
//!
//! Each is judged by itself: the answer with this one thing changed. The first that fails is the reason; if
//! nothing does, it would have been dearer, and the reason is the cost.

use std::borrow::Cow;
use std::fmt::Write;

use super::answer::{Cost, Reason, Rejected};
use super::choices::Pair;
use super::place::Seen;
use super::prepare::{Part, Prepared, offered};
use super::problem::{Fourcc, Modifier};
use super::search::{DROPPED, Found, judge, satisfied};
use super::why::{Why, Witness, alternative_name, group_of};

/// More reasons than this help nobody.
const MOST: usize = 1000;

/// Names of the numbers of the cost.
const CRITERIA: [&str; 7] = ["weight", "copies", "rank", "pressure", "cpu", "evidence", "padding"];

/// The reasons beside an answer: at most 1000; heaps first, then dropped participants, formats, planes.
pub(super) fn of_solution(prepared: &Prepared<'_>, found: &Found) -> Vec<Reason> {
    let mut writer = Writer::new(prepared, &found.chosen, Some(found));
    let pairs = writer.offered_pairs();
    writer.reasons.reserve(MOST.min(pairs.len() + prepared.heaps.len()));
    writer.heaps(Some(found.pair()));
    writer.dropped(found, &pairs);
    writer.pairs(&pairs, Some(found.heap()));
    writer.alternatives(found);
    writer.reasons
}

/// The reasons beside a conflict: what the required participants alone reject.
pub(super) fn of_failure(prepared: &Prepared<'_>) -> Vec<Reason> {
    let mut chosen = vec![DROPPED; prepared.choices.slots()];
    for slot in prepared.required_slots() {
        // Which option is of no consequence until a pair is judged.
        if let Some(chosen) = chosen.get_mut(slot) {
            *chosen = 0;
        }
    }
    let mut writer = Writer::new(prepared, &chosen, None);
    let pairs = writer.offered_pairs();
    let accepted = pairs.iter().copied().find(|pair| writer.choose(*pair).is_ok());
    let open = (0..prepared.heaps.len()).find(|at| writer.witness.refuses_heap(*at, &chosen).is_none());
    writer.heaps(accepted);
    writer.pairs(&pairs, open);
    writer.reasons
}

struct Writer<'p, 'a> {
    prepared: &'p Prepared<'a>,
    /// For each slot what the answer takes; without an answer, who would have to take part.
    taken: &'p [usize],
    found: Option<&'p Found>,
    /// What is judged instead.
    chosen: Vec<usize>,
    /// For each slot, where the search for the pair last chosen left off.
    cursors: Vec<usize>,
    last: Pair,
    witness: Witness<'p, 'a>,
    seen: Seen,
    reasons: Vec<Reason>,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn new(prepared: &'p Prepared<'a>, taken: &'p [usize], found: Option<&'p Found>) -> Writer<'p, 'a> {
        Writer {
            prepared,
            taken,
            found,
            chosen: taken.to_vec(),
            cursors: vec![0; taken.len()],
            last: (Fourcc(0), Modifier(0)),
            witness: Witness::new(prepared),
            seen: Seen::new(prepared.devices),
            reasons: Vec::new(),
        }
    }

    fn push(&mut self, rejected: Rejected, why: Why) {
        let Why { who, field, value } = why;
        self.reasons.push(Reason { rejected, participant: who, field: Cow::Borrowed(field), value });
    }

    fn is_full(&self) -> bool {
        self.reasons.len() >= MOST
    }

    /// Every (format, modifier) that an option names in full, sorted; no more than can be given reasons for.
    fn offered_pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Vec::with_capacity(self.prepared.choices.slots() * 16);
        for options in self.prepared.parts.iter().flat_map(|part| offered(part.spec)) {
            pairs.extend(
                options.iter().filter_map(|option| option.format.exact().zip(option.modifier.exact())),
            );
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs.truncate(MOST + 1);
        pairs
    }

    /// Every heap but the answer's.
    fn heaps(&mut self, pair: Option<Pair>) {
        let answer = self.found.map(Found::heap);
        for at in (0..self.prepared.heaps.len()).filter(|at| Some(*at) != answer) {
            if self.is_full() {
                return;
            }
            let why = match (self.witness.refuses_heap(at, self.taken), pair) {
                (Some(why), _) => Some(why),
                (None, Some(pair)) => self.choose_for(pair).and_then(|()| self.judged(pair, at)),
                (None, None) => None,
            };
            if let Some(why) = why {
                let heap = self.prepared.heaps.get(at).map(|heap| heap.facts.id.clone());
                self.push(Rejected { heap, ..Rejected::default() }, why);
            }
        }
    }

    /// Every participant that was dropped. One that shares no (format, modifier) with the satisfied ones is told
    /// so: another heap would not help it. The others are told what keeps them from the answer as it is.
    fn dropped(&mut self, found: &Found, pairs: &[Pair]) {
        let prepared = self.prepared;
        if self.taken.iter().all(|at| *at != DROPPED) {
            return;
        }
        let shared = self.shared(pairs);
        for part in &prepared.parts {
            if self.is_full() {
                return;
            }
            if self.taken.get(part.slots.start).is_some_and(|at| *at != DROPPED) {
                continue;
            }
            self.chosen.copy_from_slice(self.taken);
            let apart = shared.as_ref().is_some_and(|shared| self.takes_none(part, shared));
            let refusal = if apart { None } else { self.witness.part_refuses_heap(part, found.heap()) };
            let why = match refusal {
                Some(why) => Some(why),
                None => match self.choose_of(part, found.pair()) {
                    Err(why) => Some(why),
                    Ok(()) => self.judged(found.pair(), found.heap()),
                },
            };
            if let Some(why) = why {
                let participant = Some(part.spec.name.clone());
                self.push(Rejected { participant, ..Rejected::default() }, why);
            }
        }
    }

    /// The pairs that all satisfied participants take; `None` where somebody takes any, so that pairs can be
    /// shared that no single option names.
    fn shared(&self, pairs: &[Pair]) -> Option<Vec<Pair>> {
        let prepared = self.prepared;
        let mut left = pairs.to_vec();
        for slot in satisfied(prepared, self.taken).flat_map(|part| part.slots.clone()) {
            let mut cursor = 0;
            if !prepared.choices.slot(slot)?.wild.is_empty() {
                return None;
            }
            left.retain(|pair| prepared.choices.best(slot, *pair, &mut cursor).is_some());
        }
        Some(left)
    }

    /// Whether a participant names what it takes, and it is none of these pairs.
    fn takes_none(&self, part: &Part<'a>, pairs: &[Pair]) -> bool {
        let choices = &self.prepared.choices;
        let mut left = pairs.to_vec();
        for slot in part.slots.clone() {
            let mut cursor = 0;
            if choices.slot(slot).is_none_or(|slot| !slot.wild.is_empty()) {
                return false;
            }
            left.retain(|pair| choices.best(slot, *pair, &mut cursor).is_some());
        }
        left.is_empty()
    }

    /// Every (format, modifier) but the answer's, judged in one heap.
    fn pairs(&mut self, pairs: &[Pair], heap: Option<usize>) {
        let answer = self.found.map(Found::pair);
        for pair in pairs.iter().copied().filter(|pair| Some(*pair) != answer) {
            if self.is_full() {
                return;
            }
            let why = match (self.choose(pair), heap) {
                (Err(why), _) => Some(why),
                (Ok(()), Some(heap)) => self.judged(pair, heap),
                (Ok(()), None) => None,
            };
            if let Some(why) = why {
                self.push(
                    Rejected { format: Some(pair.0), modifier: Some(pair.1), ..Rejected::default() },
                    why,
                );
            }
        }
    }

    /// Every alternative of a satisfied participant that was not taken.
    fn alternatives(&mut self, found: &Found) {
        let prepared = self.prepared;
        for part in satisfied(prepared, self.taken) {
            for (group, slot) in part.slots.clone().enumerate() {
                let Some(list) = group_of(part.spec, group) else { continue };
                let taken =
                    self.taken.get(slot).and_then(|at| prepared.choices.get(*at)).map(|c| c.alternative);
                for (at, alternative) in list.iter().enumerate().filter(|(at, _)| Some(*at) != taken) {
                    if self.is_full() {
                        return;
                    }
                    let refusal = self.witness.refuses_option(part, alternative.options.iter(), found.pair());
                    let why = refusal.or_else(|| {
                        self.chosen.copy_from_slice(self.taken);
                        let other = prepared.choices.in_alternative(slot, at, found.pair());
                        if let (Some(to), Some(other)) = (self.chosen.get_mut(slot), other) {
                            *to = other;
                        }
                        self.judged(found.pair(), found.heap())
                    });
                    if let Some(why) = why {
                        let participant = Some(part.spec.name.clone());
                        let alternative = Some(alternative_name(alternative, at));
                        self.push(Rejected { participant, alternative, ..Rejected::default() }, why);
                    }
                }
            }
        }
    }

    /// Chooses as the answer does, if it has this pair, or else the best for the pair.
    fn choose_for(&mut self, pair: Pair) -> Option<()> {
        if self.found.is_some_and(|found| found.pair() == pair) {
            self.chosen.copy_from_slice(self.taken);
            return Some(());
        }
        self.choose(pair).ok()
    }

    /// Chooses the best option for a pair on behalf of all who take part, or says who has none.
    fn choose(&mut self, pair: Pair) -> Result<(), Why> {
        self.chosen.copy_from_slice(self.taken);
        let prepared = self.prepared;
        satisfied(prepared, self.taken).try_for_each(|part| self.choose_of(part, pair))
    }

    fn choose_of(&mut self, part: &Part<'a>, pair: Pair) -> Result<(), Why> {
        let mut none = 0;
        if pair < self.last {
            self.cursors.fill(0);
        }
        self.last = pair;
        for (group, slot) in part.slots.clone().enumerate() {
            let cursor = self.cursors.get_mut(slot).unwrap_or(&mut none);
            match (self.chosen.get_mut(slot), self.prepared.choices.best(slot, pair, cursor)) {
                (Some(to), Some(best)) => *to = best,
                _ => return Err(self.witness.refuses_pair(part, group, slot, pair)),
            }
        }
        Ok(())
    }

    /// Why the answer is not what is chosen: it is impossible, or dearer. Without an answer, only the former.
    fn judged(&mut self, pair: Pair, heap: usize) -> Option<Why> {
        let dropped =
            self.prepared.parts.iter().filter(|part| self.chosen.get(part.slots.start) == Some(&DROPPED));
        let dropped = dropped.fold((0, 0), |(weight, count), part| (weight + part.weight(), count + 1));
        match judge(self.prepared, pair, heap, &self.chosen, dropped, self.found, &mut self.seen) {
            Err(blame) => Some(self.witness.blame(blame, heap, pair, &self.chosen)),
            Ok(cost) => self.found.map(|found| dearer(&cost, &found.cost)),
        }
    }
}

/// In what another answer is dearer.
fn dearer(cost: &Cost, best: &Cost) -> Why {
    let criterion = CRITERIA.iter().zip(cost.iter().zip(best)).find(|(_, (cost, best))| cost != best);
    let (field, value) = match criterion {
        Some((name, (cost, best))) => {
            let mut value = String::with_capacity(32);
            // Writing to a text cannot fail.
            let _ = write!(value, "{cost} against {best}");
            (*name, value)
        }
        None => ("order", "equal cost".to_owned()),
    };
    Why { who: Cow::Borrowed("(cost)"), field, value }
}
