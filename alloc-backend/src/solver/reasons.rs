//! Why not otherwise: for each heap, format, plane and participant that is not in the answer, who rejected
//! it.
//!
//! Each is judged by itself: the answer with this one thing changed. The first that fails is the reason; if
//! nothing does, it would have been dearer, and the reason is the cost.

use std::borrow::Cow;

use super::answer::{Cost, Reason, Rejected};
use super::fields;
use super::heap::Heap;
use super::layout::refuses_size;
use super::place::{Blame, Seen};
use super::prepare::{Pair, Part, Prepared, offered};
use super::problem::{Alternative, ExactPitch, LayoutLimits, OptionSpec, Participant};
use super::search::{DROPPED, Found, Tie, judge, satisfied};
use crate::constraints::Format;

/// More reasons than this help nobody.
const MOST: usize = 1000;

/// Names of the numbers of the cost, and of what settles ties.
const CRITERIA: [&str; 8] = ["weight", "copies", "rank", "pressure", "cpu", "evidence", "padding", "order"];

/// Who, in which field, saying what.
struct Why {
    who: String,
    field: &'static str,
    value: String,
}

impl Why {
    fn part(part: &Part<'_>, field: &'static str, value: Option<String>) -> Why {
        Why { who: part.spec.name.clone(), field, value: value.unwrap_or_default() }
    }

    fn of(self, rejected: Rejected) -> Reason {
        Reason { rejected, participant: self.who, field: Cow::Borrowed(self.field), value: self.value }
    }
}

/// The reasons beside an answer.
pub(super) fn of_solution(prepared: &Prepared<'_>, found: &Found) -> Vec<Reason> {
    let mut writer = Writer::new(prepared, found.chosen.clone(), Some(found));
    writer.heaps(found.pair(), found.heap());
    writer.dropped(found);
    writer.pairs(Some(found.heap()));
    writer.alternatives(found);
    writer.reasons
}

/// The reasons beside a conflict: what the required participants alone reject.
pub(super) fn of_failure(prepared: &Prepared<'_>) -> Vec<Reason> {
    let mut chosen = vec![DROPPED; prepared.slots.len()];
    for part in prepared.parts.iter().filter(|part| part.required()) {
        // Which choice is of no consequence until a pair is judged.
        chosen.get_mut(part.slots.clone()).unwrap_or_default().fill(0);
    }
    let mut writer = Writer::new(prepared, chosen, None);
    let accepted = writer.offered_pairs().into_iter().find(|pair| writer.refuses_pair(*pair).is_none());
    let open = (0..prepared.heaps.len()).find(|at| writer.refuses_heap(*at).is_none());
    writer.heaps_alone(accepted);
    writer.pairs(open);
    writer.reasons
}

struct Writer<'p, 'a> {
    prepared: &'p Prepared<'a>,
    /// For each slot what the answer takes.
    chosen: Vec<usize>,
    found: Option<&'p Found>,
    seen: Seen,
    reasons: Vec<Reason>,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn new(prepared: &'p Prepared<'a>, chosen: Vec<usize>, found: Option<&'p Found>) -> Writer<'p, 'a> {
        Writer { prepared, chosen, found, seen: Seen::new(prepared.devices), reasons: Vec::new() }
    }

    fn push(&mut self, rejected: Rejected, why: Why) {
        if self.reasons.len() < MOST {
            self.reasons.push(why.of(rejected));
        }
    }

    fn is_full(&self) -> bool {
        self.reasons.len() >= MOST
    }

    /// Every heap but the answer's.
    fn heaps(&mut self, pair: Pair, answer: usize) {
        for at in (0..self.prepared.heaps.len()).filter(|at| *at != answer) {
            if self.is_full() {
                return;
            }
            let chosen = std::mem::take(&mut self.chosen);
            let why = self.refuses_heap_with(at, &chosen).unwrap_or_else(|| self.judged(pair, at, &chosen));
            self.chosen = chosen;
            self.push(self.heap_id(at), why);
        }
    }

    /// Every heap, where there is no answer.
    fn heaps_alone(&mut self, accepted: Option<Pair>) {
        for at in 0..self.prepared.heaps.len() {
            if self.is_full() {
                return;
            }
            let why = self.refuses_heap(at).or_else(|| self.fails(accepted?, at));
            if let Some(why) = why {
                self.push(self.heap_id(at), why);
            }
        }
    }

