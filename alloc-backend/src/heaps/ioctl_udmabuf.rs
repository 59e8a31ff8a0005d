//! The udmabuf ioctl interface (`include/uapi/linux/udmabuf.h`), and all its `unsafe`.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

/// `UDMABUF_FLAGS_CLOEXEC`.
const FLAGS_CLOEXEC: u32 = 1;

/// `struct udmabuf_create`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct CreateData {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// `UDMABUF_CREATE`: its return value is the new descriptor.
struct Create(CreateData);

// SAFETY: the opcode encodes the size of `CreateData`, `as_ptr` points to one that lives as long as the call,
// and the kernel only reads it.
unsafe impl Ioctl for Create {
    type Output = RawFd;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::write::<CreateData>(b'u', 0x42)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(fd: IoctlOutput, _: *mut c_void) -> rustix::io::Result<RawFd> {
        Ok(fd)
    }
}

/// `struct udmabuf_create_list`, without its items.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct ListHead {
    flags: u32,
    count: u32,
}

/// `struct udmabuf_create_item`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct ListItem {
    memfd: u32,
    pad: u32,
    offset: u64,
    size: u64,
}

/// `UDMABUF_CREATE_LIST` with two items.
#[repr(C)]
struct CreatePair {
    head: ListHead,
    items: [ListItem; 2],
}

// SAFETY: the opcode encodes the size of the head alone, as the kernel's does; `as_ptr` points to a head followed by
// the two items it counts, which live as long as the call and are only read.
unsafe impl Ioctl for CreatePair {
    type Output = RawFd;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::write::<ListHead>(b'u', 0x43)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self).cast()
    }

    unsafe fn output_from_ptr(fd: IoctlOutput, _: *mut c_void) -> rustix::io::Result<RawFd> {
        Ok(fd)
    }
}

/// A dma-buf made of the first `size` bytes of a sealed memfd, twice: whatever memory that is, the second half does not
/// follow the first.
pub(super) fn create_twice(
    udmabuf: BorrowedFd<'_>,
    memfd: BorrowedFd<'_>,
    size: u64,
) -> rustix::io::Result<OwnedFd> {
    let memfd = u32::try_from(memfd.as_raw_fd()).map_err(|_| rustix::io::Errno::BADF)?;
    let item = ListItem { memfd, pad: 0, offset: 0, size };
    let call = CreatePair { head: ListHead { flags: FLAGS_CLOEXEC, count: 2 }, items: [item; 2] };
    // SAFETY: `CreatePair` describes the ioctl exactly; a file that is not udmabuf answers ENOTTY.
    let fd = unsafe { ioctl(udmabuf, call) }?;
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Wraps `size` bytes at `offset` of a sealed memfd as a dma-buf; both must be multiples of the page size.
pub(super) fn create(
    udmabuf: BorrowedFd<'_>,
    memfd: BorrowedFd<'_>,
    offset: u64,
    size: u64,
) -> rustix::io::Result<OwnedFd> {
    let memfd = u32::try_from(memfd.as_raw_fd()).map_err(|_| rustix::io::Errno::BADF)?;
    let call = Create(CreateData { memfd, flags: FLAGS_CLOEXEC, offset, size });
    // SAFETY: `Create` describes the ioctl exactly; a file that is not udmabuf answers ENOTTY.
    let fd = unsafe { ioctl(udmabuf, call) }?;
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
