//! The fields of a participant by name: what each says, and the participant without it.

use std::fmt::{Display, Write};

use super::prepare::offered;
use super::problem::{LayoutLimits, Match, OptionSpec, Participant};

/// One field that narrows the choice.
#[derive(Debug, Copy, Clone)]
pub(super) struct Field {
    pub name: &'static str,
    /// What the participant says there, if it narrows anything.
    pub value: fn(&Participant) -> Option<String>,
    /// Takes the field away.
    pub remove: fn(&mut Participant),
}

/// How many values of one field are written out.
const LISTED: usize = 4;

/// Values in a row, the first few of them; `None` for none.
pub(super) fn list<T: Display>(values: impl IntoIterator<Item = T>) -> Option<String> {
    let mut values = values.into_iter();
    let mut text = values.next()?.to_string();
    for value in values.by_ref().take(LISTED - 1) {
        // Writing to a text cannot fail.
        let _ = write!(text, ", {value}");
    }
    match values.count() {
        0 => {}
        more => text.push_str(&format!(", and {more} more")),
    }
    Some(text)
}

/// Values in order, each once, the first few of them.
pub(super) fn list_sorted<T: Ord + Display>(values: impl Iterator<Item = T>) -> Option<String> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    list(values)
}

/// The values of one field in a participant and all its options, each once.
fn distinct<T: Ord + Display>(
    participant: &Participant,
    get: impl Fn(&LayoutLimits) -> Option<T>,
) -> Option<String> {
    let options = offered(participant).flatten().map(|option| &option.limits);
    list_sorted(std::iter::once(&participant.limits).chain(options).filter_map(get))
}

fn each_option(participant: &mut Participant, mut change: impl FnMut(&mut OptionSpec)) {
    participant.options.iter_mut().flatten().for_each(&mut change);
    let alternatives = participant.alternatives.iter_mut().flatten();
    let grouped = participant.groups.iter_mut().flatten().flatten();
    alternatives.chain(grouped).flat_map(|alternative| &mut alternative.options).for_each(change);
}

fn each_limits(participant: &mut Participant, change: impl Fn(&mut LayoutLimits)) {
    change(&mut participant.limits);
    each_option(participant, |option| change(&mut option.limits));
}

macro_rules! layout_field {
    ($name:ident) => {
        Field {
            name: stringify!($name),
            value: |p| distinct(p, |limits| limits.$name),
            remove: |p| each_limits(p, |limits| limits.$name = None),
        }
    };
    ($name:ident, flag) => {
        Field {
            name: stringify!($name),
            value: |p| distinct(p, |limits| limits.$name.then_some(true)),
            remove: |p| each_limits(p, |limits| limits.$name = false),
        }
    };
}

macro_rules! memory_field {
    ($name:ident) => {
        Field {
            name: stringify!($name),
            value: |p| p.memory.$name.as_ref().map(ToString::to_string),
            remove: |p| p.memory.$name = None,
        }
    };
    ($name:ident, forbids) => {
        Field {
            name: stringify!($name),
            value: |p| (p.memory.$name == Some(false)).then(|| "false".to_owned()),
            remove: |p| p.memory.$name = None,
        }
    };
    ($name:ident, asks) => {
        Field {
            name: stringify!($name),
            value: |p| p.memory.$name.then(|| "true".to_owned()),
            remove: |p| p.memory.$name = false,
        }
    };
}

macro_rules! count_field {
    ($name:ident) => {
        Field {
            name: stringify!($name),
            value: |p| {
                p.counts
                    .$name
                    .filter(|count| *count > 0 || stringify!($name) == "max_count")
                    .map(|count| count.to_string())
            },
            remove: |p| p.counts.$name = None,
        }
    };
}

