//! Who rejects something, in which field, saying what.

use std::borrow::Cow;

use super::choices::Pair;
use super::fields;
use super::layout::refuses_size;
use super::merge::Clash;
use super::place::Blame;
use super::prepare::{Part, Prepared};
use super::problem::{Alternative, ExactPitch, Fourcc, LayoutLimits, OptionSpec, Participant};
use super::search::satisfied;
use crate::constraints::Format;

/// Who, in which field, saying what.
#[derive(Debug, Clone)]
pub(super) struct Why {
    pub who: Cow<'static, str>,
    pub field: &'static str,
    pub value: String,
}

impl Why {
    fn part(part: &Part<'_>, field: &'static str, value: Option<String>) -> Why {
        Why { who: Cow::Owned(part.spec.name.clone()), field, value: value.unwrap_or_default() }
    }

    fn problem(field: &'static str, value: String) -> Why {
        Why { who: Cow::Borrowed("(problem)"), field, value }
    }
}

/// Answers who rejects what.
#[derive(Debug)]
pub(super) struct Witness<'p, 'a> {
    prepared: &'p Prepared<'a>,
    /// For each slot, what was last said of a format that it does not take, or not with every modifier: the
    /// same is said again and again, since pairs are asked in order.
    said: Vec<Option<(Fourcc, Why)>>,
}

impl<'p, 'a> Witness<'p, 'a> {
    pub fn new(prepared: &'p Prepared<'a>) -> Witness<'p, 'a> {
        Witness { prepared, said: vec![None; prepared.choices.slots()] }
    }

    /// Who forbids a heap whatever the layout: itself, or one of those who take part.
    pub fn refuses_heap(&self, at: usize, chosen: &[usize]) -> Option<Why> {
        let facts = self.prepared.heaps.get(at)?.facts;
        let own = |field, value: &str| {
            Some(Why { who: format!("(heap {})", facts.id).into(), field, value: value.to_owned() })
        };
        if !facts.can_open {
            return own("can_open", "false");
        }
        if facts.max_ranges == Some(0) {
            return own("max_ranges", "0");
        }
        satisfied(self.prepared, chosen).find_map(|part| self.part_refuses_heap(part, at))
    }

    /// Why a participant cannot use a heap.
    pub fn part_refuses_heap(&self, part: &Part<'a>, at: usize) -> Option<Why> {
        let field = self.prepared.refusal(part, at, self.prepared.heaps.get(at)?)?;
        let value = match field {
            "link" => {
                let evidence = self.prepared.link(part, at).refusal()?;
                Some(format!("refuses ({})", evidence.as_str()))
            }
            _ => fields::value(part.spec, field),
        };
        Some(Why::part(part, field, value))
    }

    /// Why a slot of a participant, its `group`th, has no option for a pair.
    pub fn refuses_pair(&mut self, part: &Part<'a>, group: usize, slot: usize, pair: Pair) -> Why {
        let lost_some = self.prepared.choices.slot(slot).is_some_and(|slot| slot.lost_some);
        if let Some(Some((format, why))) = self.said.get(slot) {
            if *format == pair.0 && !lost_some {
                return why.clone();
            }
        }
        let why = match group_of(part.spec, group) {
            Some(list) => {
                self.refuses_option(part, list.iter().flat_map(|alternative| &alternative.options), pair)
            }
            None => self.refuses_option(part, part.spec.options.iter().flatten(), pair),
        };
        let why = why.unwrap_or_else(|| Why::part(part, "format", None));
        if let Some(said) = self.said.get_mut(slot) {
            *said = Some((pair.0, why.clone()));
        }
        why
    }

