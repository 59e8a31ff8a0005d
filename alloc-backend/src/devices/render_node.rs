//! A render node that is open, for trying memory with its device.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use drm::Device as _;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{DeviceError, RenderProblem};

/// The render node of a GPU. Opening it loads no driver in user space, and needs no seat.
#[derive(Debug)]
pub struct RenderNode {
    fd: OwnedFd,
    path: PathBuf,
    name: String,
    dev: u64,
}

impl AsFd for RenderNode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl drm::Device for RenderNode {}
impl drm::control::Device for RenderNode {}

impl RenderNode {
    /// Opens the node of the device that links call `name`.
    pub(super) fn open(path: &Path, name: String) -> Result<Self, RenderProblem> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ACCESS | Errno::PERM => RenderProblem::Permission(path.to_owned()),
            Errno::NOENT | Errno::NODEV | Errno::NXIO => {
                RenderProblem::Node(DeviceError::Missing(path.to_owned()))
            }
            errno => {
                RenderProblem::Node(DeviceError::Failed { path: path.to_owned(), what: "open it", errno })
            }
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| {
            RenderProblem::Node(DeviceError::Failed { path: path.to_owned(), what: "stat it", errno })
        })?;
        Ok(RenderNode { fd, path: path.to_owned(), name, dev: stat.st_rdev })
    }

    /// What participants and links call the device: as [`RenderDevice::name`](super::RenderDevice::name).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its device number, for feedback.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// Whether the device went away: unplugged, or its driver unbound. Every call fails for good then.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        let errno = |error: std::io::Error| error.raw_os_error() == Some(Errno::NODEV.raw_os_error());
        self.get_driver().is_err_and(errno)
    }
}
