//! The dma-heap ioctl interface (`include/uapi/linux/dma-heap.h`): one call, and all its `unsafe`.

use std::ffi::c_void;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

/// `struct dma_heap_allocation_data`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct AllocationData {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// `DMA_HEAP_IOCTL_ALLOC`.
struct Alloc(AllocationData);

// SAFETY: the opcode encodes the size of `AllocationData`, `as_ptr` points to one that lives as long as the
// call, and the kernel reads and writes nothing else.
unsafe impl Ioctl for Alloc {
    type Output = RawFd;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<AllocationData>(b'H', 0)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, data: *mut c_void) -> rustix::io::Result<RawFd> {
        // SAFETY: rustix hands back the pointer that `as_ptr` gave, to a live `AllocationData`.
        let data = unsafe { *data.cast::<AllocationData>() };
        RawFd::try_from(data.fd).map_err(|_| rustix::io::Errno::BADF)
    }
}

/// Allocates `bytes` (rounded up to pages by the kernel) of zeroed memory from an open heap node.
///
/// The new dma-buf is readable, writable and close-on-exec.
pub(super) fn allocate(heap: BorrowedFd<'_>, bytes: u64) -> rustix::io::Result<OwnedFd> {
    let fd_flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let call = Alloc(AllocationData { len: bytes, fd: 0, fd_flags: fd_flags.bits(), heap_flags: 0 });
    // SAFETY: `Alloc` describes the ioctl exactly; a file that is no dma-heap answers ENOTTY.
    let fd = unsafe { ioctl(heap, call) }?;
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
