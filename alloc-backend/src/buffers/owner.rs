//! Whose pixels are in a buffer.

use std::fmt;

/// Somebody whose pixels nobody else may see: a client, or the compositor itself. Opaque; the caller gives each owner
/// a number and never gives it again to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(u64);

impl Owner {
    /// The owner of this number.
    pub const fn new(number: u64) -> Self {
        Owner(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "owner {}", self.0)
    }
}
