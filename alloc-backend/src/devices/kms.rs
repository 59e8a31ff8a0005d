//! A display device, as the kernel describes it: planes, CRTCs, connectors, limits.

use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use drm::control::{Device as _, ResourceHandle, ResourceHandles, connector, plane};
use drm::{ClientCapability, Device as _, DriverCapability};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::errno;
use super::{DeviceError, parse_in_formats};
use crate::constraints::{Fourcc, LayoutLimits, MemoryLimits, Modifier, Size};
use crate::heaps::Root;
use crate::solver::problem::{Alternative, OptionSpec, Participant, Role};

/// `DRM_MAJOR`: the major number of every DRM device.
const DRM_MAJOR: u32 = 226;

/// What a plane is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// The main picture of a CRTC.
    Primary,
    /// Something beside or above it.
    Overlay,
    /// The pointer.
    Cursor,
}

/// One plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// The kernel's object id.
    pub id: u32,
    /// What it is made for.
    pub kind: PlaneKind,
    /// Ids of the CRTCs it can serve.
    pub possible_crtcs: Vec<u32>,
    /// What it scans out.
    pub options: Vec<(Fourcc, Modifier)>,
    /// Whether the kernel named modifiers; if not, LINEAR is assumed, as everything before modifiers was.
    pub modifiers_declared: bool,
}

impl Plane {
    /// What answers and messages call it.
    pub fn name(&self) -> String {
        format!("plane-{}", self.id)
    }
}

/// One CRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crtc {
    /// The kernel's object id.
    pub id: u32,
    /// The size of the mode it showed when the device was read.
    pub active: Option<Size>,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The kernel's object id.
    pub id: u32,
    /// Its label, as in `HDMI-A-1`.
    pub name: String,
    /// Whether something was plugged in when the device was read.
    pub connected: bool,
    /// Whether it writes to memory instead of a screen.
    pub writeback: bool,
    /// Ids of the CRTCs it can show.
    pub possible_crtcs: Vec<u32>,
}

/// Limits on framebuffers, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramebufferLimits {
    /// Smallest.
    pub min: Size,
    /// Largest.
    pub max: Size,
    /// Largest pointer.
    pub cursor: Size,
}

/// What the driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// AddFB2 takes modifiers.
    pub addfb2_modifiers: bool,
    /// Other devices' buffers can be imported.
    pub prime_import: bool,
    /// Its buffers can be exported.
    pub prime_export: bool,
    /// It makes dumb buffers.
    pub dumb: bool,
    /// Atomic commits are possible on this descriptor.
    pub atomic: bool,
    /// There is a writeback connector (only looked for on descriptors of our own).
    pub writeback: bool,
}

/// A display device.
#[derive(Debug)]
pub struct KmsDevice {
    fd: OwnedFd,
    path: PathBuf,
    name: String,
    driver: String,
    dev: u64,
    iommu: bool,
    planes: Vec<Plane>,
    crtcs: Vec<Crtc>,
    connectors: Vec<Connector>,
    limits: FramebufferLimits,
    caps: Caps,
    scattered: OnceLock<bool>,
}

impl AsFd for KmsDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl drm::Device for KmsDevice {}
impl drm::control::Device for KmsDevice {}