    /// Every (format, modifier) that somebody names, but the answer's, judged in one heap.
    fn pairs(&mut self, heap: Option<usize>) {
        let answer = self.found.map(Found::pair);
        for pair in self.offered_pairs() {
            if self.is_full() {
                return;
            }
            if answer == Some(pair) {
                continue;
            }
            let why = match (self.refuses_pair(pair), heap, answer) {
                (Some(why), _, _) => Some(why),
                (None, Some(heap), Some(_)) => {
                    let chosen = self.first_choices(pair);
                    Some(self.judged(pair, heap, &chosen))
                }
                (None, Some(heap), None) => self.fails(pair, heap),
                (None, None, _) => None,
            };
            if let Some(why) = why {
                let rejected =
                    Rejected { format: Some(pair.0), modifier: Some(pair.1), ..Rejected::default() };
                self.push(rejected, why);
            }
        }
    }

    /// Every participant that was dropped.
    fn dropped(&mut self, found: &Found) {
        let prepared = self.prepared;
        for part in &prepared.parts {
            if self.is_full() {
                return;
            }
            if self.chosen.get(part.slots.start).is_some_and(|at| *at != DROPPED) {
                continue;
            }
            let refusal = prepared.heaps.get(found.heap()).and_then(|heap| self.refusal(part, heap));
            let why = refusal.or_else(|| self.refuses_pair_of(part, found.pair())).unwrap_or_else(|| {
                let mut chosen = self.chosen.clone();
                self.choose_first(part, found.pair(), &mut chosen);
                self.judged(found.pair(), found.heap(), &chosen)
            });
            let rejected = Rejected { participant: Some(part.spec.name.clone()), ..Rejected::default() };
            self.push(rejected, why);
        }
    }

    /// Every alternative of a satisfied participant that was not taken.
    fn alternatives(&mut self, found: &Found) {
        let prepared = self.prepared;
        for part in satisfied(prepared, &found.chosen) {
            for (group, slot) in part.slots.clone().enumerate() {
                let Some(list) = group_of(part.spec, group) else { continue };
                let taken =
                    found.chosen.get(slot).and_then(|at| prepared.choices.get(*at)).map(|c| c.alternative);
                for (at, alternative) in list.iter().enumerate().filter(|(at, _)| Some(*at) != taken) {
                    if self.is_full() {
                        return;
                    }
                    let why = self
                        .refuses_alternative(part, &alternative.options, found.pair())
                        .unwrap_or_else(|| {
                            let mut chosen = found.chosen.clone();
                            let other = prepared.choice_in(slot, at, found.pair());
                            if let (Some(to), Some(other)) = (chosen.get_mut(slot), other) {
                                *to = other;
                            }
                            self.judged(found.pair(), found.heap(), &chosen)
                        });
                    let rejected = Rejected {
                        participant: Some(part.spec.name.clone()),
                        alternative: Some(alternative_name(alternative, at)),
                        ..Rejected::default()
                    };
                    self.push(rejected, why);
                }
            }
        }
    }

    fn heap_id(&self, at: usize) -> Rejected {
        Rejected {
            heap: self.prepared.heaps.get(at).map(|heap| heap.facts.id.clone()),
            ..Rejected::default()
        }
    }

    fn refuses_heap(&self, at: usize) -> Option<Why> {
        self.refuses_heap_with(at, &self.chosen)
    }

    fn refuses_heap_with(&self, at: usize, chosen: &[usize]) -> Option<Why> {
        let heap = self.prepared.heaps.get(at)?;
        let own = |field, value: &str| {
            Some(Why { who: format!("(heap {})", heap.facts.id), field, value: value.to_owned() })
        };
        if !heap.facts.can_open {
            return own("can_open", "false");
        }
        if heap.facts.max_ranges == Some(0) {
            return own("max_ranges", "0");
        }
        satisfied(self.prepared, chosen).find_map(|part| self.refusal(part, heap))
    }

    fn refusal(&self, part: &Part<'a>, heap: &Heap<'a>) -> Option<Why> {
        let field = self.prepared.refusal(part, heap)?;
        let value = match field {
            "link" => {
                let evidence = self.prepared.link(part, heap).refusal()?;
                Some(format!("refuses ({})", evidence.as_str()))
            }
            _ => fields::value(part.spec, field),
        };
        Some(Why::part(part, field, value))
    }

