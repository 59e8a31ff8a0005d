//! Buffers that are used again: a heap's memory costs milliseconds, a recycled buffer microseconds.
//!
//! 1. Buffers are the same when heap and layout are: format, modifier, planes, bytes.
//! 2. An owner gets its own buffer back as it left it. Another owner gets it only after every byte was made zero through
//!    a mapping bracketed with `DMA_BUF_IOCTL_SYNC`, or not at all: where that is not worth it ([`Wipe`]), or the CPU
//!    cannot map it.
//! 3. A buffer that left the process ([`PooledBuffer::export`]) may be held, mapped and written by its client for as long
//!    as the client likes, also after it came back. It goes to another owner only when the kernel counts one reference
//!    to the dma-buf, ours: then nobody can write to it, nor read what is written next. Where that count proves nothing
//!    (see `sole.rs`), a buffer never changes owners once it left.
//! 4. What a client still holds is still its: it counts against its quota until the kernel says that it let go, or, for
//!    memory that is not counted, until the pool has let go.
//! 5. A buffer that is still in use waits on the shelf, and nobody waits for it: while a fence has not signalled, and,
//!    once it left the process, while the kernel counts anybody else: a client, a framebuffer, an import.
//! 6. Idle memory is the pool's: it counts against the quota of its pool of memory, never against a client's, and goes
//!    when somebody needs that memory, the oldest first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::books::{Books, OfHeap, Stored, is_held, may_cross};
use super::ledger::Ledger;
use super::metrics::Metrics;
use super::pooled::{Loan, PooledBuffer};
use super::quota::{Amount, Limit, Overdrawn};
use super::shelf::{Idle, IdleLimits, Key};
use super::sole::count_proves;
use super::{Buffer, BufferError, Layout, Owner};
use crate::heaps::{AllocError, Heap};

/// How much a pool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// What may lie idle.
    pub idle: IdleLimits,
    /// What each owner may hold.
    pub owner: Limit,
    /// What may be taken from each pool of memory, idle buffers included.
    pub memory: Limit,
    /// Which buffers go from one owner to another.
    pub wipe: Wipe,
}

/// Which buffers are wiped for another owner. All others it gets fresh from the heap, which wipes as well; an owner's own
/// buffers are always used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wipe {
    /// Those of heaps with limited or contiguous memory: what is given back there may not be had again. Of ordinary
    /// memory the kernel makes fresh pages as fast as a mapping can be wiped, and much faster where mapping is slow.
    #[default]
    FixedPools,
    /// Those of every heap.
    Everywhere,
}

impl Default for PoolLimits {
    /// Per owner 256 buffers and 1 GiB: some thirty windows at 3840x2160; no limit per pool of memory.
    fn default() -> Self {
        PoolLimits {
            idle: IdleLimits::default(),
            owner: Limit::of(256, 1 << 30),
            memory: Limit::NONE,
            wipe: Wipe::FixedPools,
        }
    }
}

/// Why there is no buffer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The owner has had its share.
    #[error("quota of {owner}: {overdrawn}: free buffers, or raise this owner's limit")]
    OwnerQuota {
        /// Who asked.
        owner: Owner,
        /// How much of what.
        #[source]
        overdrawn: Overdrawn,
    },
    /// The pool of memory has given its share.
    #[error("quota of pool {pool}: {overdrawn}: free buffers of this pool, or allocate from another heap")]
    MemoryQuota {
        /// Which pool of memory.
        pool: String,
        /// How much of what.
        #[source]
        overdrawn: Overdrawn,
    },
    /// The heap gave nothing, or nothing usable.
    #[error(transparent)]
    Buffer(#[from] BufferError),
}

impl PoolError {
    /// Whether there was no memory: the heap's, or the share of it that may be used.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(
            self,
            PoolError::MemoryQuota { .. }
                | PoolError::Buffer(BufferError::Alloc(AllocError::OutOfMemory { .. }))
        )
    }
}

