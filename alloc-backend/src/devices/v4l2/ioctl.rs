//! The V4L2 ioctl interface (`include/uapi/linux/videodev2.h`): what is asked here, and all its `unsafe`.
//!
//! The questions change nothing. `request` and `prepare` take a queue for a moment: see `import.rs`.

use std::os::fd::{AsRawFd, BorrowedFd};

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

/// `struct v4l2_create_buffers`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct CreateBuffers {
    index: u32,
    count: u32,
    memory: u32,
    format: Format,
    capabilities: u32,
    flags: u32,
    max_buffers: u32,
    reserved: [u32; 5],
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

/// `struct v4l2_plane`, for a dma-buf.
#[repr(C)]
#[derive(Clone, Copy)]
struct Plane {
    bytes_used: u32,
    length: u32,
    memory: Location,
    data_offset: u32,
    reserved: [u32; 11],
}

/// The unions `m` of a buffer and of a plane.
#[repr(C)]
#[derive(Clone, Copy)]
union Location {
    fd: i32,
    planes: *mut Plane,
    user: usize,
}

/// `struct v4l2_buffer`, with the 64-bit time that kernels have on all architectures.
#[repr(C)]
struct VideoBuffer {
    index: u32,
    kind: u32,
    bytes_used: u32,
    flags: u32,
    field: u32,
    timestamp: [i64; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    location: Location,
    length: u32,
    reserved: u32,
    request_fd: i32,
}

/// `V4L2_MEMORY_DMABUF`.
const MEMORY_DMABUF: u32 = 4;
/// `VIDEO_MAX_PLANES`.
pub(super) const MAX_PLANES: usize = 8;

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

/// The format that is set, as the bytes of its union.
pub(super) fn current_format(fd: BorrowedFd<'_>, kind: u32) -> rustix::io::Result<[u8; 200]> {
    let mut data = Format { kind, align: [], bytes: [0; 200] };
    // SAFETY: as in `try_format`.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<Format>(b'V', 4) }, _>::new(&mut data)) }?;
    Ok(data.bytes)
}

/// Whether a queue imports dma-bufs; `None` when the driver cannot be asked.
///
/// `VIDIOC_CREATE_BUFS` for no buffers: it checks the type of memory only, and never says EBUSY, so that nobody who
/// streams is disturbed (`vb2_create_bufs` in Linux 7.3).
pub(super) fn imports(fd: BorrowedFd<'_>, kind: u32) -> rustix::io::Result<Option<bool>> {
    let mut data = CreateBuffers {
        index: 0,
        count: 0,
        memory: MEMORY_DMABUF,
        format: Format { kind, align: [], bytes: [0; 200] },
        capabilities: 0,
        flags: 0,
        max_buffers: 0,
        reserved: [0; 5],
    };
    // SAFETY: the opcode encodes the size of `CreateBuffers`, plain integers, as its union holds no pointers for the
    // types of queue asked for here.
    let done =
        unsafe { ioctl(fd, Updater::<{ opcode::read_write::<CreateBuffers>(b'V', 92) }, _>::new(&mut data)) };
    match done {
        Ok(()) => Ok(Some(true)),
        Err(Errno::INVAL) => Ok(Some(false)),
        Err(Errno::NOTTY) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Makes so many empty places for dma-bufs in a queue, after dropping those there were; 0 gives the queue back.
pub(super) fn request(fd: BorrowedFd<'_>, kind: u32, count: u32) -> rustix::io::Result<()> {
    let mut data = RequestBuffers { count, kind, memory: MEMORY_DMABUF, ..RequestBuffers::default() };
    // SAFETY: the opcode encodes the size of `RequestBuffers`, plain integers of which any value is valid.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<RequestBuffers>(b'V', 8) }, _>::new(&mut data)) }
}

/// Maps a dma-buf of so many bytes into the first place of a queue (`VIDIOC_PREPARE_BUF`), into each of its `planes`
/// if it is a multi-planar one. Nothing is queued: the hardware does not touch it.
pub(super) fn prepare(
    fd: BorrowedFd<'_>,
    kind: u32,
    planes: Option<usize>,
    dma_buf: BorrowedFd<'_>,
    bytes: u32,
) -> rustix::io::Result<()> {
    let mut location = Location { user: 0 };
    location.fd = dma_buf.as_raw_fd();
    let plane =
        Plane { bytes_used: bytes, length: bytes, memory: location, data_offset: 0, reserved: [0; 11] };
    let mut all = [plane; MAX_PLANES];
    let mut data = VideoBuffer {
        index: 0,
        kind,
        bytes_used: bytes,
        flags: 0,
        // V4L2_FIELD_NONE, which is looked at only where pictures are read.
        field: 1,
        timestamp: [0; 2],
        timecode: [0; 4],
        sequence: 0,
        memory: MEMORY_DMABUF,
        location,
        length: bytes,
        reserved: 0,
        request_fd: 0,
    };
    if let Some(planes) = planes {
        data.location = Location { planes: all.as_mut_ptr() };
        data.length = planes.min(MAX_PLANES) as u32;
    }
    // SAFETY: the opcode encodes the size of `VideoBuffer`; its only pointer is to `length` planes, which outlive the
    // call, and is set for multi-planar queues only, whose union it is.
    unsafe { ioctl(fd, Updater::<{ opcode::read_write::<VideoBuffer>(b'V', 93) }, _>::new(&mut data)) }
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
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn structures_have_the_sizes_of_the_kernel() {
        assert_eq!(size_of::<Capability>(), 104);
        assert_eq!(size_of::<FormatDescription>(), 64);
        assert_eq!(size_of::<FrameSize>(), 44);
        // Told by a C compiler from the headers of Linux 7.3, for x86-64 and i686.
        let wide = size_of::<usize>() == 8;
        let pick = |wide_one, narrow| if wide { wide_one } else { narrow };
        assert_eq!((size_of::<Format>(), offset_of!(Format, bytes)), pick((208, 8), (204, 4)));
        let create = (size_of::<CreateBuffers>(), offset_of!(CreateBuffers, capabilities));
        assert_eq!(create, pick((256, 224), (248, 216)));
        assert_eq!(size_of::<RequestBuffers>(), 20);
        assert_eq!((size_of::<Plane>(), offset_of!(Plane, data_offset)), pick((64, 16), (60, 12)));
        if wide {
            assert_eq!(size_of::<VideoBuffer>(), 88);
            let at = (offset_of!(VideoBuffer, memory), offset_of!(VideoBuffer, location));
            assert_eq!((at, offset_of!(VideoBuffer, length)), ((60, 64), 72));
        }
    }
}
