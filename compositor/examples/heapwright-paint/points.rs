//! Explicit sync: a point of a timeline says when a frame may be read, another one when it has been. A timeline for each
//! buffer, as a GPU's driver has it; the CPU has painted before it commits, and pretends to be as late as it is told to.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::event::{EventfdFlags, eventfd};
use smithay::reexports::drm::{
    self, Device as _, DriverCapability,
    control::{Device as _, syncobj::Handle},
};
use wayland_client::{
    Proxy as _, QueueHandle,
    backend::ObjectId,
    protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
};
use wayland_protocols::wp::linux_drm_syncobj::v1::client::{
    wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1,
    wp_linux_drm_syncobj_surface_v1::WpLinuxDrmSyncobjSurfaceV1,
    wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1,
};

use crate::client::Client;

/// A device that has timelines: any will do, since sync objects belong to none.
#[derive(Debug)]
struct Node(OwnedFd);

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

impl Node {
    fn find() -> io::Result<Self> {
        for entry in std::fs::read_dir("/dev/dri")?.flatten() {
            let Ok(file) = std::fs::File::options().read(true).write(true).open(entry.path()) else {
                continue;
            };
            let node = Node(file.into());
            if node.get_driver_capability(DriverCapability::TimelineSyncObj).is_ok_and(|has| has == 1) {
                return Ok(node);
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "no device here has timelines"))
    }
}

/// A buffer's timeline.
struct Timeline {
    handle: Handle,
    object: WpLinuxDrmSyncobjTimelineV1,
    /// The last point used.
    at: u64,
}

/// The points of a window's frames.
pub struct Points {
    node: Arc<Node>,
    manager: WpLinuxDrmSyncobjManagerV1,
    surface: WpLinuxDrmSyncobjSurfaceV1,
    late: Duration,
    timelines: HashMap<ObjectId, Timeline>,
    acquired: Arc<Mutex<HashSet<u64>>>,
}

/// A release point to come.
pub struct Release {
    /// Becomes readable with it.
    pub event: OwnedFd,
    /// Of this buffer.
    pub buffer: WlBuffer,
}

/// Frames that may be read.
#[derive(Debug, Default, Clone)]
pub struct Acquired(Arc<Mutex<HashSet<u64>>>);

impl Acquired {
    /// Whether this commit's frame may be read.
    pub fn has(&self, commit: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&commit)
    }
}

impl Points {
    /// For one surface; each frame may be read so long after its commit.
    pub fn new(
        manager: WpLinuxDrmSyncobjManagerV1,
        surface: &WlSurface,
        handle: &QueueHandle<Client>,
        late: Duration,
    ) -> io::Result<Self> {
        Ok(Points {
            node: Arc::new(Node::find()?),
            surface: manager.get_surface(surface, handle, ()),
            manager,
            late,
            timelines: HashMap::new(),
            acquired: Arc::default(),
        })
    }

    /// What may be read, as it goes.
    pub fn acquired(&self) -> Acquired {
        Acquired(Arc::clone(&self.acquired))
    }

    /// Sets the points of the next commit, of this number and buffer. Its frame may be read once the answer is dropped.
    pub fn set(
        &mut self,
        buffer: &WlBuffer,
        commit: u64,
        handle: &QueueHandle<Client>,
    ) -> io::Result<(Release, Late)> {
        let node = &self.node;
        if !self.timelines.contains_key(&buffer.id()) {
            let syncobj = node.create_syncobj(false)?;
            let file = node.syncobj_to_fd(syncobj, false)?;
            let object = self.manager.import_timeline(file.as_fd(), handle, ());
            self.timelines.insert(buffer.id(), Timeline { handle: syncobj, object, at: 0 });
        }
        let Some(timeline) = self.timelines.get_mut(&buffer.id()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let (acquire, release) = (timeline.at + 1, timeline.at + 2);
        timeline.at = release;
        let halves = |point: u64| ((point >> 32) as u32, point as u32);
        let (high, low) = halves(acquire);
        self.surface.set_acquire_point(&timeline.object, high, low);
        let (high, low) = halves(release);
        self.surface.set_release_point(&timeline.object, high, low);
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        node.syncobj_eventfd(timeline.handle, release, event.as_fd(), false)?;
        let late = Late {
            node: Arc::clone(node),
            timeline: timeline.handle,
            point: acquire,
            commit,
            late: self.late,
            acquired: Arc::clone(&self.acquired),
        };
        Ok((Release { event, buffer: buffer.clone() }, late))
    }
}

/// An acquire point to be signalled.
pub struct Late {
    node: Arc<Node>,
    timeline: Handle,
    point: u64,
    commit: u64,
    late: Duration,
    acquired: Arc<Mutex<HashSet<u64>>>,
}

impl Late {
    /// Signals it when its time has come.
    pub fn signal(self) {
        let Late { node, timeline, point, commit, late, acquired } = self;
        thread::spawn(move || {
            thread::sleep(late);
            // Noted before: from then on it may be seen.
            acquired.lock().unwrap_or_else(PoisonError::into_inner).insert(commit);
            // The end of the program is the end of the timeline.
            let _ = node.syncobj_timeline_signal(&[timeline], &[point]);
        });
    }
}
