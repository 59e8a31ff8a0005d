//! Why a heap could not be opened, or gave no memory.

use std::path::PathBuf;

use rustix::io::Errno;

use super::HeapId;

/// Why a heap cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeapError {
    /// The node is there, but this user may not open it.
    #[error("{}: permission denied: {advice}", .path.display())]
    Permission {
        /// The node.
        path: PathBuf,
        /// What an administrator can do.
        advice: String,
    },
    /// There is no such node.
    #[error("{}: not there: {advice}", .path.display())]
    Missing {
        /// Where it was expected.
        path: PathBuf,
        /// What an administrator can do.
        advice: String,
    },
    /// The node is a file, a directory or a socket.
    #[error("{}: not a character device, so no heap: remove it, or fix the udev rule that made it", .0.display())]
    NotADevice(PathBuf),
    /// The node opens, but does not speak the heap's interface.
    #[error("{}: does not answer as a {kind}: remove it, or fix the udev rule that made it", .path.display())]
    NotAHeap {
        /// The node.
        path: PathBuf,
        /// What it should have been.
        kind: &'static str,
    },
    /// The kernel says something else.
    #[error("{}: cannot {what}: {errno}", .path.display())]
    Failed {
        /// The node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

/// Why an allocation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// Zero bytes, rows and pitch that do not fit the bytes, or a memfd that cannot be wrapped.
    #[error("heap {heap}: cannot make a buffer of {what}")]
    BadRequest {
        /// The heap asked.
        heap: HeapId,
        /// What was asked.
        what: String,
    },
    /// The heap cannot make one buffer this large.
    #[error(
        "heap {heap}: {bytes} bytes asked, at most {max_bytes} per buffer ({limit}): use a smaller buffer, \
             raise the limit or let another heap serve it"
    )]
    TooLarge {
        /// The heap asked.
        heap: HeapId,
        /// Bytes asked.
        bytes: u64,
        /// The limit in bytes.
        max_bytes: u64,
        /// Where the limit comes from.
        limit: String,
    },
    /// The heap has no memory left, or none in one piece.
    #[error("heap {heap}: out of memory for {bytes} bytes: free buffers of this pool, or allocate elsewhere")]
    OutOfMemory {
        /// The heap asked.
        heap: HeapId,
        /// Bytes asked.
        bytes: u64,
    },
    /// This process has no descriptors left.
    #[error("heap {heap}: no file descriptor left: close buffers or raise RLIMIT_NOFILE")]
    NoDescriptors {
        /// The heap asked.
        heap: HeapId,
    },
    /// The kernel refused for another reason.
    #[error("heap {heap}: cannot {what} of {bytes} bytes: {errno}")]
    Refused {
        /// The heap asked.
        heap: HeapId,
        /// What was tried.
        what: &'static str,
        /// Bytes asked.
        bytes: u64,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl AllocError {
    /// Whether there was no memory: other memory, or this later, may do.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, AllocError::OutOfMemory { .. })
    }

    /// Whether the process has no descriptors left: no heap will do.
    pub fn is_no_descriptors(&self) -> bool {
        matches!(self, AllocError::NoDescriptors { .. })
    }

    /// Sorts an errno of an allocating call.
    pub(crate) fn from_errno(heap: &HeapId, what: &'static str, bytes: u64, errno: Errno) -> Self {
        let heap = heap.clone();
        match errno {
            Errno::NOMEM | Errno::NOSPC | Errno::DQUOT => AllocError::OutOfMemory { heap, bytes },
            Errno::MFILE | Errno::NFILE => AllocError::NoDescriptors { heap },
            errno => AllocError::Refused { heap, what, bytes, errno },
        }
    }
}
