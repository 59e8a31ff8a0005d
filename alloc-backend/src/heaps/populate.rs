//! Making a memfd's pages real, and zero where nobody wrote: the mmap and madvise calls, and all their `unsafe`.
//!
//! Pages that `fallocate` reserved are not zeroed until somebody touches them, and udmabuf does not count as somebody:
//! seen on Linux 7.3.4 (and read in `memfd_pin_folios()` there, which takes any page it finds in the file's cache), a
//! udmabuf of such a memfd shows whatever the pages held before. A page fault zeroes them first.

use std::os::fd::BorrowedFd;
use std::ptr::null_mut;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

/// Touches `bytes` at `offset` of a memfd that cannot shrink; both are multiples of the page size. What is there stays.
///
/// The owner can still punch holes and reserve them anew before the pages are pinned; what that shows, it shows to
/// itself and to whoever looks at its picture.
///
/// # Errors
/// EINVAL before Linux 5.14, or when the range is not in the file; ENOMEM when there is no memory.
pub(super) fn populate(memfd: BorrowedFd<'_>, offset: u64, bytes: u64) -> Result<(), Errno> {
    let length = usize::try_from(bytes).map_err(|_| Errno::NOMEM)?;
    if length == 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: the kernel chooses the address, so no memory of ours is replaced.
    let start = unsafe { mmap(null_mut(), length, ProtFlags::READ, MapFlags::SHARED, memfd, offset) }?;
    // SAFETY: the range was mapped just now; the call faults pages in and changes nothing. It reports a page beyond
    // the end as an error and raises no signal.
    let populated = unsafe { madvise(start, length, Advice::LinuxPopulateRead) };
    // SAFETY: mapped above with this length; no reference into it was made.
    let unmapped = unsafe { munmap(start, length) };
    match populated {
        // A fault that fails for lack of memory in the file's mount.
        Err(Errno::FAULT) => Err(Errno::NOMEM),
        Err(errno) => Err(errno),
        Ok(()) => unmapped,
    }
}
