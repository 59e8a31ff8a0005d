//! Why a buffer could not be made or mapped.

use rustix::io::Errno;

use super::LayoutError;
use crate::heaps::AllocError;

/// Why a buffer could not be made from a heap or a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The heap gave nothing.
    #[error(transparent)]
    Alloc(#[from] AllocError),
    /// The planes make no sense, or reach beyond the memory.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The descriptor is neither a dma-buf nor a memfd.
    #[error("the descriptor is no dma-buf: pass one exported by a heap, a GPU or udmabuf")]
    NotADmaBuf,
    /// The memory can be taken away under a mapping.
    #[error("the memfd can still shrink: seal it with F_SEAL_SHRINK first")]
    Unsealed,
    /// The kernel would not say how large it is.
    #[error("cannot ask for the size of the descriptor: {0}")]
    Size(Errno),
}

/// Why a buffer could not be mapped or accessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The descriptor is neither a dma-buf nor a memfd: its pages may vanish.
    #[error("the descriptor is neither a dma-buf nor a memfd: it cannot be mapped safely")]
    NotMemory,
    /// The memory can be taken away under the mapping.
    #[error("the memfd can still shrink: seal it with F_SEAL_SHRINK first")]
    Unsealed,
    /// The mapping would reach beyond the end of the memory.
    #[error("{wanted} bytes wanted, the descriptor holds {actual}: the sender's size or offset is wrong")]
    TooShort {
        /// Bytes to be mapped.
        wanted: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// Nothing to map, or more than the address space holds.
    #[error("cannot map {0} bytes in this process")]
    BadSize(u64),
    /// The kernel refused the mapping: some exporters have none for the CPU.
    #[error("cannot map {bytes} bytes: {errno}: the memory may not be accessible to the CPU")]
    Mmap {
        /// Bytes to be mapped.
        bytes: u64,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel would not begin the access.
    #[error("cannot begin CPU access to the dma-buf: {0}")]
    Sync(Errno),
    /// The kernel would not say how large it is.
    #[error("cannot ask for the size of the descriptor: {0}")]
    Size(Errno),
    /// Mapped for reading only.
    #[error("the buffer is mapped for reading only: map it for writing")]
    ReadOnly,
}