/// Every field, in the order of the vocabulary.
pub(super) static FIELDS: [Field; 37] = [
    Field {
        name: "format",
        value: |p| {
            let formats = offered(p).flatten().filter_map(|option| option.format.exact());
            list_sorted(formats).or_else(|| accepts_nothing(p).then(none))
        },
        remove: |p| {
            each_option(p, |option| option.format = Match::Any);
            accept_something(p);
        },
    },
    Field {
        name: "modifier",
        value: |p| list_sorted(offered(p).flatten().filter_map(|option| option.modifier.exact())),
        remove: |p| each_option(p, |option| option.modifier = Match::Any),
    },
    layout_field!(min_size),
    layout_field!(max_size),
    layout_field!(max_area),
    layout_field!(width_align),
    layout_field!(height_align),
    layout_field!(min_pitch),
    layout_field!(max_pitch),
    layout_field!(pitch_align),
    layout_field!(pitch_at_pixel_boundary, flag),
    layout_field!(exact_pitch),
    layout_field!(chroma_pitch),
    layout_field!(plane_offset_align),
    layout_field!(alloc_height_align),
    layout_field!(exact_rows),
    layout_field!(pad_beyond_image),
    layout_field!(size_align),
    layout_field!(max_size_bytes),
    layout_field!(base_align),
    memory_field!(contiguous, asks),
    memory_field!(dma_mask_bits),
    memory_field!(max_segments),
    memory_field!(max_segment_size),
    Field {
        name: "permitted_heaps",
        value: |p| p.memory.permitted_heaps.as_ref().map(|ids| list(ids).unwrap_or_else(none)),
        remove: |p| p.memory.permitted_heaps = None,
    },
    Field {
        name: "protected",
        value: |p| p.memory.protected.then(|| "true".to_owned()),
        // Who asked for it can touch it, and still can.
        remove: |p| p.memory.can_protected |= std::mem::take(&mut p.memory.protected),
    },
    Field {
        name: "can_protected",
        value: |p| (!p.memory.can_protected && !p.memory.protected).then(|| "false".to_owned()),
        remove: |p| p.memory.can_protected = true,
    },
    memory_field!(device_local_ok, forbids),
    memory_field!(p2p_ok, forbids),
    Field {
        name: "coherency",
        value: |p| {
            let states = p.memory.coherency.as_ref()?;
            list(states.iter().map(|state| state.as_str())).or_else(|| Some(none()))
        },
        remove: |p| p.memory.coherency = None,
    },
    Field {
        name: "cpu_access",
        value: |p| p.memory.cpu_access.any().then(|| p.memory.cpu_access.to_string()),
        remove: |p| p.memory.cpu_access = Default::default(),
    },
    Field {
        name: "sync",
        value: |p| list(p.sync.as_ref()?.iter().map(|kind| kind.as_str())).or_else(|| Some(none())),
        remove: |p| p.sync = None,
    },
    count_field!(camping),
    count_field!(dedicated_slack),
    count_field!(shared_slack),
    count_field!(min_count),
    count_field!(max_count),
];

/// The value of an empty list.
pub(super) fn none() -> String {
    "none".to_owned()
}

/// Whether a choice the participant has to make has nothing to choose from.
pub(super) fn accepts_nothing(participant: &Participant) -> bool {
    let empty =
        |alternatives: &Vec<super::problem::Alternative>| alternatives.iter().all(|a| a.options.is_empty());
    participant.options.as_ref().is_some_and(Vec::is_empty)
        || participant.alternatives.as_ref().is_some_and(empty)
        || participant.groups.iter().flatten().any(empty)
}

/// Gives a choice with nothing to choose from an option that accepts anything.
fn accept_something(participant: &mut Participant) {
    use super::problem::Alternative;
    let fill = |alternatives: &mut Vec<Alternative>| {
        if alternatives.iter().all(|alternative| alternative.options.is_empty()) {
            alternatives.push(Alternative { name: None, options: vec![OptionSpec::default()] });
        }
    };
    if let Some(options) = participant.options.as_mut().filter(|options| options.is_empty()) {
        options.push(OptionSpec::default());
    }
    participant.alternatives.iter_mut().for_each(fill);
    participant.groups.iter_mut().flatten().for_each(fill);
}

/// What a participant says in a field, by name.
pub(super) fn value(participant: &Participant, name: &str) -> Option<String> {
    FIELDS.iter().find(|field| field.name == name).and_then(|field| (field.value)(participant))
}
