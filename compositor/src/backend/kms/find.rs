//! Which device, and what is connected to it.

use std::{
    io,
    path::{Path, PathBuf},
};

use smithay::{
    backend::{
        drm::DrmDeviceFd,
        session::{Session as _, libseat::LibSeatSession},
    },
    reexports::{
        drm::control::{Device as _, connector},
        rustix::fs::OFlags,
    },
    utils::DeviceFd,
};

use super::error::KmsError;

pub(super) fn open(session: &mut LibSeatSession, path: &Path) -> Result<DrmDeviceFd, KmsError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    session
        .open(path, flags)
        .map(|fd| DrmDeviceFd::new(DeviceFd::from(fd)))
        .map_err(|source| KmsError::Open { path: path.to_owned(), source })
}

/// Nodes that may drive a display, in the order of their numbers.
fn card_nodes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let mut nodes: Vec<_> = entries
        .map(|entry| entry.path())
        .filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok()?;
            Some((number, path))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, path)| path).collect()
}

/// The first device with a connected display.
pub(super) fn find(session: &mut LibSeatSession) -> Result<(PathBuf, DrmDeviceFd), KmsError> {
    let mut tried = Vec::new();
    for path in card_nodes() {
        let fd = match open(session, &path) {
            Ok(fd) => fd,
            Err(error) => {
                tried.push(error.to_string());
                continue;
            }
        };
        match connected(&fd) {
            Ok(connectors) if !connectors.is_empty() => return Ok((path, fd)),
            Ok(_) => tried.push(format!("{}: nothing connected", path.display())),
            Err(error) => tried.push(format!("{}: no display device ({error})", path.display())),
        }
    }
    if tried.is_empty() {
        tried.push("there is no node under /dev/dri".to_owned());
    }
    Err(KmsError::NoDisplay { tried: tried.join("; ") })
}

pub(super) fn connected(fd: &DrmDeviceFd) -> io::Result<Vec<connector::Info>> {
    let resources = fd.resource_handles()?;
    let mut connected = Vec::new();
    for handle in resources.connectors() {
        let info = fd.get_connector(*handle, true)?;
        if info.state() == connector::State::Connected && !info.modes().is_empty() {
            connected.push(info);
        }
    }
    Ok(connected)
}
