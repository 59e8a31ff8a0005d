//! The trait every source of memory implements, and what goes in and out of it.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::AllocError;
use crate::solver::problem::HeapFacts;

/// Which heap: opaque, stable while the machine runs, and good for nothing but comparing and printing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeapId(String);

impl HeapId {
    /// Made by a heap's implementation; must be unique among the heaps of a list.
    pub fn new(id: impl Into<String>) -> Self {
        HeapId(id.into())
    }

    /// The id as it stands in problem files and messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is asked of a heap: bytes, and for heaps that think in pictures also rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Bytes wanted, at least 1; heaps round up to their page size.
    pub bytes: u64,
    /// Bytes from one row to the next; a hint for dumb buffers, 0 when there are no rows.
    pub pitch: u64,
    /// A label for `/proc/*/maps` where the heap makes a memfd; it decides nothing.
    pub name: &'a str,
}

impl<'a> Request<'a> {
    /// Plain bytes.
    pub fn bytes(bytes: u64, name: &'a str) -> Self {
        Request { bytes, pitch: 0, name }
    }
}

/// Memory fresh from a heap: zeroed, and owned by nobody else.
#[derive(Debug)]
pub struct Allocation {
    /// A dma-buf, or a sealed memfd when [`Heap::makes_dma_bufs`] is false.
    pub fd: OwnedFd,
    /// Its real size in bytes: at least what was asked.
    pub bytes: u64,
    /// The pitch in bytes the driver would have liked (dumb buffers only); advice, not a rule.
    pub pitch_hint: Option<u64>,
}

/// A source of shareable memory.
///
/// Implement it for what [`list`](super::list) cannot find: a vendor's pool, a hypervisor's, a test's. Push the heap to
/// [`HeapList::heaps`](super::HeapList) before the list goes to an [`Allocator`](crate::buffers::Allocator); its place in
/// the list is of no consequence. `examples/foreign-heap.rs` is a whole one.
///
/// What an implementation promises:
/// 1. Its facts are no better than what it knows: what it does not say is taken as the less useful. Devices are still tried
///    with its buffers before they are used, so a wrong word costs time, except for `contiguous`, which is believed.
/// 2. Heaps that draw on one pool say one `pool`, and count its bytes alike.
/// 3. Memory is zeroed, belongs to nobody else, and is the descriptor's: it comes back when the last copy is closed.
/// 4. Its methods are called from several threads, and do not wait for a buffer to be freed: a pool that is dry says
///    [`AllocError::OutOfMemory`], and the solver is asked again without it.
pub trait Heap: Send + Sync + fmt::Debug {
    /// Which heap this is.
    fn id(&self) -> &HeapId;

    /// What the solver may know: a snapshot, with `free` as of now where the kernel tells.
    fn facts(&self) -> HeapFacts;

    /// Whether devices can import what this heap makes: false for a plain memfd.
    fn makes_dma_bufs(&self) -> bool {
        true
    }

    /// The device whose descriptor one must hold to allocate here, by name. Other processes commonly cannot, so that what
    /// a client is told to allocate must not come from such a heap.
    fn of_device(&self) -> Option<&str> {
        None
    }

    /// Whether what this heap makes can only be reached through its dma-buf: no handle, name or file of another kind
    /// leads to the same memory. Then the kernel's count of references says who else can touch a buffer; a DRM driver's
    /// own objects, for example, can be shared by GEM name.
    fn only_as_dma_buf(&self) -> bool {
        false
    }

    /// A dma-buf of at least so many bytes that is certainly not contiguous, for finding out what a device makes of such
    /// memory; `None` when this heap cannot promise that.
    ///
    /// # Errors
    /// As [`Heap::allocate`], within the option.
    fn in_pieces(&self, bytes: u64) -> Option<Result<OwnedFd, AllocError>> {
        let _ = bytes;
        None
    }

    /// Whether [`Heap::wrap`] makes a dma-buf of somebody's memfd.
    fn wraps(&self) -> bool {
        false
    }

    /// Makes a dma-buf of `bytes` at `offset` of somebody's memfd, without a copy, where the memfd stays as it is; `None`
    /// when this heap makes none. Offset and bytes are multiples of the page size.
    ///
    /// # Errors
    /// [`AllocError`] says what of the memfd stands in the way.
    fn wrap(&self, memfd: BorrowedFd<'_>, offset: u64, bytes: u64) -> Option<Result<OwnedFd, AllocError>> {
        let _ = (memfd, offset, bytes);
        None
    }

    /// Allocates zeroed memory. May sleep for as long as the kernel takes; see [the crate's page](crate#calls-that-block).
    ///
    /// # Errors
    /// [`AllocError`]: nothing was allocated then, and nothing is leaked.
    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError>;
}
