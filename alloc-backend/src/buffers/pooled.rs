//! A buffer on loan from a pool.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::pool::Shared;
use super::shelf::Key;
use super::{Buffer, MapError, Mapping, Owner};

/// A buffer on loan from a [`BufferPool`](super::BufferPool). Clones are handles of one buffer, which goes back when the
/// last of them is dropped: keep one for as long as anything may touch it, a display that shows it included.
#[derive(Debug, Clone)]
pub struct PooledBuffer {
    // Before the loan, so that the last loan to go has the last reference.
    buffer: Arc<Buffer>,
    loan: Arc<Loan>,
}

/// What goes back on drop.
#[derive(Debug)]
pub(super) struct Loan {
    pub buffer: Option<Arc<Buffer>>,
    pub key: Key,
    pub owner: Owner,
    pub pool: Arc<str>,
    pub exported: AtomicBool,
    /// The heap's buffers can only be reached through their dma-bufs, and the kernel counts those.
    pub counted: bool,
    pub home: Weak<Shared>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(buffer) = self.buffer.take().and_then(Arc::into_inner) else { return };
        match self.home.upgrade() {
            Some(home) => home.put_back(self, buffer),
            // The pool is gone, so nobody will ask for it again.
            None => drop(buffer),
        }
    }
}

impl PooledBuffer {
    pub(super) fn new(buffer: Buffer, mut loan: Loan) -> Self {
        let buffer = Arc::new(buffer);
        loan.buffer = Some(Arc::clone(&buffer));
        PooledBuffer { buffer, loan: Arc::new(loan) }
    }

    /// The buffer, to be used within this process and no longer than this handle lives. What leaves the process goes
    /// through [`export`](Self::export), and what is mapped through [`map`](Self::map): the pool must know.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Whose pixels are in it.
    pub fn owner(&self) -> Owner {
        self.loan.owner
    }

    /// The pool of memory it lies in.
    pub fn pool(&self) -> &str {
        &self.loan.pool
    }

    /// A descriptor that may leave the process. From here on the buffer goes to another owner only when the kernel says
    /// that nobody else holds it any more; where the kernel does not say, never.
    ///
    /// # Errors
    /// EMFILE when this process has no descriptors left.
    pub fn export(&self) -> rustix::io::Result<OwnedFd> {
        // First the mark: a descriptor that could not be made has left nowhere, one that was made must never be missed.
        self.loan.exported.store(true, Ordering::SeqCst);
        rustix::io::fcntl_dupfd_cloexec(self.buffer().as_fd(), 0)
    }

    /// Whether a descriptor of it has left the process since it was handed out.
    pub fn is_exported(&self) -> bool {
        self.loan.exported.load(Ordering::SeqCst)
    }

    /// Maps the whole buffer; the mapping holds a handle.
    ///
    /// # Errors
    /// [`MapError`]; some memory is not for the CPU.
    pub fn map(&self) -> Result<PooledMapping, MapError> {
        Ok(PooledMapping { mapping: self.buffer().map()?, _buffer: self.clone() })
    }
}

impl AsRef<Buffer> for PooledBuffer {
    fn as_ref(&self) -> &Buffer {
        self.buffer()
    }
}

/// A [`Mapping`] of a buffer on loan, which stays on loan while it is mapped.
#[derive(Debug)]
pub struct PooledMapping {
    // Before the handle: it must go first.
    mapping: Mapping,
    _buffer: PooledBuffer,
}

impl std::ops::Deref for PooledMapping {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

impl std::ops::DerefMut for PooledMapping {
    fn deref_mut(&mut self) -> &mut Mapping {
        &mut self.mapping
    }
}