/// Recycles buffers. Clones share one pool; a buffer outlives its pool, and is freed then.
///
/// ```
/// use std::time::Duration;
///
/// use heapwright_alloc::buffers::{BufferPool, Layout, Owner, PoolLimits, Wipe};
/// use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
/// use heapwright_alloc::heaps::{MemfdHeap, Root};
/// use heapwright_alloc::solver::PlaneLayout;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let heap = MemfdHeap::new(&Root::default());
/// let planes = vec![PlaneLayout { offset: 0, pitch: 256, size: 16384 }];
/// let layout = Layout::new(Size::new(64, 64), Fourcc::XRGB8888, Modifier::LINEAR, planes, 16384)?;
///
/// let pool = BufferPool::new(PoolLimits { wipe: Wipe::Everywhere, ..PoolLimits::default() });
/// let (alice, bob) = (Owner::new(1), Owner::new(2));
/// let buffer = pool.take(&heap, &layout, alice, "window")?;
/// buffer.map()?.write()?.fill(0xa5);
/// drop(buffer);
///
/// let again = pool.take(&heap, &layout, alice, "window")?;
/// assert_eq!(again.map()?.read()?[0], 0xa5);
/// drop(again);
/// let other = pool.take(&heap, &layout, bob, "window")?;
/// assert_eq!(other.map()?.read()?[0], 0);
/// drop(other);
///
/// // Time is what the caller says: here buffers are idle from second 3, and old at 13.
/// pool.trim(Duration::from_secs(3));
/// pool.trim(Duration::from_secs(13));
/// assert_eq!(pool.idle().count, 0);
/// assert_eq!(pool.metrics().allocations, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BufferPool(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    books: Mutex<Books>,
    ledger: Arc<Ledger>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        // Between two entries of the books nothing can panic but an allocation of ours, which aborts.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a dropped loan comes to.
    pub(super) fn put_back(&self, loan: &Loan, buffer: Buffer) {
        let (bytes, exported) = (buffer.bytes(), loan.exported.load(Ordering::SeqCst));
        let item = Stored { buffer, counted: loan.counted };
        let idle = Idle::new(item, loan.key.clone(), loan.owner, Arc::clone(&loan.pool), bytes, exported);
        let mut books = self.books();
        // A loan is on its owner's account, so an owner without one was forgotten. What may still be held outside is
        // nobody's then, and is not waited for.
        if exported && books.owners.used(&loan.owner).is_none() {
            books.strike(std::slice::from_ref(&idle));
            return;
        }
        if !exported {
            books.owners.give_back(&loan.owner, Amount::one(bytes));
        }
        books.shelf.put(idle);
        let limits = books.idle_limits;
        let gone = books.shelf.over(&limits, is_held);
        books.strike(&gone);
        // Freeing takes as long as allocating: nobody waits for it with the lock held.
        drop(books);
    }

    fn allocate(
        &self,
        heap: &dyn Heap,
        layout: &Layout,
        pool: &str,
        name: &str,
    ) -> Result<Buffer, BufferError> {
        let result = Buffer::entered(heap, layout, name, &self.ledger);
        let Err(BufferError::Alloc(AllocError::OutOfMemory { .. })) = &result else { return result };
        // Whatever of this pool lies idle is freed before anybody is told that there is none: contiguous memory may
        // need its neighbours too.
        if self.relieve(pool, Amount { count: u64::MAX, bytes: u64::MAX }).is_none() {
            return result;
        }
        Buffer::entered(heap, layout, name, &self.ledger)
    }

    fn relieve(&self, pool: &str, wanted: Amount) -> Amount {
        let mut books = self.books();
        books.come_home(|idle| &*idle.pool == pool);
        let gone = books.shelf.relieve(pool, wanted, is_held);
        books.strike(&gone);
        drop(books);
        sum(&gone)
    }
}

fn sum(idle: &[Idle<Stored>]) -> Amount {
    let bytes = idle.iter().map(|idle| idle.bytes).fold(0, u64::saturating_add);
    Amount { count: idle.len() as u64, bytes }
}

