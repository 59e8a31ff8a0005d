//! Why a device cannot be used.

use std::path::PathBuf;

use rustix::io::Errno;

/// Why a display device could not be opened or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no such node.
    #[error("{}: not there: load the driver, name another device, or, in a container, pass /dev/dri in", .0.display())]
    Missing(PathBuf),
    /// The node is there, but this user may not open it.
    #[error(
        "{}: permission denied: run in a session of a seat, add the user to the group that owns the node (often \
         `video`), or install a udev rule `SUBSYSTEM==\"drm\", TAG+=\"uaccess\"`",
        .0.display()
    )]
    Permission(PathBuf),
    /// The node is something else.
    #[error("{}: not a DRM device: name a node of /dev/dri", .0.display())]
    NotDrm(PathBuf),
    /// The device renders, but has no display.
    #[error("{}: a DRM device without a display: name the primary node of a display (/dev/dri/card*)", .0.display())]
    NoDisplay(PathBuf),
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

/// The errno in an error of the drm crate, which makes them from errnos only.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
