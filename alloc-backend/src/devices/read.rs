//! Reading a display device: every question that is put to the kernel.

use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use drm::DriverCapability;
use drm::control::{Device as _, Mode, ModeTypeFlags, ResourceHandle, ResourceHandles, connector, plane};
use rustix::fs::FileType;

use super::blobs::{parse_size_hints, parse_writeback_formats};
use super::{
    Connector, ConnectorState, Crtc, DeviceError, FramebufferLimits, Plane, PlaneKind, parse_in_formats,
};
use crate::constraints::{Fourcc, Modifier, Size};
use crate::heaps::Root;

/// `DRM_MAJOR`: the major number of every DRM device.
const DRM_MAJOR: u32 = 226;

/// A descriptor that can be asked.
pub(super) struct Looker(pub(super) OwnedFd);

impl AsFd for Looker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Looker {}
impl drm::control::Device for Looker {}

pub(super) fn check_drm(fd: BorrowedFd<'_>, path: &Path) -> Result<(), DeviceError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| DeviceError::Failed {
        path: path.to_owned(),
        what: "stat it",
        errno,
    })?;
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    // Asked before any ioctl, since a DRM number may mean something else to another driver.
    if device && rustix::fs::major(stat.st_rdev) == DRM_MAJOR {
        Ok(())
    } else {
        Err(DeviceError::NotDrm(path.to_owned()))
    }
}

