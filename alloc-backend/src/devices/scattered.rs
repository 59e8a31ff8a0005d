//! What came of asking a device whether it takes memory in pieces.

use serde::{Deserialize, Serialize};

/// The answer of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scattered {
    /// The device takes memory in pieces.
    Taken,
    /// It does not.
    Refused,
    /// It refuses memory that is not its own, in one piece, too.
    NoAnswer,
}
