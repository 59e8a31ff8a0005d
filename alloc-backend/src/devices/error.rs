//! Why a device cannot be used.

use std::path::{Path, PathBuf};

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
    /// It was there, and went away while it was read.
    #[error("{}: went away while it was read: plug it in again, or list the devices anew", .0.display())]
    Vanished(PathBuf),
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

impl DeviceError {
    /// The node.
    pub fn path(&self) -> &Path {
        match self {
            DeviceError::Missing(path)
            | DeviceError::Permission(path)
            | DeviceError::Vanished(path)
            | DeviceError::NotDrm(path)
            | DeviceError::NoDisplay(path)
            | DeviceError::Failed { path, .. } => path,
        }
    }

    /// What an errno of a device that had been opened means.
    pub(super) fn while_reading(path: &Path, what: &'static str, errno: Errno) -> Self {
        match errno {
            // What the kernel answers on a descriptor whose device was unplugged.
            Errno::NODEV | Errno::NXIO => DeviceError::Vanished(path.to_owned()),
            errno => DeviceError::Failed { path: path.to_owned(), what, errno },
        }
    }
}

/// The errno in an error of the drm crate, which makes them from errnos only.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_went_away_is_told_from_one_that_refuses() {
        let path = Path::new("/dev/dri/card7");
        let error = |errno| DeviceError::while_reading(path, "read its planes", errno).to_string();
        assert!(error(Errno::NODEV).starts_with("/dev/dri/card7: went away"));
        assert!(error(Errno::NOMEM).starts_with("/dev/dri/card7: cannot read its planes"));
    }
}
