//! The problem: who will touch a buffer, what each accepts, and where memory is. Also the problem file.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use super::heap_facts::HeapFacts;
pub use super::link::{Evidence, Link, Verdict};
use crate::constraints::layout::{unstated, with_layout_limits};
use crate::constraints::memory::one_or_many;
pub use crate::constraints::{
    ChromaPitch, Coherency, Counts, CpuAccess, ExactPitch, Fourcc, Frequency, LayoutLimits, MemoryLimits,
    Modifier, Size, Sync,
};

/// One question to the solver: find a format, a modifier, a heap and a layout that everybody accepts.
///
/// ```
/// use heapwright_alloc::solver::problem::*;
/// let problem = Problem {
///     size: Size::new(640, 480),
///     participants: vec![Participant {
///         name: "panel".into(),
///         options: Some(vec![OptionSpec {
///             format: Fourcc::XRGB8888.into(),
///             modifier: Modifier::LINEAR.into(),
///             limits: LayoutLimits { pitch_align: Some(64), ..Default::default() },
///             ..Default::default()
///         }]),
///         ..Default::default()
///     }],
///     heaps: vec![HeapFacts { id: "h0".into(), ..Default::default() }],
///     ..Default::default()
/// };
/// assert_eq!(heapwright_alloc::solver::solve(&problem).exit_code(), 0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The picture, in pixels; neither side may be 0.
    pub size: Size,
    /// Buffers wanted at least; at least 1.
    #[serde(default = "one")]
    pub count: u32,
    /// Who will touch the buffers. The order is of no consequence; names must differ.
    #[serde(default)]
    pub participants: Vec<Participant>,
    /// Where memory can come from. The order is of no consequence; ids must differ.
    #[serde(default)]
    pub heaps: Vec<HeapFacts>,
    /// What is known of devices using heaps.
    #[serde(default, skip_serializing_if = "unstated")]
    pub links: Vec<Link>,
    /// Devices behind an IOMMU.
    #[serde(default, skip_serializing_if = "unstated")]
    pub iommu: Vec<String>,
}

impl Default for Problem {
    /// A question about nothing; its empty size must be replaced.
    fn default() -> Problem {
        Problem {
            size: Size::default(),
            count: 1,
            participants: Vec::new(),
            heaps: Vec::new(),
            links: Vec::new(),
            iommu: Vec::new(),
        }
    }
}

/// What a participant does with the buffer. A word for people: what a participant *needs* it states in its
/// other fields.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The words of the field, one each.
pub enum Role {
    Render,
    #[default]
    Sample,
    Scanout,
    Cpu,
    Decode,
    Encode,
    Capture,
    Writeback,
}

/// A value that must be matched exactly, or `"any"`.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Match<T> {
    /// Whatever the others want; what a missing key means.
    #[default]
    Any,
    /// This one only.
    Is(T),
}

impl<T> Match<T> {
    /// The value, unless any will do.
    pub fn exact(self) -> Option<T> {
        match self {
            Match::Any => None,
            Match::Is(value) => Some(value),
        }
    }
}

impl<T: PartialEq> Match<T> {
    /// Whether it allows a value.
    pub fn allows(&self, value: T) -> bool {
        match self {
            Match::Any => true,
            Match::Is(only) => *only == value,
        }
    }

    /// The values it allows, where `all` are what any may be.
    pub(super) fn among<'s>(&'s self, all: &'s [T]) -> &'s [T] {
        match self {
            Match::Any => all,
            Match::Is(only) => std::slice::from_ref(only),
        }
    }
}

impl<T> From<T> for Match<T> {
    fn from(value: T) -> Match<T> {
        Match::Is(value)
    }
}

impl<T: fmt::Display> fmt::Display for Match<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Match::Any => f.write_str("any"),
            Match::Is(value) => value.fmt(f),
        }
    }
}

impl<T: Serialize> Serialize for Match<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Match::Any => serializer.serialize_str("any"),
            Match::Is(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: std::str::FromStr<Err: fmt::Display>> Deserialize<'de> for Match<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Match<T>, D::Error> {
        struct Text<T>(std::marker::PhantomData<T>);
        impl<T: std::str::FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
            type Value = Match<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a format's or modifier's text, or \"any\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Match<T>, E> {
                match text {
                    "any" => Ok(Match::Any),
                    _ => text.parse().map(Match::Is).map_err(E::custom),
                }
            }
        }
        deserializer.deserialize_str(Text(std::marker::PhantomData))
    }
}