impl KmsDevice {
    /// Opens a node for looking and allocating. If that made this process the DRM master, as the first opener of a
    /// device becomes, mastership is given back at once, so that a compositor can start.
    ///
    /// # Errors
    /// [`DeviceError`] with advice.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO => DeviceError::Missing(path.to_owned()),
            Errno::ACCESS | Errno::PERM => DeviceError::Permission(path.to_owned()),
            Errno::ISDIR => DeviceError::NotDrm(path.to_owned()),
            errno => DeviceError::Failed { path: path.to_owned(), what: "open it", errno },
        })?;
        check_drm(fd.as_fd(), path)?;
        let looker = Looker(fd);
        // Fails when we are not master, which is as well.
        let _ = looker.release_master_lock();
        // Refused by drivers without atomic or writeback, which is as well, too.
        let _ = looker.set_client_capability(ClientCapability::Atomic, true);
        let _ = looker.set_client_capability(ClientCapability::WritebackConnectors, true);
        KmsDevice::read(looker.0, path.to_owned(), &Root::default())
    }

    /// Reads the device behind a descriptor somebody else opened (a seat daemon, a compositor), and keeps a duplicate.
    ///
    /// Duplicates share their state: besides making all planes visible nothing of it is changed, so writeback
    /// connectors stay hidden unless the owner enabled them, and mastership stays where it is.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn from_fd(fd: impl AsFd) -> Result<Self, DeviceError> {
        let root = Root::default();
        let fd = fd.as_fd();
        check_drm(fd, Path::new("(descriptor)"))?;
        let failed = |errno| DeviceError::Failed { path: "(descriptor)".into(), what: "duplicate it", errno };
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        let name = node_name(stat.st_rdev, &root);
        KmsDevice::read(fd, root.dev.join("dri").join(name), &root)
    }

    fn read(fd: OwnedFd, path: PathBuf, root: &Root) -> Result<Self, DeviceError> {
        let card = Looker(fd);
        let failed = |what| {
            let path = path.clone();
            move |error: std::io::Error| DeviceError::Failed { path, what, errno: errno(&error) }
        };
        let driver = card.get_driver().map_err(|_| DeviceError::NotDrm(path.clone()))?;
        let resources = card.resource_handles().map_err(|error| match errno(&error) {
            Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::ACCESS => {
                DeviceError::NoDisplay(path.clone())
            }
            errno => DeviceError::Failed { path: path.clone(), what: "read its resources", errno },
        })?;
        if resources.crtcs().is_empty() {
            return Err(DeviceError::NoDisplay(path));
        }
        card.set_client_capability(ClientCapability::UniversalPlanes, true)
            .map_err(failed("make all its planes visible"))?;
        let planes = planes(&card, &resources).map_err(failed("read its planes"))?;
        let connectors = connectors(&card, &resources).map_err(failed("read its connectors"))?;
        let crtcs = crtcs(&card, &resources).map_err(failed("read its CRTCs"))?;
        let stat = rustix::fs::fstat(&card.0).map_err(|errno| failed("stat it")(errno.into()))?;
        let dev = stat.st_rdev;
        let cap = |cap| card.get_driver_capability(cap).unwrap_or(0);
        let prime = cap(DriverCapability::Prime);
        let caps = Caps {
            addfb2_modifiers: cap(DriverCapability::AddFB2Modifiers) != 0,
            // DRM_PRIME_CAP_IMPORT and DRM_PRIME_CAP_EXPORT.
            prime_import: prime & 1 != 0,
            prime_export: prime & 2 != 0,
            dumb: cap(DriverCapability::DumbBuffer) != 0,
            atomic: has_atomic(&card),
            writeback: connectors.iter().any(|connector| connector.writeback),
        };
        let limits = limits(&resources, &cap);
        let name = node_name(dev, root);
        let iommu = root.sys.join(device_dir(dev)).join("device/iommu_group").exists();
        let driver = driver.name().to_string_lossy().into_owned();
        tracing::debug!(device = %name, %driver, planes = planes.len(), iommu, "read display device");
        let scattered = OnceLock::new();
        let fd = card.0;
        Ok(KmsDevice {
            fd,
            path,
            name,
            driver,
            dev,
            iommu,
            planes,
            crtcs,
            connectors,
            limits,
            caps,
            scattered,
        })
    }

    /// What participants and links call it: its node's name, unique on this machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The driver's name: a label.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its device number.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// Whether the kernel put it behind an IOMMU, so that scattered memory looks contiguous to it.
    pub fn behind_iommu(&self) -> bool {
        self.iommu
    }

    /// Its planes, of all CRTCs.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Its CRTCs.
    pub fn crtcs(&self) -> &[Crtc] {
        &self.crtcs
    }

    /// Its connectors.
    pub fn connectors(&self) -> &[Connector] {
        &self.connectors
    }

    /// Limits on framebuffers.
    pub fn limits(&self) -> FramebufferLimits {
        self.limits
    }

    /// What the driver can do.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Whether it takes memory in pieces, once somebody tried.
    pub fn takes_scattered(&self) -> Option<bool> {
        self.scattered.get().copied()
    }

    /// Keeps what was found by trying; the first finding stays.
    pub(crate) fn learn_scattered(&self, takes: bool) {
        let _ = self.scattered.set(takes);
    }

    /// Scan-out on one CRTC, one alternative for each plane that can serve it. Optional, of weight 100: without it the
    /// picture is composited.
    pub fn participant(&self, crtc: u32, name: &str) -> Participant {
        let serving = |plane: &&Plane| plane.possible_crtcs.contains(&crtc);
        self.participant_of(self.planes.iter().filter(serving), name)
    }

    /// Scan-out on some of its planes, one alternative each.
    pub fn participant_of<'a>(&self, planes: impl IntoIterator<Item = &'a Plane>, name: &str) -> Participant {
        Participant {
            name: name.to_owned(),
            device: Some(self.name.clone()),
            role: Role::Scanout,
            required: false,
            weight: 100,
            alternatives: Some(planes.into_iter().map(|plane| self.alternative(plane)).collect()),
            memory: MemoryLimits {
                // Behind an IOMMU the same finding counts: it was made through the IOMMU.
                contiguous: self.takes_scattered() == Some(false),
                ..MemoryLimits::default()
            },
            limits: LayoutLimits {
                min_size: Some(self.limits.min),
                max_size: Some(self.limits.max),
                ..LayoutLimits::default()
            },
            ..Participant::default()
        }
    }

    fn alternative(&self, plane: &Plane) -> Alternative {
        let limits = LayoutLimits {
            max_size: (plane.kind == PlaneKind::Cursor).then_some(self.limits.cursor),
            ..LayoutLimits::default()
        };
        let option = |pair: &(Fourcc, Modifier)| OptionSpec {
            format: pair.0.into(),
            modifier: pair.1.into(),
            limits,
            ..OptionSpec::default()
        };
        Alternative { name: Some(plane.name()), options: plane.options.iter().map(option).collect() }
    }
}