impl BufferPool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        BufferPool::with_ledger(limits, Arc::default())
    }

    pub(super) fn with_ledger(limits: PoolLimits, ledger: Arc<Ledger>) -> Self {
        let books = Books::new(&limits);
        BufferPool(Arc::new(Shared { books: Mutex::new(books), ledger }))
    }

    /// A buffer of this layout for this owner: one of its own, one of another's wiped clean, or one fresh from the heap.
    /// `name` is what debugfs will show.
    ///
    /// # Errors
    /// [`PoolError`] says which quota, or what the heap said. Nothing is counted or kept then.
    pub fn take(
        &self,
        heap: &dyn Heap,
        layout: &Layout,
        owner: Owner,
        name: &str,
    ) -> Result<PooledBuffer, PoolError> {
        let shared = &*self.0;
        let key = Key { heap: heap.id().clone(), layout: layout.clone() };
        let refused = |overdrawn| {
            shared.ledger.count(|metrics| metrics.quota_refusals += 1);
            PoolError::OwnerQuota { owner, overdrawn }
        };
        let mut books = shared.books();
        if let Some(idle) = books.own(&key, owner).map_err(refused)? {
            drop(books);
            shared.ledger.count(|metrics| metrics.recycled += 1);
            return Ok(self.lend(idle, owner, name));
        }
        let wanted = Amount::one(layout.bytes());
        books.charge_owner(owner, wanted).map_err(refused)?;
        // From here on every way out that is not a buffer gives this back.
        let wipes = books.wipes(heap.id());
        let crosses = |idle: &Idle<Stored>| wipes && may_cross(idle);
        while let Some(mut idle) = books.shelf.take_others(&key, owner, crosses) {
            drop(books);
            if let Err(error) = idle.item.buffer.scrub() {
                tracing::debug!(heap = %heap.id(), %error, "idle buffer cannot be wiped, so it is freed");
                shared.ledger.count(|metrics| metrics.not_scrubbed += 1);
                books = shared.books();
                books.strike(std::slice::from_ref(&idle));
                continue;
            }
            shared.ledger.count(|metrics| metrics.scrubbed += 1);
            let mut books = shared.books();
            if idle.exported {
                books.owners.give_back(&idle.owner, Amount::one(idle.bytes));
                idle.exported = false;
            }
            books.settle_owner(owner, wanted, idle.bytes);
            drop(books);
            return Ok(self.lend(idle, owner, name));
        }
        drop(books);
        let fresh = self.fresh(heap, key, owner, name);
        if fresh.is_err() {
            shared.books().owners.give_back(&owner, wanted);
        }
        fresh
    }

    fn fresh(&self, heap: &dyn Heap, key: Key, owner: Owner, name: &str) -> Result<PooledBuffer, PoolError> {
        let shared = &*self.0;
        let pool = shared.ledger.pool_of(heap);
        let wanted = Amount::one(key.layout.bytes());
        let gone = shared.books().charge_memory(&pool, wanted).map_err(|overdrawn| {
            shared.ledger.count(|metrics| metrics.quota_refusals += 1);
            PoolError::MemoryQuota { pool: pool.to_string(), overdrawn }
        })?;
        drop(gone);
        let buffer = match shared.allocate(heap, &key.layout, &pool, name) {
            Ok(buffer) => buffer,
            Err(error) => {
                shared.books().memory.give_back(&pool, wanted);
                return Err(error.into());
            }
        };
        let mut books = shared.books();
        books.settle_owner(owner, wanted, buffer.bytes());
        books.memory.give_back(&pool, wanted);
        books.memory.charge(&pool, Amount::one(buffer.bytes()));
        // Once for each heap, with a buffer that certainly nobody else holds.
        let known = books.heaps.entry(heap.id().clone()).or_insert_with(|| {
            let facts = heap.facts();
            let fixed = facts.contiguous || facts.capacity.is_some();
            OfHeap { counted: count_proves(heap, &buffer), fixed }
        });
        let counted = known.counted;
        drop(books);
        let home = Arc::downgrade(&self.0);
        let exported = AtomicBool::new(false);
        Ok(PooledBuffer::new(buffer, Loan { buffer: None, key, owner, pool, exported, counted, home }))
    }

    fn lend(&self, idle: Idle<Stored>, owner: Owner, name: &str) -> PooledBuffer {
        let Idle { item: Stored { mut buffer, counted }, key, pool, exported, .. } = idle;
        buffer.rename(name);
        let home = Arc::downgrade(&self.0);
        let exported = AtomicBool::new(exported);
        PooledBuffer::new(buffer, Loan { buffer: None, key, owner, pool, exported, counted, home })
    }

    /// A limit of its own for one owner. What it holds already stays.
    pub fn set_owner_limit(&self, owner: Owner, limit: Limit) {
        self.0.books().owners.set_limit(owner, limit);
    }

    /// A limit of its own for one pool of memory ([`HeapFacts::pool`](crate::solver::problem::HeapFacts::pool)).
    pub fn set_memory_limit(&self, pool: &str, limit: Limit) {
        self.0.books().memory.set_limit(pool.into(), limit);
    }

    /// What an owner holds, and of what it gave back, what it may still hold.
    pub fn used_by(&self, owner: Owner) -> Amount {
        self.0.books().owners.used(&owner)
    }

    /// What lies idle.
    pub fn idle(&self) -> Amount {
        self.0.books().shelf.amount(|_| true)
    }

    /// Forgets an owner who is gone: its account, and its idle buffers, but for those that can go to others.
    pub fn forget(&self, owner: Owner) {
        let mut books = self.0.books();
        books.come_home(|idle| idle.owner == owner);
        let gone = books.shelf.take_out(|idle| idle.owner == owner && idle.exported);
        books.strike(&gone);
        books.owners.forget(&owner);
        drop(books);
    }

    /// It is `now`, in a time that only rises and starts anywhere: frees what has been idle for too long, takes off the
    /// owners' accounts what they have let go of, and lets pools that ran dry be tried again. To be called every second
    /// or so while there is anything idle.
    pub fn trim(&self, now: Duration) {
        self.0.ledger.tick(now);
        let mut books = self.0.books();
        books.come_home(|_| true);
        let age = books.idle_limits.age;
        let gone = books.shelf.aged(now, age, is_held);
        books.strike(&gone);
        drop(books);
    }

    /// Frees at least `bytes` of idle buffers of one pool of memory, if there are as many; how much it was.
    pub fn relieve(&self, pool: &str, bytes: u64) -> Amount {
        self.0.relieve(pool, Amount { count: 0, bytes })
    }

    /// Frees every idle buffer that is not held outside.
    pub fn clear(&self) {
        let mut books = self.0.books();
        books.come_home(|_| true);
        let gone = books.shelf.take_out(|idle| !is_held(idle));
        books.strike(&gone);
        drop(books);
    }

    /// What happened so far. Shared with the allocator that made the pool, if one did.
    pub fn metrics(&self) -> Metrics {
        self.0.ledger.metrics()
    }
}