/// One (format, modifier) a participant accepts, with the layout limits that hold for that pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "OptionWire", into = "OptionWire")]
pub struct OptionSpec {
    /// The format, or any.
    pub format: Match<Fourcc>,
    /// The modifier, or any.
    pub modifier: Match<Modifier>,
    /// How much bandwidth it takes; smaller is better, an option without one is worse than any with one.
    pub rank: Option<u32>,
    /// What holds for this pair.
    pub limits: LayoutLimits,
}

with_layout_limits! { OptionSpec as OptionWire {
    #[serde(default)]
    format: Match<Fourcc>,
    #[serde(default)]
    modifier: Match<Modifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
} }

/// One way in which a participant can take the buffer: one display plane, one queue of a codec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// What the answer calls it. Not stated: `#` and its place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it accepts; an empty list accepts nothing.
    #[serde(default)]
    pub options: Vec<OptionSpec>,
}

/// One party that will touch the buffer, in one role.
///
/// What it accepts is said in one of three ways: `options`; `alternatives`, of which one is taken; or
/// `groups` of alternatives, where one of *each* group is taken and all taken hold together. With none of the
/// three it accepts anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ParticipantWire", into = "ParticipantWire")]
pub struct Participant {
    /// Its name, unique in the problem.
    pub name: String,
    /// The device that touches the memory, if any; links and `iommu` speak of devices.
    pub device: Option<String>,
    /// What it does.
    pub role: Role,
    /// Whether there is no answer without it. An optional one may be dropped, at the price of its weight.
    pub required: bool,
    /// What dropping it costs.
    pub weight: u32,
    /// Short for one alternative.
    pub options: Option<Vec<OptionSpec>>,
    /// Alternatives, of which one is taken.
    pub alternatives: Option<Vec<Alternative>>,
    /// Groups of alternatives, of each of which one is taken.
    pub groups: Option<Vec<Vec<Alternative>>>,
    /// Where the memory may lie.
    pub memory: MemoryLimits,
    /// How many buffers it needs.
    pub counts: Counts,
    /// Kinds of synchronisation it can do: a list, or one word. Merge: intersection.
    pub sync: Option<Vec<Sync>>,
    /// What holds for all its options.
    pub limits: LayoutLimits,
}

impl Default for Participant {
    fn default() -> Participant {
        Participant {
            name: String::new(),
            device: None,
            role: Role::default(),
            required: true,
            weight: 1,
            options: None,
            alternatives: None,
            groups: None,
            memory: MemoryLimits::default(),
            counts: Counts::default(),
            sync: None,
            limits: LayoutLimits::default(),
        }
    }
}

impl Participant {
    /// Every list of its options, however they are put.
    pub(crate) fn option_lists(&mut self) -> impl Iterator<Item = &mut Vec<OptionSpec>> {
        let own = self.options.iter_mut();
        let alternatives = self.alternatives.iter_mut().flatten();
        let groups = self.groups.iter_mut().flatten().flatten();
        own.chain(alternatives.chain(groups).map(|alternative| &mut alternative.options))
    }
}

with_layout_limits! { Participant as ParticipantWire {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(default)]
    role: Role,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Vec<OptionSpec>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alternatives: Option<Vec<Alternative>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Vec<Alternative>>>,
    #[serde(default, skip_serializing_if = "unstated")]
    memory: MemoryLimits,
    #[serde(default, skip_serializing_if = "unstated")]
    counts: Counts,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "one_or_many")]
    sync: Option<Vec<Sync>>,
} }

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// A problem that cannot be understood: where in the file, and why.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("{where_}: {why}")]
pub struct InvalidProblem {
    /// `line 3 column 7` for text, or the path of a field, like `participants[0].options[2].pitch_align`.
    pub where_: String,
    /// What is wrong there.
    pub why: String,
}

impl Problem {
    /// Reads a problem file.
    ///
    /// # Errors
    /// If the text is not JSON, has an unknown key or a value of the wrong kind, or says what no problem can
    /// mean (see [`Problem::validate`]).
    pub fn from_json(text: &str) -> Result<Problem, InvalidProblem> {
        let problem: Problem = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            let why = message.strip_suffix(&place).unwrap_or(&message).to_owned();
            InvalidProblem { where_: format!("line {} column {}", error.line(), error.column()), why }
        })?;
        problem.validate()?;
        Ok(problem)
    }
}
