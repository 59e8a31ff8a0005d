//! CPU access to a buffer, bracketed as the kernel wants it, and safe against memory that goes away.
//!
//! 1. Nothing is mapped that could shrink: a dma-buf never does, a memfd only when it is not sealed. Files are refused.
//! 2. Nothing is mapped beyond the real end, whatever a client says its size is.
//! 3. Pixels are only reached through a guard, and a guard is a begun access (`DMA_BUF_IOCTL_SYNC`), ended on drop.
//!
//! The memory is shared: another process or a device may write to it while a guard is held. The bytes then change
//! under the reader. That is a torn picture and nothing worse: no value of a byte is invalid.

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::dma_buf::{self, FdKind};
use super::{MapError, ioctl_dma_buf as raw};

/// A buffer in this process's address space.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    writable: bool,
    /// The dma-buf whose accesses are bracketed; a memfd needs none.
    sync: Option<OwnedFd>,
}

// SAFETY: the mapping is plain memory of this process, not tied to a thread; access needs a guard, which borrows it.
unsafe impl Send for Mapping {}
// SAFETY: shared references give read guards only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` of a dma-buf or sealed memfd.
    ///
    /// # Errors
    /// [`MapError`]: not such memory, too short, could shrink, or the kernel refuses.
    pub fn new(fd: BorrowedFd<'_>, bytes: u64, writable: bool) -> Result<Self, MapError> {
        let kind = dma_buf::kind(fd);
        match kind {
            FdKind::DmaBuf | FdKind::Memfd { no_shrink: true } => {}
            FdKind::Memfd { no_shrink: false } => return Err(MapError::Unsealed),
            FdKind::Other => return Err(MapError::NotMemory),
        }
        let actual = dma_buf::byte_size(fd).map_err(MapError::Size)?;
        if bytes > actual {
            return Err(MapError::TooShort { wanted: bytes, actual });
        }
        let length = match usize::try_from(bytes) {
            Ok(length) if length > 0 && isize::try_from(length).is_ok() => length,
            _ => return Err(MapError::BadSize(bytes)),
        };
        let refused = |errno| MapError::Mmap { bytes, errno };
        // Made first, so that nothing is mapped when there is no descriptor left.
        let sync = match kind {
            FdKind::DmaBuf => Some(rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(refused)?),
            _ => None,
        };
        let mut protection = ProtFlags::READ;
        if writable {
            protection |= ProtFlags::WRITE;
        }
        let anywhere = std::ptr::null_mut();
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced.
        let start = unsafe { rustix::mm::mmap(anywhere, length, protection, MapFlags::SHARED, fd, 0) };
        let start = start.map_err(refused)?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(refused(Errno::NOMEM))?;
        Ok(Mapping { start, bytes: length, writable, sync })
    }

    /// Bytes mapped.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Never: an empty mapping cannot be made.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Begins reading: waits for writers where the exporter does, and makes the caches right.
    ///
    /// # Errors
    /// [`MapError::Sync`].
    pub fn read(&self) -> Result<ReadGuard<'_>, MapError> {
        self.begin(raw::SYNC_READ)?;
        Ok(ReadGuard { mapping: self })
    }

    /// Begins writing (and reading).
    ///
    /// # Errors
    /// [`MapError::Sync`], [`MapError::ReadOnly`].
    pub fn write(&mut self) -> Result<WriteGuard<'_>, MapError> {
        if !self.writable {
            return Err(MapError::ReadOnly);
        }
        self.begin(raw::SYNC_READ | raw::SYNC_WRITE)?;
        Ok(WriteGuard { mapping: self })
    }

    /// The first byte; valid for [`len`](Self::len) bytes while the mapping lives. Accesses through it are the
    /// caller's to bracket: hold a guard.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn begin(&self, access: u64) -> Result<(), MapError> {
        self.bracket(access).map_err(MapError::Sync)
    }

    fn end(&self, access: u64) {
        if let Err(errno) = self.bracket(access | raw::SYNC_END) {
            tracing::warn!(%errno, "could not end CPU access: a device may see stale pixels");
        }
    }

    fn bracket(&self, flags: u64) -> Result<(), Errno> {
        let Some(fd) = &self.sync else { return Ok(()) };
        loop {
            match raw::sync(fd.as_fd(), flags) {
                // Documented in linux/dma-buf.h: restart on both.
                Err(Errno::INTR | Errno::AGAIN) => {}
                other => return other,
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; guards borrow the mapping, so none is left.
        if let Err(errno) = unsafe { rustix::mm::munmap(self.start.as_ptr().cast::<c_void>(), self.bytes) } {
            tracing::error!(%errno, "munmap failed");
        }
    }
}

/// Read access; ends on drop.
#[derive(Debug)]
pub struct ReadGuard<'a> {
    mapping: &'a Mapping,
}

impl Deref for ReadGuard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped, backed for its whole length (checked in `new`), and every byte value is valid.
        unsafe { std::slice::from_raw_parts(self.mapping.start.as_ptr(), self.mapping.bytes) }
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        self.mapping.end(raw::SYNC_READ);
    }
}

/// Write access; ends on drop.
#[derive(Debug)]
pub struct WriteGuard<'a> {
    mapping: &'a mut Mapping,
}

impl WriteGuard<'_> {
    /// Ends the access and says whether it ended well: whether the memory now holds what was written, for devices too.
    /// Dropping a guard can only log.
    ///
    /// # Errors
    /// [`MapError::Sync`].
    pub fn finish(self) -> Result<(), MapError> {
        let guard = ManuallyDrop::new(self);
        let flags = raw::SYNC_READ | raw::SYNC_WRITE | raw::SYNC_END;
        guard.mapping.bracket(flags).map_err(MapError::Sync)
    }
}

impl Deref for WriteGuard<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as in ReadGuard.
        unsafe { std::slice::from_raw_parts(self.mapping.start.as_ptr(), self.mapping.bytes) }
    }
}

impl DerefMut for WriteGuard<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in ReadGuard, mapped writable (checked in `write`), and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.start.as_ptr(), self.mapping.bytes) }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.mapping.end(raw::SYNC_READ | raw::SYNC_WRITE);
    }
}