fn device_dir(dev: u64) -> String {
    format!("dev/char/{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev))
}

/// The node's name as sysfs has it (`card0`), or its number.
pub(super) fn node_name(dev: u64, root: &Root) -> String {
    let target = std::fs::canonicalize(root.sys.join(device_dir(dev))).ok();
    let name =
        target.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| format!("drm:{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev)))
}

/// Property values of an object, by name.
pub(crate) fn properties<T: ResourceHandle>(
    card: &impl drm::control::Device,
    object: T,
) -> std::io::Result<Named> {
    let set = card.get_properties(object)?;
    let mut named = Named::new();
    for (handle, value) in &set {
        let info = card.get_property(*handle)?;
        named.insert(info.name().to_string_lossy().into_owned(), (*handle, *value));
    }
    Ok(named)
}

pub(super) fn planes(card: &Looker, resources: &ResourceHandles) -> std::io::Result<Vec<Plane>> {
    let mut planes = Vec::new();
    for handle in card.plane_handles()? {
        let info = card.get_plane(handle)?;
        let properties = properties(card, handle)?;
        // DRM_PLANE_TYPE_*; a plane of a kind to come is left to those who know it.
        let kind = match properties.get("type").map(|(_, value)| *value) {
            Some(0) => PlaneKind::Overlay,
            Some(1) => PlaneKind::Primary,
            Some(2) => PlaneKind::Cursor,
            other => {
                tracing::debug!(plane = u32::from(handle), ?other, "plane of unknown type is left out");
                continue;
            }
        };
        let blob = |name| blob_of(card, &properties, name);
        let pairs = |name| blob(name).and_then(|blob| declared_options(handle, name, &blob));
        let declared = pairs("IN_FORMATS");
        let modifiers_declared = declared.is_some();
        let linear = || info.formats().iter().map(|format| (Fourcc(*format), Modifier::LINEAR)).collect();
        planes.push(Plane {
            id: handle.into(),
            kind,
            possible_crtcs: ids(resources.filter_crtcs(info.possible_crtcs())),
            options: declared.unwrap_or_else(linear),
            async_options: pairs("IN_FORMATS_ASYNC"),
            size_hints: blob("SIZE_HINTS").map(|blob| parse_size_hints(&blob)).unwrap_or_default(),
            modifiers_declared,
        });
    }
    Ok(planes)
}

/// Property values of one object, by name.
pub(crate) type Named = HashMap<String, (drm::control::property::Handle, u64)>;

/// What a property that names a blob says.
fn blob_of(card: &impl drm::control::Device, properties: &Named, name: &str) -> Option<Vec<u8>> {
    let (_, id) = properties.get(name)?;
    card.get_property_blob(Some(*id).filter(|id| *id != 0)?).ok()
}

fn declared_options(plane: plane::Handle, name: &str, blob: &[u8]) -> Option<Vec<(Fourcc, Modifier)>> {
    match parse_in_formats(blob) {
        Ok(pairs) => Some(pairs),
        Err(error) => {
            tracing::warn!(plane = u32::from(plane), property = name, %error, "taken as not there");
            None
        }
    }
}

/// Asks the hardware about connectors of which the kernel knows nothing yet, as nobody has looked since it was started.
///
/// The kernel does so for a master only; to others it says again that it does not know. Connectors somebody has looked
/// at are left alone: asking the hardware can flicker, and takes tens of milliseconds.
pub(super) fn look_where_nobody_has(card: &Looker) {
    let Ok(resources) = card.resource_handles() else { return };
    for handle in resources.connectors() {
        let unknown =
            card.get_connector(*handle, false).is_ok_and(|info| info.state() == connector::State::Unknown);
        if unknown {
            let _ = card.get_connector(*handle, true);
        }
    }
}

/// With `ask`, the hardware is asked, if the descriptor is the master; else the kernel says what it found last.
pub(super) fn connectors(
    card: &impl drm::control::Device,
    resources: &ResourceHandles,
    ask: bool,
) -> std::io::Result<Vec<Connector>> {
    let mut connectors = Vec::new();
    for handle in resources.connectors() {
        // A connector that went away meanwhile (MST) is no error.
        let Ok(info) = card.get_connector(*handle, ask) else { continue };
        let mut possible_crtcs = Vec::new();
        for encoder in info.encoders() {
            let Ok(encoder) = card.get_encoder(*encoder) else { continue };
            for id in ids(resources.filter_crtcs(encoder.possible_crtcs())) {
                if !possible_crtcs.contains(&id) {
                    possible_crtcs.push(id);
                }
            }
        }
        let writeback = info.interface() == connector::Interface::Writeback;
        let properties = if writeback { properties(card, *handle).unwrap_or_default() } else { Named::new() };
        let formats = blob_of(card, &properties, "WRITEBACK_PIXEL_FORMATS");
        connectors.push(Connector {
            id: (*handle).into(),
            name: info.to_string(),
            state: match info.state() {
                connector::State::Connected => ConnectorState::Connected,
                connector::State::Disconnected => ConnectorState::Disconnected,
                connector::State::Unknown => ConnectorState::Unknown,
            },
            writeback,
            writeback_formats: formats.map(|blob| parse_writeback_formats(&blob)).unwrap_or_default(),
            possible_crtcs,
            mode: suiting(info.modes()),
        });
    }
    Ok(connectors)
}

/// The size of the preferred mode, else of the largest.
fn suiting(modes: &[Mode]) -> Option<Size> {
    let size = |mode: &Mode| Size::new(mode.size().0.into(), mode.size().1.into());
    let preferred = modes.iter().find(|mode| mode.mode_type().contains(ModeTypeFlags::PREFERRED));
    preferred.map(size).or_else(|| modes.iter().map(size).max_by_key(|size| size.area()))
}

pub(super) fn crtcs(card: &Looker, resources: &ResourceHandles) -> std::io::Result<Vec<Crtc>> {
    let crtc = |handle: &drm::control::crtc::Handle| {
        let info = card.get_crtc(*handle)?;
        let active = info.mode().map(|mode| Size::new(mode.size().0.into(), mode.size().1.into()));
        Ok(Crtc { id: (*handle).into(), active })
    };
    resources.crtcs().iter().map(crtc).collect()
}

/// A descriptor that was made atomic sees the atomic properties of planes; others do not.
pub(super) fn has_atomic(card: &Looker) -> bool {
    let first = card.plane_handles().ok().and_then(|planes| planes.first().copied());
    first.and_then(|plane| properties(card, plane).ok()).is_some_and(|names| names.contains_key("FB_ID"))
}

pub(super) fn limits(
    resources: &ResourceHandles,
    cap: &impl Fn(DriverCapability) -> u64,
) -> FramebufferLimits {
    let (min_width, max_width) = bounds(&resources.supported_fb_width());
    let (min_height, max_height) = bounds(&resources.supported_fb_height());
    // 64x64 is what the kernel says of drivers that do not say.
    let side = |which| u32::try_from(cap(which)).ok().filter(|side| *side > 0).unwrap_or(64);
    FramebufferLimits {
        min: Size::new(min_width, min_height),
        max: Size::new(max_width, max_height),
        cursor: Size::new(side(DriverCapability::CursorWidth), side(DriverCapability::CursorHeight)),
    }
}

fn bounds(range: &impl RangeBounds<u32>) -> (u32, u32) {
    let low = match range.start_bound() {
        Bound::Included(low) => *low,
        Bound::Excluded(low) => low.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => *high,
        Bound::Excluded(high) => high.saturating_sub(1),
        Bound::Unbounded => u32::MAX,
    };
    (low, high)
}

fn ids<T: Into<u32>>(handles: Vec<T>) -> Vec<u32> {
    handles.into_iter().map(Into::into).collect()
}
