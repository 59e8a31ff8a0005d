//! What is known of one device using one heap.

use serde::{Deserialize, Serialize};

/// Whether a device can use a heap.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It can.
    Accepts,
    /// It cannot.
    Refuses,
    /// Nobody knows: as if the link were not listed.
    #[default]
    Unknown,
}

/// How a verdict is known, the strongest first.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The kernel or the driver says so.
    Declared,
    /// Tried, at a size, on this kernel.
    Probed,
    /// An entry of a quirk table.
    Table,
    /// Hearsay.
    #[default]
    Unknown,
}

impl Evidence {
    /// The word in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::Declared => "declared",
            Evidence::Probed => "probed",
            Evidence::Table => "table",
            Evidence::Unknown => "unknown",
        }
    }
}

/// One statement on one device using one heap. Several may stand for the same pair.
#[derive(Debug, Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The device, named as in the participants.
    pub device: String,
    /// The heap's id. A link to a heap or of a device that the problem does not have is of no consequence.
    pub heap: String,
    /// What is said.
    #[serde(default)]
    pub verdict: Verdict,
    /// How it is known.
    #[serde(default)]
    pub evidence: Evidence,
    /// The size of the buffer that was tried, in bytes. Not stated: the verdict holds for every size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}
