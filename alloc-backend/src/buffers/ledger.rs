//! What this process has taken from the heaps, written down as it happens.
//!
//! 1. An allocation is entered when the heap has given it, with a [`Lease`] that lives in the buffer.
//! 2. The lease's end is the free: no path, also none of an error, leaves an entry behind.
//! 3. A free ends the wait of its pool, if that was dry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::metrics::Metrics;
use super::quota::Amount;
use super::shortage::{Shortage, Shortages};
use crate::heaps::{Heap, HeapId};

#[derive(Debug, Default)]
struct Entries {
    metrics: Metrics,
    shortages: Shortages,
    pools: HashMap<HeapId, Arc<str>>,
}

/// Shared by an allocator, its buffer pools and their buffers.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Entries are numbers: a thread that panicked between two of them leaves a count that is off by one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool a heap draws from; asked of the heap once, because asking may read sysfs.
    pub(super) fn pool_of(&self, heap: &dyn Heap) -> Arc<str> {
        if let Some(pool) = self.entries().pools.get(heap.id()) {
            return Arc::clone(pool);
        }
        let pool: Arc<str> = heap.facts().pool().into();
        self.entries().pools.insert(heap.id().clone(), Arc::clone(&pool));
        pool
    }

    /// Enters an allocation.
    pub(super) fn lease(self: &Arc<Self>, heap: &dyn Heap, bytes: u64) -> Lease {
        let pool = self.pool_of(heap);
        let mut entries = self.entries();
        entries.metrics.allocations += 1;
        let of_pool = entries.metrics.pools.entry(pool.to_string()).or_default();
        of_pool.live = of_pool.live.checked_add(Amount::one(bytes)).unwrap_or(of_pool.live);
        entries.shortages.gave(&pool);
        Lease { ledger: Arc::clone(self), pool, bytes }
    }

    fn end(&self, pool: &str, bytes: u64) {
        let mut entries = self.entries();
        entries.metrics.frees += 1;
        if let Some(of_pool) = entries.metrics.pools.get_mut(pool) {
            of_pool.live = of_pool.live.saturating_sub(Amount::one(bytes));
        }
        entries.shortages.freed(pool);
    }

    /// Changes the counters.
    pub(super) fn count(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut self.entries().metrics);
    }

    /// A pool could give no more than `free` bytes.
    pub(super) fn ran_dry(&self, pool: &str, free: u64) -> Shortage {
        let mut entries = self.entries();
        entries.metrics.pools.entry(pool.to_owned()).or_default().dry += 1;
        entries.shortages.learn(pool, free)
    }

    pub(super) fn tick(&self, now: Duration) {
        self.entries().shortages.tick(now);
    }

    pub(super) fn shortages(&self) -> Vec<Shortage> {
        self.entries().shortages.all()
    }

    pub(super) fn metrics(&self) -> Metrics {
        self.entries().metrics.clone()
    }
}

/// One allocation's entry; ends when dropped.
#[derive(Debug)]
pub(super) struct Lease {
    ledger: Arc<Ledger>,
    pool: Arc<str>,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ledger.end(&self.pool, self.bytes);
    }
}
