//! A display device, as the kernel describes it: planes, CRTCs, connectors, limits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use drm::control::Device as _;
use drm::{ClientCapability, Device as _, DriverCapability};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::errno;
use super::read::{
    Looker, check_drm, connectors, crtcs, has_atomic, limits, look_where_nobody_has, node_name, planes,
};
use super::{Caps, Connector, Crtc, DeviceError, FramebufferLimits, Hardware, Iommu, Plane, Scattered};
use crate::heaps::Root;

/// A display device.
#[derive(Debug)]
pub struct KmsDevice {
    fd: OwnedFd,
    path: PathBuf,
    name: String,
    driver: String,
    dev: u64,
    hardware: Option<Hardware>,
    planes: Vec<Plane>,
    crtcs: Vec<Crtc>,
    connectors: Vec<Connector>,
    limits: FramebufferLimits,
    caps: Caps,
    scattered: OnceLock<Scattered>,
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
        // Only a master may, and only now are we one.
        look_where_nobody_has(&looker);
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
    /// connectors stay hidden unless the owner enabled them, and mastership stays where it is. Connectors that nobody
    /// has looked at yet are looked at, if this descriptor is the master.
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
        let looker = Looker(fd);
        look_where_nobody_has(&looker);
        KmsDevice::read(looker.0, root.dev.join("dri").join(name), &root)
    }

    fn read(fd: OwnedFd, path: PathBuf, root: &Root) -> Result<Self, DeviceError> {
        let card = Looker(fd);
        let failed = |what| {
            let path = path.clone();
            move |error: std::io::Error| DeviceError::while_reading(&path, what, errno(&error))
        };
        let driver = card.get_driver().map_err(|error| match errno(&error) {
            Errno::NODEV | Errno::NXIO => DeviceError::Vanished(path.clone()),
            _ => DeviceError::NotDrm(path.clone()),
        })?;
        let resources = card.resource_handles().map_err(|error| match errno(&error) {
            Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::ACCESS => {
                DeviceError::NoDisplay(path.clone())
            }
            errno => DeviceError::while_reading(&path, "read its resources", errno),
        })?;
        if resources.crtcs().is_empty() {
            return Err(DeviceError::NoDisplay(path));
        }
        card.set_client_capability(ClientCapability::UniversalPlanes, true)
            .map_err(failed("make all its planes visible"))?;
        let planes = planes(&card, &resources).map_err(failed("read its planes"))?;
        let connectors = connectors(&card, &resources, false).map_err(failed("read its connectors"))?;
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
        let hardware = Hardware::of_node(root, dev);
        let driver = driver.name().to_string_lossy().into_owned();
        tracing::debug!(device = %name, %driver, planes = planes.len(), "read display device");
        let scattered = OnceLock::new();
        let fd = card.0;
        Ok(KmsDevice {
            fd,
            path,
            name,
            driver,
            dev,
            hardware,
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

    /// What sysfs declares of it; `None` when sysfs does not know it, as in a container without one.
    pub fn hardware(&self) -> Option<&Hardware> {
        self.hardware.as_ref()
    }

    /// Whether the kernel maps its buffers through an IOMMU, so that scattered memory looks contiguous to it. An IOMMU that
    /// passes addresses through, or of which that is not known, is none.
    pub fn behind_iommu(&self) -> bool {
        self.hardware.as_ref().is_some_and(|hardware| hardware.iommu == Iommu::Translates)
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

    /// Its connectors as they are now, the hardware being asked: for when a [`Change`](super::Change) told of a screen that
    /// was plugged in or pulled. Only the DRM master may ask; others are told what the kernel found last. Takes tens of
    /// milliseconds a connector, and can flicker.
    ///
    /// # Errors
    /// [`DeviceError::Vanished`], or [`DeviceError::Failed`].
    pub fn ask_connectors(&self) -> Result<Vec<Connector>, DeviceError> {
        let failed = |error: std::io::Error| {
            DeviceError::while_reading(&self.path, "read its connectors", errno(&error))
        };
        let resources = self.resource_handles().map_err(failed)?;
        connectors(self, &resources, true).map_err(failed)
    }

    /// Limits on framebuffers.
    pub fn limits(&self) -> FramebufferLimits {
        self.limits
    }

    /// What the driver can do.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Whether it takes memory in pieces, once somebody tried, and if it could be found out.
    pub fn takes_scattered(&self) -> Option<bool> {
        match self.scattered.get()? {
            Scattered::Taken => Some(true),
            Scattered::Refused => Some(false),
            Scattered::NoAnswer => None,
        }
    }

    /// Whether it was seen to refuse memory in pieces, with no IOMMU that would make them one to it.
    pub fn refuses_pieces(&self) -> bool {
        self.takes_scattered() == Some(false) && !self.behind_iommu()
    }

    /// What came of trying, once somebody did.
    pub(crate) fn scattered(&self) -> Option<Scattered> {
        self.scattered.get().copied()
    }

    /// Keeps what was found by trying; the first finding stays.
    pub(crate) fn learn_scattered(&self, found: Scattered) {
        let _ = self.scattered.set(found);
    }

    /// Whether it went away: unplugged, or its driver unbound. Every call fails for good then; drop it, and open it anew
    /// when it is back.
    #[must_use]
    pub fn has_vanished(&self) -> bool {
        // The kernel refuses even to say the driver's name.
        let errno = |error: std::io::Error| error.raw_os_error() == Some(Errno::NODEV.raw_os_error());
        self.get_driver().is_err_and(errno)
    }
}
