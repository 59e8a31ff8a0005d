//! Finding the displays of this machine.

use std::path::PathBuf;

use super::{DeviceError, KmsDevice};
use crate::heaps::Root;

/// What was found.
#[derive(Debug, Default)]
pub struct DeviceList {
    /// The devices with a display, in the order of their names.
    pub devices: Vec<KmsDevice>,
    /// The nodes that could not be used, and why; devices without a display are not among them.
    pub problems: Vec<DeviceProblem>,
}

/// A device that is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct DeviceProblem {
    /// The node, or where it was expected.
    pub path: PathBuf,
    /// Why, and what would help.
    pub error: DeviceError,
}

/// Opens every display device below `/dev/dri`. Never fails: see [`DeviceList::problems`].
pub fn list(root: &Root) -> DeviceList {
    let mut found = DeviceList::default();
    let directory = root.dev.join("dri");
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(&directory) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            let error = match error.kind() {
                std::io::ErrorKind::NotFound => DeviceError::Missing(directory.clone()),
                std::io::ErrorKind::PermissionDenied => DeviceError::Permission(directory.clone()),
                _ => DeviceError::Failed {
                    path: directory.clone(),
                    what: "list it",
                    errno: super::error::errno(&error),
                },
            };
            found.problems.push(DeviceProblem { path: directory, error });
            return found;
        }
    };
    // Only primary nodes have displays; by-path holds links to the same nodes.
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("card")));
    paths.sort();
    for path in paths {
        match KmsDevice::open(&path) {
            Ok(device) => found.devices.push(device),
            Err(DeviceError::NoDisplay(path)) => tracing::debug!(path = %path.display(), "no display"),
            Err(error) => found.problems.push(DeviceProblem { path, error }),
        }
    }
    found
}
