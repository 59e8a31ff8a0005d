//! What a descriptor says about itself: is it a dma-buf, how long is it, who waits for it.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, SealFlags, SeekFrom};

use super::ioctl_dma_buf as raw;

/// `DMA_BUF_MAGIC` of `include/uapi/linux/magic.h`: the file system of every dma-buf.
const DMA_BUF_MAGIC: u64 = 0x444d_4142;

/// What kind of shareable memory a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdKind {
    /// A dma-buf: devices can import it, and its size never changes.
    DmaBuf,
    /// Memory that can be sealed (memfd): the CPU can map it, devices cannot import it.
    Memfd {
        /// Sealed against shrinking, so that a mapping cannot lose its pages.
        no_shrink: bool,
    },
    /// Anything else: a file, a socket, a device.
    Other,
}

/// Which way a fence is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading: waits for writers.
    Read,
    /// Reading and writing: waits for everybody.
    Write,
}

impl Access {
    pub(super) fn flags(self) -> u64 {
        match self {
            Access::Read => raw::SYNC_READ,
            Access::Write => raw::SYNC_READ | raw::SYNC_WRITE,
        }
    }
}

/// Whether the descriptor is a dma-buf, by the file system it lives on: the kernel's own mark, which no other
/// file can carry.
pub fn is_dma_buf(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type as u64 == DMA_BUF_MAGIC)
}

/// What kind of memory the descriptor is.
pub fn kind(fd: BorrowedFd<'_>) -> FdKind {
    if is_dma_buf(fd) {
        return FdKind::DmaBuf;
    }
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) => FdKind::Memfd { no_shrink: seals.contains(SealFlags::SHRINK) },
        Err(_) => FdKind::Other,
    }
}

/// Size in bytes of a dma-buf or memfd, as the kernel knows it now.
///
/// # Errors
/// The errno of `lseek`, which dma-bufs support for exactly this purpose, or of `fstat`.
pub fn byte_size(fd: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    if is_dma_buf(fd) {
        // fstat says 0 for a dma-buf; only seeking to its end tells. It moves nothing: dma-bufs have no position.
        return rustix::fs::seek(fd, SeekFrom::End(0));
    }
    let stat = rustix::fs::fstat(fd)?;
    u64::try_from(stat.st_size).map_err(|_| rustix::io::Errno::OVERFLOW)
}

/// A sync_file that signals when the buffer may be accessed in this way.
///
/// # Errors
/// ENOTTY when it is no dma-buf, or the kernel is older than 6.0.
pub fn export_sync_file(fd: BorrowedFd<'_>, access: Access) -> rustix::io::Result<OwnedFd> {
    raw::export_sync_file(fd, access.flags())
}

/// Makes others wait for this sync_file before they access the buffer.
///
/// # Errors
/// As [`export_sync_file`]; EINVAL when `sync_file` is none.
pub fn import_sync_file(
    fd: BorrowedFd<'_>,
    access: Access,
    sync_file: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    raw::import_sync_file(fd, access.flags(), sync_file)
}

/// Names a dma-buf in debugfs and `/proc/*/fdinfo`: at most 31 bytes, the rest is cut at a character boundary.
///
/// # Errors
/// ENOTTY when it is no dma-buf.
pub fn set_name(fd: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let mut bytes = [0; raw::NAME_LEN];
    let name = name.split('\0').next().unwrap_or_default();
    let mut end = name.len().min(raw::NAME_LEN - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    bytes[..end].copy_from_slice(&name.as_bytes()[..end]);
    raw::set_name(fd, bytes)
}

/// How many references to the dma-buf there are in the whole system: descriptors of any process, also those on their way
/// through a socket, mappings, and imports by devices. `None` when the kernel does not say, or it is no dma-buf.
///
/// 1 means that this descriptor is the only one, and then nobody can make another but through it. It says nothing of
/// ways to the memory that do not go through the dma-buf, see [`Heap::only_as_dma_buf`](crate::heaps::Heap::only_as_dma_buf).
///
/// From `/proc/self/fdinfo`, where dma-bufs print `count` (Linux 5.1, `dma_buf_show_fdinfo()`).
pub fn references(fd: BorrowedFd<'_>) -> Option<u64> {
    if !is_dma_buf(fd) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let info = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // The text is a few short lines and comes in one piece; the name, which is the client's in part, comes last.
    let mut text = [0; 512];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&info, &mut text)).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    text.lines().find_map(|line| line.strip_prefix("count:"))?.trim().parse().ok()
}

/// What the CPU has written so far reaches memory, for devices that do not look into its caches: for memory that somebody
/// else writes without saying so.
///
/// # Errors
/// ENOTTY when it is no dma-buf; EINTR is tried again.
pub fn write_back(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| raw::sync(fd, raw::SYNC_WRITE))?;
    rustix::io::retry_on_intr(|| raw::sync(fd, raw::SYNC_WRITE | raw::SYNC_END))
}

/// Whether every fence of the buffer has signalled, so that writing to it waits for nobody. Asks, and does not wait.
/// What is no dma-buf has no fences.
pub fn is_idle(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let answered = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    answered.is_ok_and(|count| count > 0)
}