/// A descriptor that can be asked.
struct Looker(OwnedFd);

impl AsFd for Looker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Looker {}
impl drm::control::Device for Looker {}

fn check_drm(fd: BorrowedFd<'_>, path: &Path) -> Result<(), DeviceError> {
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
fn node_name(dev: u64, root: &Root) -> String {
    let target = std::fs::canonicalize(root.sys.join(device_dir(dev))).ok();
    let name =
        target.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| format!("drm:{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev)))
}

/// Property values of an object, by name.
pub(crate) fn properties<T: ResourceHandle>(
    card: &impl drm::control::Device,
    object: T,
) -> std::io::Result<HashMap<String, (drm::control::property::Handle, u64)>> {
    let set = card.get_properties(object)?;
    let mut named = HashMap::new();
    for (handle, value) in &set {
        let info = card.get_property(*handle)?;
        named.insert(info.name().to_string_lossy().into_owned(), (*handle, *value));
    }
    Ok(named)
}

fn planes(card: &Looker, resources: &ResourceHandles) -> std::io::Result<Vec<Plane>> {
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
        let declared = declared_options(card, handle, properties.get("IN_FORMATS").map(|(_, blob)| *blob));
        let modifiers_declared = declared.is_some();
        let linear = || info.formats().iter().map(|format| (Fourcc(*format), Modifier::LINEAR)).collect();
        planes.push(Plane {
            id: handle.into(),
            kind,
            possible_crtcs: ids(resources.filter_crtcs(info.possible_crtcs())),
            options: declared.unwrap_or_else(linear),
            modifiers_declared,
        });
    }
    Ok(planes)
}

fn declared_options(
    card: &Looker,
    plane: plane::Handle,
    blob: Option<u64>,
) -> Option<Vec<(Fourcc, Modifier)>> {
    let blob = card.get_property_blob(blob.filter(|id| *id != 0)?).ok()?;
    match parse_in_formats(&blob) {
        Ok(pairs) => Some(pairs),
        Err(error) => {
            tracing::warn!(plane = u32::from(plane), %error, "LINEAR is assumed");
            None
        }
    }
}

fn connectors(card: &Looker, resources: &ResourceHandles) -> std::io::Result<Vec<Connector>> {
    let mut connectors = Vec::new();
    for handle in resources.connectors() {
        // Not forced: forcing can flicker. A connector that went away meanwhile (MST) is no error.
        let Ok(info) = card.get_connector(*handle, false) else { continue };
        let mut possible_crtcs = Vec::new();
        for encoder in info.encoders() {
            let Ok(encoder) = card.get_encoder(*encoder) else { continue };
            for id in ids(resources.filter_crtcs(encoder.possible_crtcs())) {
                if !possible_crtcs.contains(&id) {
                    possible_crtcs.push(id);
                }
            }
        }
        connectors.push(Connector {
            id: (*handle).into(),
            name: info.to_string(),
            connected: info.state() == connector::State::Connected,
            writeback: info.interface() == connector::Interface::Writeback,
            possible_crtcs,
        });
    }
    Ok(connectors)
}

fn crtcs(card: &Looker, resources: &ResourceHandles) -> std::io::Result<Vec<Crtc>> {
    let crtc = |handle: &drm::control::crtc::Handle| {
        let info = card.get_crtc(*handle)?;
        let active = info.mode().map(|mode| Size::new(mode.size().0.into(), mode.size().1.into()));
        Ok(Crtc { id: (*handle).into(), active })
    };
    resources.crtcs().iter().map(crtc).collect()
}

/// A descriptor that was made atomic sees the atomic properties of planes; others do not.
fn has_atomic(card: &Looker) -> bool {
    let first = card.plane_handles().ok().and_then(|planes| planes.first().copied());
    first.and_then(|plane| properties(card, plane).ok()).is_some_and(|names| names.contains_key("FB_ID"))
}

fn limits(resources: &ResourceHandles, cap: &impl Fn(DriverCapability) -> u64) -> FramebufferLimits {
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
