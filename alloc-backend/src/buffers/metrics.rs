//! What was allocated, recycled and refused: numbers for people, monitors and bug reports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Amount;

/// A snapshot. Counters only rise; amounts are as of now. What is never allocated (a client's own buffer) is in none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Buffers that a heap made.
    pub allocations: u64,
    /// Buffers whose memory was given back.
    pub frees: u64,
    /// Buffers handed out again to the owner they came from, as they were.
    pub recycled: u64,
    /// Buffers handed out to another owner, after their pixels were wiped.
    pub scrubbed: u64,
    /// Idle buffers that could not be wiped, and were freed instead.
    pub not_scrubbed: u64,
    /// Allocations that a heap or a device failed, each heap tried counted once.
    pub failures: u64,
    /// Answers that had to do without an optional participant, or with more copies, because a pool was dry.
    pub degradations: u64,
    /// Requests refused because of a quota, of a client or of a pool.
    pub quota_refusals: u64,
    /// By pool of memory: `ram`, `cma:reserved`, or a heap's id.
    pub pools: BTreeMap<String, PoolMetrics>,
}

/// What is known of one pool of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMetrics {
    /// Everything allocated from it through this crate and not freed, idle buffers included.
    pub live: Amount,
    /// How often it had no memory for what was asked.
    pub dry: u64,
}
