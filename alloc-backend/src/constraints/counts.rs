//! How many buffers a participant needs.

use serde::{Deserialize, Serialize};

/// The count fields of one participant, in buffers. A field that is not stated narrows nothing.
///
/// Merged over the satisfied participants, the pool has as many buffers as the largest of the problem's
/// `count`, every `min_count`, and sum of `camping` + sum of `dedicated_slack` + largest `shared_slack`. An
/// [`Allocator`](crate::buffers::Allocator) gives fewer spare buffers (slack) before somebody goes without any.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Buffers it holds on to at once in steady operation. Merge: sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camping: Option<u32>,
    /// Spare buffers for itself alone. Merge: sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedicated_slack: Option<u32>,
    /// Spare buffers that may serve another participant's slack too. Merge: max.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_slack: Option<u32>,
    /// The fewest buffers it works with. Merge: max.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count: Option<u32>,
    /// The most buffers it can track. Merge: min.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
}
