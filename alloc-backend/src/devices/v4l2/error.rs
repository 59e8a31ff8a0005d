//! Why a video node cannot be used.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Why a video node could not be opened or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum V4l2Error {
    /// There is no such node.
    #[error("{}: not there: load the driver, name another node, or, in a container, pass it in", .0.display())]
    Missing(PathBuf),
    /// The node is there, but this user may not open it.
    #[error("{}: permission denied: add the user to the group that owns the node (often `video`)", .0.display())]
    Permission(PathBuf),
    /// It was there, and went away while it was read.
    #[error("{}: went away while it was read: plug it in again, or list the devices anew", .0.display())]
    Vanished(PathBuf),
    /// The node is something else.
    #[error("{}: not a V4L2 device: name a node /dev/video*", .0.display())]
    NotV4l2(PathBuf),
    /// The kernel says something else.
    #[error("{}: cannot {what}: {errno}", .path.display())]
    Failed {
        /// The node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

impl V4l2Error {
    /// The node.
    pub fn path(&self) -> &Path {
        match self {
            V4l2Error::Missing(path)
            | V4l2Error::Permission(path)
            | V4l2Error::Vanished(path)
            | V4l2Error::NotV4l2(path)
            | V4l2Error::Failed { path, .. } => path,
        }
    }

    /// What an errno means, when a node is opened or read.
    pub(super) fn of(path: &Path, what: &'static str, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT => V4l2Error::Missing(path),
            Errno::ACCESS | Errno::PERM => V4l2Error::Permission(path),
            Errno::NODEV | Errno::NXIO => V4l2Error::Vanished(path),
            Errno::NOTTY | Errno::ISDIR => V4l2Error::NotV4l2(path),
            errno => V4l2Error::Failed { path, what, errno },
        }
    }
}
