//! The answer: a resolution, or why there is none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::problem::InvalidProblem;
use crate::constraints::{Fourcc, Modifier};

/// What the solver says. Serialises to the JSON that `heapwright solve` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // The large variant is the usual one.
pub enum Answer {
    /// The best of all answers.
    Solved(Resolution),
    /// There is none, and here is why.
    Unsatisfiable {
        /// Constraints that cannot hold together; without any one of them, the others can.
        conflict: Vec<Culprit>,
        /// For each heap and each (format, modifier), who rejected it.
        reasons: Vec<Reason>,
    },
    /// Nobody says which format, or which modifier: an answer would be a guess.
    Underconstrained {
        /// `format`, `modifier` or both.
        fields: Vec<Cow<'static, str>>,
        /// In words.
        why: String,
    },
    /// The search was given up: there may be an answer or none.
    SearchLimit {
        /// The steps that were allowed.
        bound: u64,
    },
    /// The problem makes no sense.
    Invalid {
        /// The place in the problem.
        #[serde(rename = "where")]
        where_: String,
        /// What is wrong there.
        why: String,
    },
}

/// A format, a modifier, a heap and a layout that every satisfied participant accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// The format.
    pub format: Fourcc,
    /// The modifier.
    pub modifier: Modifier,
    /// The id of the heap to allocate from.
    pub heap: String,
    /// The pool behind it.
    pub pool: String,
    /// Buffers to allocate.
    pub count: u64,
    /// The planes of each buffer, in the order of the format, in one allocation.
    pub planes: Vec<PlaneLayout>,
    /// Bytes of one buffer.
    pub size: u64,
    /// The alternative taken by each satisfied participant that offered alternatives; names joined by `+` for
    /// groups.
    pub alternatives: BTreeMap<String, String>,
    /// Names of the participants that can use the buffer, sorted.
    pub satisfied: Vec<String>,
    /// Names of the optional participants that cannot, sorted.
    pub dropped: Vec<String>,
    /// What the answer costs; compared from the left, smaller is better.
    pub cost: Cost,
    /// For each rejected alternative, who rejected it.
    pub reasons: Vec<Reason>,
}

/// The cost vector, most important first: weight of dropped participants; copies or migrations per frame; sum
/// of bandwidth ranks; pressure on a fixed pool (parts per thousand of what is free); cost of CPU access;
/// devices on weak evidence; padding bytes per buffer.
pub type Cost = [u64; 7];

/// Where a plane lies in its buffer, in bytes.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct PlaneLayout {
    /// From the start of the buffer to the plane's first row.
    pub offset: u64,
    /// From the start of one row to the start of the next.
    pub pitch: u64,
    /// Pitch times allocated rows.
    pub size: u64,
}

/// One member of a conflict.
#[derive(Debug, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Culprit {
    /// The participant's name; in parentheses what is not one: `(problem)`, `(heap h0)`, `(pool cma0)`.
    pub participant: String,
    /// The field of the problem file.
    pub field: Cow<'static, str>,
    /// What it says there.
    pub value: String,
}

/// Why one alternative was not taken.
#[derive(Debug, Clone, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// What was not taken.
    pub rejected: Rejected,
    /// Who rejected it; in parentheses what is not a participant: `(heap h0)`, `(pool cma0)`, or `(cost)` for
    /// what was possible but dearer.
    pub participant: Cow<'static, str>,
    /// The field that rejected it, or the criterion of the cost.
    pub field: Cow<'static, str>,
    /// What it says there.
    pub value: String,
}

/// What was not taken: the keys that are set name it.
#[derive(Debug, Clone, Default, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub struct Rejected {
    /// A heap, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap: Option<String>,
    /// A format, with a modifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Fourcc>,
    /// A modifier, with a format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modifier: Option<Modifier>,
    /// A participant that was dropped, or whose alternative was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
    /// The alternative that was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<String>,
}

impl Answer {
    /// The exit code of `heapwright solve`: 0 solved, 1 no answer, 2 the problem is invalid.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Answer::Solved(_) => 0,
            Answer::Unsatisfiable { .. } | Answer::Underconstrained { .. } | Answer::SearchLimit { .. } => 1,
            Answer::Invalid { .. } => 2,
        }
    }

    /// Why there is no answer, in one line for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Answer::Unsatisfiable { conflict, .. } => {
                format!("these cannot hold together: {}", listed(conflict))
            }
            Answer::Underconstrained { why, .. } => format!("too little is said: {why}"),
            Answer::SearchLimit { bound } => format!("the search was given up after {bound} steps"),
            Answer::Invalid { where_, why } => format!("{where_}: {why}"),
            Answer::Solved(_) => "the answer could not be carried out".to_owned(),
        }
    }

    /// The answer as JSON on one line, without a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // No map with keys other than text and no failing Serialize is in there: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A conflict in one line.
pub(crate) fn listed(conflict: &[Culprit]) -> String {
    let parts: Vec<String> =
        conflict.iter().map(|it| format!("{} wants {} {}", it.participant, it.field, it.value)).collect();
    parts.join(", ")
}

impl From<InvalidProblem> for Answer {
    fn from(invalid: InvalidProblem) -> Answer {
        Answer::Invalid { where_: invalid.where_, why: invalid.why }
    }
}
