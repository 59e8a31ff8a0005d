//! Devices that wait for points of timelines and signal them.
//!
//! A sync object belongs to no device: any that has timelines can import any. What counts is the capability, and that it
//! works: `drmSyncobjEventfd`, without which nothing could be waited for, came with Linux 6.6 and has no capability of its own.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use heapwright_alloc::{devices::drm_nodes, heaps::Root};
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{Mode, OFlags},
};
use smithay::reexports::drm::{
    self, Device as _, DriverCapability,
    control::{Device as _, syncobj::Handle},
};
use tracing::{debug, warn};

/// Who imports timelines, waits for their points and signals them.
pub trait Device: fmt::Debug + Send + Sync {
    /// Imports a timeline.
    ///
    /// # Errors
    /// What the kernel says: EINVAL for what is no sync object, ENODEV when the device has gone.
    fn import(&self, timeline: BorrowedFd<'_>) -> io::Result<Handle>;

    /// Closes what was imported.
    fn close(&self, timeline: Handle);

    /// Has `event` become readable when the point is signalled; at once if it has been.
    ///
    /// # Errors
    /// What the kernel says: ENODEV when the device has gone.
    fn notify(&self, timeline: Handle, point: u64, event: BorrowedFd<'_>) -> io::Result<()>;

    /// Signals a point.
    ///
    /// # Errors
    /// What the kernel says: ENODEV when the device has gone.
    fn signal(&self, timeline: Handle, point: u64) -> io::Result<()>;
}

/// A DRM device.
struct Drm {
    name: String,
    file: OwnedFd,
}

impl fmt::Debug for Drm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl AsFd for Drm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl drm::Device for Drm {}
impl drm::control::Device for Drm {}

impl Device for Drm {
    fn import(&self, timeline: BorrowedFd<'_>) -> io::Result<Handle> {
        self.fd_to_syncobj(timeline, false)
    }

    fn close(&self, timeline: Handle) {
        if let Err(error) = self.destroy_syncobj(timeline) {
            // A device that was unplugged has dropped it already.
            debug!(?self, %error, "a timeline was not closed");
        }
    }

    fn notify(&self, timeline: Handle, point: u64, event: BorrowedFd<'_>) -> io::Result<()> {
        self.syncobj_eventfd(timeline, point, event, false)
    }

    fn signal(&self, timeline: Handle, point: u64) -> io::Result<()> {
        self.syncobj_timeline_signal(&[timeline], &[point])
    }
}

impl Drm {
    /// A timeline of our own, handed to ourselves as a client's is: the event must come when its point is signalled.
    fn works(&self) -> io::Result<()> {
        if self.get_driver_capability(DriverCapability::TimelineSyncObj)? != 1 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it has no timelines"));
        }
        let original = self.create_syncobj(false)?;
        let imported = self.syncobj_to_fd(original, false).and_then(|file| self.import(file.as_fd()));
        self.close(original);
        let imported = imported?;
        let seen = self.sees(imported);
        self.close(imported);
        seen
    }

    fn sees(&self, timeline: Handle) -> io::Result<()> {
        let event = event()?;
        self.notify(timeline, 1, event.as_fd())?;
        if has_come(&event) {
            return Err(io::Error::other("the event of a point came before the point"));
        }
        self.signal(timeline, 1)?;
        if has_come(&event) { Ok(()) } else { Err(io::Error::other("the event of a point did not come")) }
    }
}

/// An event that nobody waits for in reading it.
///
/// # Errors
/// EMFILE and ENFILE.
pub(super) fn event() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Whether an event has come; it is taken.
pub(super) fn has_come(event: &OwnedFd) -> bool {
    rustix::io::read(event, &mut [0; 8]).is_ok()
}

/// Devices that can do it, in this order: that of the display, those that render.
///
/// `display` is its name (see [`drm_nodes`]) and its open file, for when it has no node to render.
#[must_use]
pub fn find(display: Option<(&str, BorrowedFd<'_>)>) -> Vec<Box<dyn Device>> {
    let is_display = |name: &str| display.is_some_and(|(its, _)| its == name);
    let mut nodes = drm_nodes(&Root::default());
    nodes.sort_by_key(|node| !is_display(&node.name()));
    let mut found: Vec<Box<dyn Device>> = Vec::new();
    let mut try_out = |name: String, file: io::Result<OwnedFd>| {
        let device = match file {
            Ok(file) => Drm { name, file },
            Err(error) => return debug!(name, %error, "cannot be opened for sync objects"),
        };
        match device.works() {
            Ok(()) => found.push(Box::new(device)),
            Err(error) => debug!(?device, %error, "no timelines of sync objects"),
        }
    };
    if let Some((name, file)) = display.filter(|(name, _)| !nodes.iter().any(|node| renders(node, name))) {
        try_out(name.to_owned(), file.try_clone_to_owned());
    }
    for node in nodes {
        if let Some(path) = &node.render {
            try_out(node.name(), open(path));
        }
    }
    if found.is_empty() && display.is_none() {
        debug!("no device here renders");
    }
    found
}

fn renders(node: &heapwright_alloc::devices::DrmNodes, name: &str) -> bool {
    node.name() == name && node.render.is_some()
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let file = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    file.map_err(|errno| {
        if errno == rustix::io::Errno::ACCESS {
            warn!(path = %path.display(), "may not be opened: explicit sync does without it");
        }
        errno.into()
    })
}
