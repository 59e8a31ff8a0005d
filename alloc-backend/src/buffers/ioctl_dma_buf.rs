//! The dma-buf ioctl interface (`include/uapi/linux/dma-buf.h`), and all its `unsafe`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::ioctl::{Setter, Updater, ioctl, opcode};

/// `DMA_BUF_SYNC_READ`.
pub(super) const SYNC_READ: u64 = 1 << 0;
/// `DMA_BUF_SYNC_WRITE`.
pub(super) const SYNC_WRITE: u64 = 1 << 1;
/// `DMA_BUF_SYNC_END`; without it the call starts an access.
pub(super) const SYNC_END: u64 = 1 << 2;

/// `DMA_BUF_NAME_LEN`, the terminating zero included.
pub(super) const NAME_LEN: usize = 32;

/// `struct dma_buf_export_sync_file` and `struct dma_buf_import_sync_file`: same shape.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct SyncFile {
    flags: u32,
    fd: i32,
}

const SYNC: u32 = opcode::write::<u64>(b'b', 0);
/// `DMA_BUF_SET_NAME_B`: the argument is a pointer to a zero-terminated name, but the number encodes a `u64`.
const SET_NAME: u32 = opcode::write::<u64>(b'b', 1);
const EXPORT_SYNC_FILE: u32 = opcode::read_write::<SyncFile>(b'b', 2);
const IMPORT_SYNC_FILE: u32 = opcode::write::<SyncFile>(b'b', 3);

/// Brackets CPU access; `flags` of the `SYNC_*` constants.
pub(super) fn sync(fd: BorrowedFd<'_>, flags: u64) -> rustix::io::Result<()> {
    // SAFETY: DMA_BUF_IOCTL_SYNC reads one `struct dma_buf_sync`, which is one u64.
    unsafe { ioctl(fd, Setter::<SYNC, u64>::new(flags)) }
}

/// Names the buffer; `name` must be zero-terminated within its 32 bytes.
pub(super) fn set_name(fd: BorrowedFd<'_>, name: [u8; NAME_LEN]) -> rustix::io::Result<()> {
    // SAFETY: the kernel reads a string of at most 32 bytes at the pointer, which is what `name` holds.
    unsafe { ioctl(fd, Setter::<SET_NAME, [u8; NAME_LEN]>::new(name)) }
}

/// A sync_file that signals when the buffer's fences do (`SYNC_READ`: its writers, `SYNC_WRITE`: all).
pub(super) fn export_sync_file(fd: BorrowedFd<'_>, flags: u64) -> rustix::io::Result<OwnedFd> {
    let mut data = SyncFile { flags: sync_file_flags(flags), fd: -1 };
    // SAFETY: the kernel reads and writes one `struct dma_buf_export_sync_file`.
    unsafe { ioctl(fd, Updater::<EXPORT_SYNC_FILE, SyncFile>::new(&mut data)) }?;
    if data.fd < 0 {
        return Err(rustix::io::Errno::BADF);
    }
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(data.fd) })
}

/// Adds a sync_file's fence to the buffer, as a reader's or a writer's.
pub(super) fn import_sync_file(
    fd: BorrowedFd<'_>,
    flags: u64,
    sync_file: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    let data = SyncFile { flags: sync_file_flags(flags), fd: sync_file.as_raw_fd() };
    // SAFETY: the kernel reads one `struct dma_buf_import_sync_file`.
    unsafe { ioctl(fd, Setter::<IMPORT_SYNC_FILE, SyncFile>::new(data)) }
}

fn sync_file_flags(flags: u64) -> u32 {
    (flags & (SYNC_READ | SYNC_WRITE)) as u32
}
