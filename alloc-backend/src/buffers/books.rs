//! What a pool writes down: who holds what, what lies idle, and what may be done with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::quota::{Amount, Overdrawn, Quotas};
use super::shelf::{Idle, IdleLimits, Key, Shelf};
use super::{Buffer, Owner, PoolLimits, Wipe, dma_buf};
use crate::heaps::HeapId;

#[derive(Debug)]
pub(super) struct Books {
    pub shelf: Shelf<Stored>,
    pub idle_limits: IdleLimits,
    pub owners: Quotas<Owner>,
    pub memory: Quotas<Arc<str>>,
    /// What was found out of each heap with its first buffer.
    pub heaps: HashMap<HeapId, OfHeap>,
    wipe: Wipe,
}

/// What a pool needs to know of a heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfHeap {
    /// The kernel's count of references proves who holds a buffer.
    pub counted: bool,
    /// Its memory is limited: not to be given back lightly.
    pub fixed: bool,
}

/// What lies on the shelf.
#[derive(Debug)]
pub(super) struct Stored {
    pub buffer: Buffer,
    pub counted: bool,
}

/// Nobody else holds it, and the kernel says so.
pub(super) fn is_sole(idle: &Idle<Stored>) -> bool {
    idle.item.counted && dma_buf::references(idle.item.buffer.fd()) == Some(1)
}

/// Freeing it would free nothing that counts: its client holds it.
pub(super) fn is_held(idle: &Idle<Stored>) -> bool {
    idle.exported && idle.item.counted
}

/// Whether its owner may have it again. One that left the process is asked about where the kernel counts: a client that
/// still uses it shall not find it drawn over.
pub(super) fn is_ready(idle: &Idle<Stored>) -> bool {
    let let_go = !idle.exported || !idle.item.counted || is_sole(idle);
    let_go && dma_buf::is_idle(idle.item.buffer.fd())
}

/// Whether another owner may have it, once it is wiped. Where the kernel counts, also a framebuffer, an import or a mapping
/// of our own keeps it back.
pub(super) fn may_cross(idle: &Idle<Stored>) -> bool {
    let unseen = if idle.item.counted { is_sole(idle) } else { !idle.exported };
    unseen && dma_buf::is_idle(idle.item.buffer.fd())
}

impl Books {
    pub(super) fn new(limits: &PoolLimits) -> Self {
        Books {
            shelf: Shelf::default(),
            idle_limits: limits.idle,
            owners: Quotas::new(limits.owner),
            memory: Quotas::new(limits.memory),
            heaps: HashMap::new(),
            wipe: limits.wipe,
        }
    }

    /// Strikes out what leaves the shelf for good.
    pub(super) fn strike(&mut self, gone: &[Idle<Stored>]) {
        for idle in gone {
            self.memory.give_back(&idle.pool, Amount::one(idle.bytes));
            if idle.exported {
                self.owners.give_back(&idle.owner, Amount::one(idle.bytes));
            }
        }
    }

    pub(super) fn come_home(&mut self, of: impl Fn(&Idle<Stored>) -> bool) {
        let Books { shelf, owners, .. } = self;
        let home = |idle: &Idle<Stored>| of(idle) && is_sole(idle);
        shelf.come_home(home, |idle| owners.give_back(&idle.owner, Amount::one(idle.bytes)));
    }

    /// The owner's own buffer, as it left it.
    pub(super) fn own(&mut self, key: &Key, owner: Owner) -> Result<Option<Idle<Stored>>, Overdrawn> {
        let Some(mut idle) = self.shelf.take_own(key, owner, is_ready) else { return Ok(None) };
        // What may still be held was never taken off the owner's account.
        if !idle.exported {
            if let Err(overdrawn) = self.charge_owner(owner, Amount::one(idle.bytes)) {
                self.shelf.put(idle);
                return Err(overdrawn);
            }
        }
        // Ready, and counted if it had left: whoever held it has let go.
        idle.exported &= !idle.item.counted;
        Ok(Some(idle))
    }

    pub(super) fn charge_owner(&mut self, owner: Owner, amount: Amount) -> Result<(), Overdrawn> {
        if self.owners.take(&owner, amount).is_ok() {
            return Ok(());
        }
        // Some of what counts against the owner may have come home since.
        self.come_home(|idle| idle.owner == owner);
        self.owners.take(&owner, amount)
    }

    /// Makes room in the quota of a pool of memory; what has to go for it. Nothing goes where that would not help.
    pub(super) fn charge_memory(
        &mut self,
        pool: &Arc<str>,
        amount: Amount,
    ) -> Result<Vec<Idle<Stored>>, Overdrawn> {
        let idle = self.shelf.amount(|idle| idle.pool == *pool && !is_held(idle));
        let limit = self.memory.limit(pool);
        if let Some(overdrawn) = limit.refuses(self.memory.used(pool).saturating_sub(idle), amount) {
            return Err(overdrawn);
        }
        let mut gone = Vec::new();
        while self.memory.take(pool, amount).is_err() {
            let more = self.shelf.relieve(pool, Amount::count(1), is_held);
            if more.is_empty() {
                break;
            }
            self.strike(&more);
            gone.extend(more);
        }
        Ok(gone)
    }

    /// Whether buffers of this heap are wiped for other owners, or rather freed.
    pub(super) fn wipes(&self, heap: &HeapId) -> bool {
        match self.wipe {
            Wipe::Everywhere => true,
            Wipe::FixedPools => self.heaps.get(heap).is_some_and(|heap| heap.fixed),
        }
    }

    /// What was charged before the size was known becomes what it is.
    pub(super) fn settle_owner(&mut self, owner: Owner, charged: Amount, bytes: u64) {
        self.owners.give_back(&owner, charged);
        self.owners.charge(&owner, Amount::one(bytes));
    }
}
