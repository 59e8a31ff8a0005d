//! The V4L2 ioctl interface (`include/uapi/linux/videodev2.h`): the four questions asked here, and all its `unsafe`.
//!
//! None of them changes what the device does.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{Updater, ioctl, opcode};

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    pub(super) capabilities: u32,
    pub(super) device_caps: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FormatDescription {
    index: u32,
    kind: u32,
    pub(super) flags: u32,
    description: [u8; 32],
    pub(super) pixel_format: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FrameSize {
    index: u32,
    pixel_format: u32,
    pub(super) kind: u32,
    /// Discrete: width, height. Else: the least, the greatest and the step of the width, then of the height.
    pub(super) numbers: [u32; 6],
    reserved: [u32; 2],
}

/// `struct v4l2_format`; its union holds pointers, so it is aligned as one.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Format {
    kind: u32,
    align: [usize; 0],
    bytes: [u8; 200],
}

/// What the device is.
pub(super) fn capability(fd: BorrowedFd<'_>) -> rustix::io::Result<Capability> {
    let mut data = Capability::default();
    // SAFETY: the opcode encodes the size of `Capability`, plain integers that the kernel only writes.
    unsafe { ioctl(fd, Updater::<{ opcode::read::<Capability>(b'V', 0) }, _>::new(&mut data)) }?;
    Ok(data)
}

/// The format at an index of a queue; `None` past the last, or when there is no such queue.
pub(super) fn format(
    fd: BorrowedFd<'_>,
    kind: u32,
    index: u32,
) -> rustix::io::Result<Option<FormatDescription>> {
    let mut data = FormatDescription { index, kind, ..FormatDescription::default() };
    // SAFETY: the opcode encodes the size of `FormatDescription`, plain integers of which any value is valid.
    let done = unsafe {
        ioctl(fd, Updater::<{ opcode::read_write::<FormatDescription>(b'V', 2) }, _>::new(&mut data))
    };
    past_the_end(done.map(|()| data))
}

/// The frame size, or the range of them, at an index; `None` past the last, or when the driver does not say.
pub(super) fn frame_size(
    fd: BorrowedFd<'_>,
    pixel_format: u32,
    index: u32,
) -> rustix::io::Result<Option<FrameSize>> {
    let mut data = FrameSize { index, pixel_format, ..FrameSize::default() };
    // SAFETY: the opcode encodes the size of `FrameSize`, plain integers of which any value is valid.
    let done =
        unsafe { ioctl(fd, Updater::<{ opcode::read_write::<FrameSize>(b'V', 74) }, _>::new(&mut data)) };
    past_the_end(done.map(|()| data))
}

/// What the driver would make of a format (`VIDIOC_TRY_FMT`), as the bytes of its union.
pub(super) fn try_format(fd: BorrowedFd<'_>, kind: u32, bytes: [u8; 200]) -> rustix::io::Result<[u8; 200]> {
    let mut data = Format { kind, align: [], bytes };
    // SAFETY: the opcode encodes the size of `Format`; the types of queue asked for here hold no pointers in the union,
    // so the kernel reads and writes nothing else, and any bytes are valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<Format>(b'V', 64) }, _>::new(&mut data)) }?;
    Ok(data.bytes)
}

fn past_the_end<T>(answer: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Errno::INVAL | Errno::NOTTY) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_of_the_kernel() {
        assert_eq!(size_of::<Capability>(), 104);
        assert_eq!(size_of::<FormatDescription>(), 64);
        assert_eq!(size_of::<FrameSize>(), 44);
        assert_eq!(size_of::<Format>(), if size_of::<usize>() == 8 { 208 } else { 204 });
    }
}
