//! Which device, and what is connected to it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use smithay::{
    backend::{
        drm::DrmDeviceFd,
        session::{Session as _, libseat::LibSeatSession},
    },
    reexports::{
        drm::control::{Device as _, Mode, ModeFlags, connector},
        rustix::fs::OFlags,
    },
    utils::DeviceFd,
};
use tracing::{debug, warn};

use super::{error::KmsError, plan::Plug};

pub(super) fn open(session: &mut LibSeatSession, path: &Path) -> Result<DrmDeviceFd, KmsError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    session
        .open(path, flags)
        .map(|fd| DrmDeviceFd::new(DeviceFd::from(fd)))
        .map_err(|source| KmsError::Open { path: path.to_owned(), source })
}

/// Gives a device back to the seat. Everything else that was made of it must have gone before.
pub(super) fn close(session: &mut LibSeatSession, path: &Path, fd: DrmDeviceFd) {
    let shared = fd.device_fd();
    drop(fd);
    match shared.try_into() {
        Ok(fd) => {
            if let Err(error) = session.close(fd) {
                debug!(device = %path.display(), %error, "the seat does not take a device back");
            }
        }
        Err(_) => warn!(device = %path.display(), "a device is still in use: the seat keeps it open"),
    }
}

/// Nodes that may drive a display, in the order of their numbers.
fn card_nodes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
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
        match connectors(&fd) {
            Ok(connectors) if connectors.iter().any(is_connected) => return Ok((path, fd)),
            Ok(_) => tried.push(format!("{}: nothing connected", path.display())),
            Err(error) => tried.push(format!("{}: no display device ({error})", path.display())),
        }
        close(session, &path, fd);
    }
    if tried.is_empty() {
        tried.push("there is no node under /dev/dri".to_owned());
    }
    Err(KmsError::NoDisplay { tried: tried.join("; ") })
}

/// Where in the machine a node's device sits, which it keeps when it is plugged in again and its node is numbered anew.
pub(super) fn place(node: &Path) -> Option<PathBuf> {
    let number = fs::metadata(node).ok()?.rdev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    fs::canonicalize(format!("/sys/dev/char/{major}:{minor}/device")).ok()
}

/// The node of the device that was asked for by the name `wanted`, and sat at `place` when it was there.
pub(super) fn node_of(wanted: &Path, place_before: Option<&Path>) -> Option<PathBuf> {
    let at_place = place_before
        .and_then(|before| card_nodes().into_iter().find(|node| place(node).as_deref() == Some(before)));
    at_place.or_else(|| wanted.exists().then(|| wanted.to_owned()))
}

/// Every connector, the hardware being asked.
pub(super) fn connectors(fd: &DrmDeviceFd) -> io::Result<Vec<connector::Info>> {
    let resources = fd.resource_handles()?;
    let read = |handle: &connector::Handle| match fd.get_connector(*handle, true) {
        Ok(info) => Some(info),
        Err(error) => {
            // One of a hub's, that went with it; of a device that is gone, the list could not be read either.
            debug!(?handle, %error, "a connector cannot be read");
            None
        }
    };
    Ok(resources.connectors().iter().filter_map(read).collect())
}

pub(super) fn is_connected(info: &connector::Info) -> bool {
    info.state() == connector::State::Connected && !info.modes().is_empty()
}

/// What makes two modes one: not whether the display prefers it, and not its name.
pub(super) type Timing = (u32, (u16, u16), [(u16, u16, u16); 2], [u16; 2], ModeFlags);

pub(super) fn timing(mode: &Mode) -> Timing {
    let skew_and_scan = [mode.hskew(), mode.vscan()];
    (mode.clock(), mode.size(), [mode.hsync(), mode.vsync()], skew_and_scan, mode.flags())
}

/// As [`plan`](super::plan) needs it.
pub(super) fn plug(info: &connector::Info) -> Plug<Timing> {
    let modes = if is_connected(info) { info.modes().iter().map(timing).collect() } else { Vec::new() };
    Plug { connector: info.handle().into(), modes }
}
