//! What a heap says of itself, as the solver needs it.

use serde::{Deserialize, Serialize};

use crate::constraints::layout::unstated;

/// One heap of a problem. What it does not say is taken as the less useful: not contiguous, not cached, not
/// protected.
#[derive(Debug, Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeapFacts {
    /// Its opaque id, unique in the problem.
    pub id: String,
    /// Labels for people; they never decide anything.
    #[serde(skip_serializing_if = "unstated")]
    pub names: Vec<String>,
    /// The pool of physical memory it draws from. Not stated: one of its own, called like its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Every buffer of it is physically contiguous.
    #[serde(skip_serializing_if = "unstated")]
    pub contiguous: bool,
    /// The CPU maps it through its caches.
    #[serde(skip_serializing_if = "unstated")]
    pub cached: bool,
    /// Its memory is protected: only participants that say so can touch it.
    #[serde(skip_serializing_if = "unstated")]
    pub protected: bool,
    /// Bits of the highest physical address it hands out. Not stated: unknown, except that a contiguous heap
    /// is taken to lie within 32 bits, because the kernel puts its contiguous area below the limit of its DMA
    /// zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_bits: Option<u32>,
    /// Bytes in its pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Bytes still to be had from its pool; without it `capacity` counts, without both the pool is elastic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// Largest buffer, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Most ranges of memory one buffer can be made of. A buffer of the solver is one range, so only 0
    /// refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ranges: Option<u64>,
    /// Buffers are rounded up to, and aligned to, this many bytes; at least 1, 4096 if not stated.
    pub page_size: u64,
    /// Whether this process may open it.
    pub can_open: bool,
    /// The device whose own memory (VRAM) this is. Not stated: system memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl Default for HeapFacts {
    fn default() -> HeapFacts {
        HeapFacts {
            id: String::new(),
            names: Vec::new(),
            pool: None,
            contiguous: false,
            cached: false,
            protected: false,
            address_bits: None,
            capacity: None,
            free: None,
            max_bytes: None,
            max_ranges: None,
            page_size: 4096,
            can_open: true,
            device: None,
        }
    }
}

impl HeapFacts {
    /// The pool it draws from.
    #[must_use]
    pub fn pool(&self) -> &str {
        self.pool.as_deref().unwrap_or(&self.id)
    }
}
