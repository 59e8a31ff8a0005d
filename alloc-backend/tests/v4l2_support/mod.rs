//! Streaming from a video node into dma-bufs, for tests; all its `unsafe`. Structures as in `videodev2.h`.

#![allow(clippy::unwrap_used, dead_code)] // Helpers of tests are no tests to clippy.

pub mod screen;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::io::Result;
use rustix::ioctl::{Setter, Updater, ioctl, opcode};

const CAPTURE: u32 = 1;
pub const MMAP: u32 = 1;
pub const DMABUF: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    kind: u32,
    align: [usize; 0],
    /// Width, height, format, field, pitch, bytes and colours.
    pub words: [u32; 50],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    count: u32,
    kind: u32,
    memory: u32,
    rest: [u32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Buffer {
    index: u32,
    kind: u32,
    bytes_used: u32,
    flags: u32,
    field: u32,
    timestamp: [i64; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    // A union; the descriptor is its first half, on little-endian machines.
    location: usize,
    length: u32,
    reserved: [u32; 2],
}

/// A camera that is used by an application.
pub struct Camera(File);

impl Camera {
    pub fn open(path: &Path) -> Camera {
        Camera(File::options().read(true).write(true).open(path).unwrap())
    }

    pub fn format(&self) -> Format {
        let mut format = Format { kind: CAPTURE, align: [], words: [0; 50] };
        // SAFETY: the opcode encodes the size of `Format`, plain integers.
        unsafe { ioctl(&self.0, Updater::<{ opcode::read_write::<Format>(b'V', 4) }, _>::new(&mut format)) }
            .unwrap();
        format
    }

    /// Sets a format and returns what the driver made of it.
    pub fn set_format(&self, width: u32, height: u32, code: u32, pitch: u32) -> Format {
        let mut format = Format { kind: CAPTURE, align: [], words: [0; 50] };
        (format.words[0], format.words[1], format.words[2], format.words[4]) = (width, height, code, pitch);
        // SAFETY: as in `format`.
        unsafe { ioctl(&self.0, Updater::<{ opcode::read_write::<Format>(b'V', 5) }, _>::new(&mut format)) }
            .unwrap();
        format
    }

    pub fn request(&self, count: u32, memory: u32) -> Result<()> {
        let mut data = Request { count, kind: CAPTURE, memory, ..Request::default() };
        // SAFETY: the opcode encodes the size of `Request`, plain integers.
        unsafe { ioctl(&self.0, Updater::<{ opcode::read_write::<Request>(b'V', 8) }, _>::new(&mut data)) }
    }

    pub fn queue(&self, index: u32, dma_buf: impl AsFd, bytes: u64) -> Result<()> {
        let mut data = Buffer {
            index,
            kind: CAPTURE,
            memory: DMABUF,
            location: dma_buf.as_fd().as_raw_fd() as usize,
            length: bytes as u32,
            ..Buffer::default()
        };
        // SAFETY: the opcode encodes the size of `Buffer`, which holds a descriptor and no pointer.
        unsafe { ioctl(&self.0, Updater::<{ opcode::read_write::<Buffer>(b'V', 15) }, _>::new(&mut data)) }
    }

    /// Waits for a picture; its index, its bytes and its flags.
    pub fn dequeue(&self) -> Result<(u32, u32, u32)> {
        let mut data = Buffer { kind: CAPTURE, memory: DMABUF, ..Buffer::default() };
        // SAFETY: as in `queue`.
        unsafe { ioctl(&self.0, Updater::<{ opcode::read_write::<Buffer>(b'V', 17) }, _>::new(&mut data)) }?;
        Ok((data.index, data.bytes_used, data.flags))
    }

    pub fn stream(&self, on: bool) -> Result<()> {
        let kind = CAPTURE as i32;
        // SAFETY: both take a pointer to an int, which is read.
        unsafe {
            if on {
                ioctl(&self.0, Setter::<{ opcode::write::<i32>(b'V', 18) }, _>::new(kind))
            } else {
                ioctl(&self.0, Setter::<{ opcode::write::<i32>(b'V', 19) }, _>::new(kind))
            }
        }
    }
}