    /// Every (format, modifier) that an option names in full, sorted.
    fn offered_pairs(&self) -> Vec<Pair> {
        let options = self.prepared.parts.iter().flat_map(|part| offered(part.spec)).flatten();
        let mut pairs: Vec<Pair> =
            options.filter_map(|option| Some((option.format.exact()?, option.modifier.exact()?))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The first satisfied participant that has no option for the pair.
    fn refuses_pair(&self, pair: Pair) -> Option<Why> {
        satisfied(self.prepared, &self.chosen).find_map(|part| self.refuses_pair_of(part, pair))
    }

    fn refuses_pair_of(&self, part: &Part<'a>, pair: Pair) -> Option<Why> {
        for (group, slot) in part.slots.clone().enumerate() {
            let slot = self.prepared.slots.get(slot)?;
            if self.prepared.allows(slot, pair) {
                continue;
            }
            let options: Vec<&OptionSpec> = match group_of(part.spec, group) {
                Some(list) => list.iter().flat_map(|alternative| &alternative.options).collect(),
                None => part.spec.options.iter().flatten().collect(),
            };
            return self.refuses_alternative(part, options, pair);
        }
        None
    }

    /// Why none of the options takes the pair.
    fn refuses_alternative<'o>(
        &self,
        part: &Part<'a>,
        options: impl IntoIterator<Item = &'o OptionSpec>,
        pair: Pair,
    ) -> Option<Why> {
        let size = self.prepared.size();
        let options: Vec<&OptionSpec> = options.into_iter().collect();
        let has_format = |option: &&&OptionSpec| option.format.exact().is_none_or(|format| format == pair.0);
        let has_modifier =
            |option: &&&OptionSpec| option.modifier.exact().is_none_or(|modifier| modifier == pair.1);
        if let Some(field) = refuses_size(&part.spec.limits, size) {
            return Some(Why::part(part, field, fields::value(part.spec, field)));
        }
        let with_format: Vec<&&OptionSpec> = options.iter().filter(has_format).collect();
        if with_format.is_empty() && !options.is_empty() {
            let mut formats: Vec<_> = options.iter().filter_map(|option| option.format.exact()).collect();
            formats.sort_unstable();
            formats.dedup();
            return Some(Why::part(part, "format", fields::list(formats.iter().map(ToString::to_string))));
        }
        if options.is_empty() {
            return Some(Why::part(part, "format", Some("none".to_owned())));
        }
        let matching: Vec<&&&OptionSpec> = with_format.iter().filter(|option| has_modifier(option)).collect();
        if matching.is_empty() {
            let mut modifiers: Vec<_> =
                with_format.iter().filter_map(|option| option.modifier.exact()).collect();
            modifiers.sort_unstable();
            modifiers.dedup();
            return Some(Why::part(
                part,
                "modifier",
                fields::list(modifiers.iter().map(ToString::to_string)),
            ));
        }
        let refusals: Option<Vec<_>> =
            matching.iter().map(|option| refuses_size(&option.limits, size)).collect();
        let field = refusals?.first().copied()?;
        Some(Why::part(part, field, fields::value(part.spec, field)))
    }

    /// The best option of each satisfied participant for a pair.
    fn first_choices(&self, pair: Pair) -> Vec<usize> {
        let mut chosen = self.chosen.clone();
        for part in satisfied(self.prepared, &self.chosen) {
            self.choose_first(part, pair, &mut chosen);
        }
        chosen
    }

    fn choose_first(&self, part: &Part<'a>, pair: Pair, chosen: &mut [usize]) {
        let mut candidates = Vec::new();
        for slot in part.slots.clone() {
            candidates.clear();
            if let Some(slot) = self.prepared.slots.get(slot) {
                self.prepared.candidates(slot, pair, &mut candidates);
            }
            if let (Some(to), Some(first)) = (chosen.get_mut(slot), candidates.first()) {
                *to = *first;
            }
        }
    }

    fn fails(&mut self, pair: Pair, heap: usize) -> Option<Why> {
        let chosen = self.first_choices(pair);
        let blame = judge(self.prepared, pair, heap, &chosen, (0, 0), &mut self.seen).err()?;
        Some(self.blame(blame, heap, pair, &chosen))
    }

    /// Why the answer is not this one: it is impossible, or dearer.
    fn judged(&mut self, pair: Pair, heap: usize, chosen: &[usize]) -> Why {
        let dropped = self.found.map_or((0, 0), |found| {
            let gone =
                self.prepared.parts.iter().filter(|p| found.chosen.get(p.slots.start) == Some(&DROPPED));
            gone.fold((0, 0), |(weight, count), part| (weight + part.weight(), count + 1))
        });
        match judge(self.prepared, pair, heap, chosen, dropped, &mut self.seen) {
            Err(blame) => self.blame(blame, heap, pair, chosen),
            Ok(other) => {
                let answer = self.found.map(|found| (found.cost, found.tie));
                dearer(other, answer.unwrap_or(other))
            }
        }
    }

    fn blame(&self, blame: Blame, heap: usize, pair: Pair, chosen: &[usize]) -> Why {
        let facts = self.prepared.heaps.get(heap).map(|heap| heap.facts);
        let text = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        match blame {
            Blame::Merged(field) => self.culprit(field, pair, chosen),
            Blame::Heap(field) => Why {
                who: facts.map(|facts| format!("(heap {})", facts.id)).unwrap_or_default(),
                field,
                value: text(facts.and_then(|facts| facts.max_bytes)),
            },
            Blame::Pool => Why {
                who: facts.map(|facts| format!("(pool {})", facts.pool())).unwrap_or_default(),
                field: "free",
                value: text(self.prepared.heaps.get(heap).and_then(|heap| heap.budget)),
            },
            Blame::Problem(field) => Why {
                who: "(problem)".to_owned(),
                field,
                value: match field {
                    "count" => self.prepared.problem.count.to_string(),
                    _ => self.prepared.size().to_string(),
                },
            },
        }
    }

    /// Of the participants that state the field, the one that is strictest, or else the first.
    fn culprit(&self, field: &'static str, pair: Pair, chosen: &[usize]) -> Why {
        let stated = |part| {
            let part: &Part<'_> = part;
            let own = chosen.get(part.slots.clone()).unwrap_or_default();
            let options = own
                .iter()
                .filter_map(|at| self.prepared.choices.get(*at))
                .map(|choice| &choice.option.limits);
            let in_layout = std::iter::once(&part.spec.limits)
                .chain(options)
                .filter_map(|limits| layout_number(limits, field))
                .min();
            let of_part = || fields::value(part.spec, field).map(|value| (value.parse().unwrap_or(0), value));
            in_layout.map(|number| (number, fields_text(part.spec, field, number))).or_else(of_part)
        };
        let all = satisfied(self.prepared, chosen).filter_map(|part| stated(part).map(|said| (part, said)));
        let strictest = if field.starts_with("max_") {
            all.min_by_key(|(_, (number, _))| *number)
        } else {
            let mut all = all;
            all.next()
        };
        match strictest {
            Some((part, (_, value))) => Why::part(part, field, Some(value)),
            None if field == "format" && Format::of(pair.0).is_none() => {
                Why { who: "(problem)".to_owned(), field, value: format!("{} has no known layout", pair.0) }
            }
            None => {
                Why { who: "(problem)".to_owned(), field: "size", value: self.prepared.size().to_string() }
            }
        }
    }
}

/// A layout field that is one number, of an option or participant.
fn layout_number(limits: &LayoutLimits, field: &str) -> Option<u64> {
    match field {
        "min_pitch" => limits.min_pitch,
        "max_pitch" => limits.max_pitch,
        "pitch_align" => limits.pitch_align,
        "exact_pitch" => limits.exact_pitch.map(|pitch| match pitch {
            ExactPitch::Bytes(bytes) => bytes,
            ExactPitch::Packed => 0,
        }),
        "plane_offset_align" => limits.plane_offset_align,
        "alloc_height_align" => limits.alloc_height_align,
        "pad_beyond_image" => limits.pad_beyond_image,
        "size_align" => limits.size_align,
        "max_size_bytes" => limits.max_size_bytes,
        "base_align" => limits.base_align,
        _ => None,
    }
}

fn fields_text(participant: &Participant, field: &str, number: u64) -> String {
    if field == "exact_pitch" && number == 0 {
        return fields::value(participant, field).unwrap_or_default();
    }
    number.to_string()
}

fn dearer((cost, _): (Cost, Tie), (best, _): (Cost, Tie)) -> Why {
    let criterion = CRITERIA.iter().zip(cost.iter().zip(&best)).find(|(_, (cost, best))| cost != best);
    let (field, value) = match criterion {
        Some((name, (cost, best))) => (*name, format!("{cost} against {best}")),
        None => ("order", "equal cost".to_owned()),
    };
    Why { who: "(cost)".to_owned(), field, value }
}

/// The alternatives of one choice that a participant has to make; `None` if it was not offered as
/// alternatives.
pub(super) fn group_of(participant: &Participant, group: usize) -> Option<&Vec<Alternative>> {
    match (&participant.alternatives, &participant.groups) {
        (Some(alternatives), _) => Some(alternatives),
        (None, Some(groups)) => groups.get(group),
        (None, None) => None,
    }
}

/// What the answer calls an alternative.
pub(super) fn alternative_name(alternative: &Alternative, at: usize) -> String {
    alternative.name.clone().unwrap_or_else(|| format!("#{at}"))
}