    /// Why none of the options takes the pair, if none does.
    pub fn refuses_option<'o>(
        &self,
        part: &Part<'a>,
        options: impl Iterator<Item = &'o OptionSpec> + Clone,
        pair: Pair,
    ) -> Option<Why> {
        let size = self.prepared.size();
        if let Some(field) = refuses_size(&part.spec.limits, size) {
            return Some(Why::part(part, field, fields::value(part.spec, field)));
        }
        let with_format = options.clone().filter(|option| option.format.allows(pair.0));
        let mut matching = with_format.clone().filter(|option| option.modifier.allows(pair.1)).peekable();
        if matching.peek().is_some() {
            // All refused by their size, or one takes the pair.
            let mut first = None;
            for option in matching {
                let field = refuses_size(&option.limits, size)?;
                first.get_or_insert(field);
            }
            return first.map(|field| Why::part(part, field, fields::value(part.spec, field)));
        }
        let (field, texts) = if with_format.clone().next().is_some() {
            ("modifier", fields::list_sorted(with_format.filter_map(|option| option.modifier.exact())))
        } else {
            ("format", fields::list_sorted(options.filter_map(|option| option.format.exact())))
        };
        Some(Why::part(part, field, texts.or_else(|| Some(fields::none()))))
    }

    /// Whom to blame for what was found impossible.
    pub fn blame(&self, blame: Blame, heap: usize, pair: Pair, chosen: &[usize]) -> Why {
        let heap = self.prepared.heaps.get(heap);
        let text = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        match (blame, heap) {
            (Blame::Merged(field), _) => self.culprit(field, pair, chosen),
            (Blame::Heap(field), Some(heap)) => Why {
                who: format!("(heap {})", heap.facts.id).into(),
                field,
                value: text(heap.facts.max_bytes),
            },
            (Blame::Pool, Some(heap)) => Why {
                who: format!("(pool {})", heap.facts.pool()).into(),
                field: if heap.facts.free.is_some() { "free" } else { "capacity" },
                value: text(heap.budget),
            },
            (Blame::Problem("count"), _) => Why::problem("count", self.prepared.problem.count.to_string()),
            _ => Why::problem("size", self.prepared.size().to_string()),
        }
    }

    /// Of the participants that state the field, the one that is strictest, or else the first.
    fn culprit(&self, field: Clash, pair: Pair, chosen: &[usize]) -> Why {
        let all = satisfied(self.prepared, chosen)
            .filter_map(|part| self.states(part, field, chosen).map(|(number, value)| (number, part, value)));
        let strictest = if field.starts_with("max_") {
            all.min_by_key(|(number, ..)| *number)
        } else {
            let mut all = all;
            all.next()
        };
        match strictest {
            Some((_, part, value)) => Why::part(part, field, Some(value)),
            None if Format::of(pair.0).is_none() => {
                Why::problem("format", format!("{} has no known layout", pair.0))
            }
            None => Why::problem("size", self.prepared.size().to_string()),
        }
    }

    /// What a participant says in a field, with what it chose; also as a number, where it is one.
    fn states(&self, part: &Part<'a>, field: Clash, chosen: &[usize]) -> Option<(u64, String)> {
        let own = chosen.get(part.slots.clone()).unwrap_or_default();
        let options =
            own.iter().filter_map(|at| self.prepared.choices.get(*at)).map(|choice| &choice.option.limits);
        let limits = std::iter::once(&part.spec.limits).chain(options);
        match limits.filter_map(|limits| layout_number(limits, field)).min() {
            Some(number) => Some((number, number.to_string())),
            None => fields::value(part.spec, field).map(|value| (value.parse().unwrap_or(0), value)),
        }
    }
}

/// A layout field that is one number, of an option or participant.
fn layout_number(limits: &LayoutLimits, field: &str) -> Option<u64> {
    match field {
        "min_pitch" => limits.min_pitch,
        "max_pitch" => limits.max_pitch,
        "pitch_align" => limits.pitch_align,
        "exact_pitch" => match limits.exact_pitch? {
            ExactPitch::Bytes(bytes) => Some(bytes),
            ExactPitch::Packed => None,
        },
        "plane_offset_align" => limits.plane_offset_align,
        "alloc_height_align" => limits.alloc_height_align,
        "exact_rows" => limits.exact_rows,
        "pad_beyond_image" => limits.pad_beyond_image,
        "size_align" => limits.size_align,
        "max_size_bytes" => limits.max_size_bytes,
        "base_align" => limits.base_align,
        _ => None,
    }
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
