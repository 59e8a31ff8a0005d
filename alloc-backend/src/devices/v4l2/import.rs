//! Whether a queue can use a piece of memory: the dma-buf is mapped into it and let go.
//!
//! The queue is taken for a moment, as an application takes it, so whoever else asks for it then is told that it is busy;
//! one that is in use is left alone. The format stays as it is, nothing is queued, and nothing streams.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use super::queue::TriedFormat;
use super::{V4l2Device, ioctl};

/// Why a dma-buf was not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportError {
    /// The queue refused this memory.
    Refused(Errno),
    /// It could not be tried.
    NotTried(&'static str),
}

impl V4l2Device {
    /// The least bytes of a dma-buf that [`V4l2Device::import`] can try: what the format that is set now needs.
    pub(crate) fn least_import(&self) -> Option<u64> {
        let set = self.set_format()?;
        set.buffers.iter().map(|(_, bytes)| u64::from(*bytes)).max().filter(|bytes| *bytes > 0)
    }

    fn set_format(&self) -> Option<TriedFormat> {
        let bytes = ioctl::current_format(self.fd.as_fd(), self.kind).ok()?;
        Some(TriedFormat::of(&bytes, self.is_multi_planar()))
    }

    /// Maps a dma-buf of so many bytes, and lets it go.
    pub(crate) fn import(&self, dma_buf: BorrowedFd<'_>, bytes: u64) -> Result<(), ImportError> {
        let not = ImportError::NotTried;
        let set = self.set_format().ok_or(not("no format is set"))?;
        let bytes = u32::try_from(bytes).map_err(|_| not("4 GiB are more than V4L2 can say"))?;
        if set.buffers.iter().any(|(_, least)| *least > bytes) {
            return Err(not("the format that is set needs more bytes"));
        }
        let _places = Places::of(self)?;
        let planes = self.is_multi_planar().then_some(set.buffers.len());
        match ioctl::prepare(self.fd.as_fd(), self.kind, planes, dma_buf, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::NOTTY) => Err(not("the driver maps no buffer before it streams")),
            Err(errno @ (Errno::NOMEM | Errno::INTR | Errno::BUSY | Errno::AGAIN | Errno::NODEV)) => {
                tracing::debug!(device = self.name(), %errno, "a dma-buf was not mapped");
                Err(not("the kernel was short of something"))
            }
            Err(errno) => Err(ImportError::Refused(errno)),
        }
    }
}

/// The queue, taken; given back when dropped.
struct Places<'a>(&'a V4l2Device);

impl<'a> Places<'a> {
    fn of(device: &'a V4l2Device) -> Result<Self, ImportError> {
        match ioctl::request(device.fd.as_fd(), device.kind, 1) {
            Ok(()) => Ok(Places(device)),
            Err(Errno::BUSY) => Err(ImportError::NotTried("somebody uses it")),
            Err(Errno::NOMEM | Errno::NODEV) => {
                Err(ImportError::NotTried("the kernel was short of something"))
            }
            Err(errno) => Err(ImportError::Refused(errno)),
        }
    }
}

impl Drop for Places<'_> {
    fn drop(&mut self) {
        if let Err(errno) = ioctl::request(self.0.fd.as_fd(), self.0.kind, 0) {
            // It comes back when the device is closed, at the latest.
            tracing::debug!(device = self.0.name(), %errno, "a queue was not given back");
        }
    }
}
