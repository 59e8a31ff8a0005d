//! Timelines of memory: a memfd is one, known by its inode as a sync object is by its file.

use std::{
    collections::HashMap,
    io,
    num::NonZeroU32,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use heapwright::explicit_sync::device::Device;
use rustix::io::Errno;
use smithay::reexports::drm::control::syncobj::Handle;

#[derive(Debug, Default)]
struct Line {
    signalled: u64,
    /// Each point that the compositor signalled, in turn.
    signals: Vec<u64>,
    events: Vec<(u64, OwnedFd)>,
    /// Its client has it no more: a device may signal it yet, but it lives for as long as a compositor has it.
    given_up: bool,
}

impl Line {
    fn move_to(&mut self, point: u64) {
        self.signalled = self.signalled.max(point);
        let signalled = self.signalled;
        self.events.retain(|(at, event)| {
            if *at <= signalled {
                rustix::io::write(event, &1_u64.to_ne_bytes()).unwrap();
            }
            *at > signalled
        });
    }
}

/// All timelines there are, by their inodes.
#[derive(Debug, Default, Clone)]
pub struct World(Arc<Mutex<HashMap<u64, Line>>>);

/// A timeline as its client has it.
#[derive(Debug)]
pub struct Timeline {
    world: World,
    pub file: OwnedFd,
    inode: u64,
}

impl World {
    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Line>> {
        self.0.lock().unwrap()
    }

    pub fn timeline(&self) -> Timeline {
        let file = rustix::fs::memfd_create(c"timeline", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let inode = rustix::fs::fstat(&file).unwrap().st_ino;
        self.lines().insert(inode, Line::default());
        Timeline { world: self.clone(), file, inode }
    }
}

impl Timeline {
    /// The client's own work has come so far.
    pub fn reach(&self, point: u64) {
        self.world.lines().get_mut(&self.inode).unwrap().move_to(point);
    }

    /// The client closes it while its own work goes on.
    pub fn give_up(&self) {
        self.world.lines().get_mut(&self.inode).unwrap().given_up = true;
    }

    /// The points that the compositor has signalled.
    pub fn signals(&self) -> Vec<u64> {
        self.world.lines()[&self.inode].signals.clone()
    }
}

/// A device that knows them.
#[derive(Debug, Default, Clone)]
pub struct Fake {
    world: World,
    open: Arc<Mutex<HashMap<NonZeroU32, u64>>>,
    gone: Arc<AtomicBool>,
}

impl Fake {
    pub fn of(world: &World) -> Self {
        Fake { world: world.clone(), ..Fake::default() }
    }

    /// It is unplugged.
    pub fn unplug(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Timelines that are not closed.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    fn with<T>(&self, handle: Handle, act: impl FnOnce(&mut Line) -> T) -> io::Result<T> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Errno::NODEV.into());
        }
        let inode = *self.open.lock().unwrap().get(&NonZeroU32::from(handle)).unwrap();
        Ok(act(self.world.lines().get_mut(&inode).unwrap()))
    }
}

impl Device for Fake {
    fn import(&self, timeline: BorrowedFd<'_>) -> io::Result<Handle> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Errno::NODEV.into());
        }
        let inode = rustix::fs::fstat(timeline)?.st_ino;
        if !self.world.lines().contains_key(&inode) {
            return Err(Errno::INVAL.into());
        }
        let mut open = self.open.lock().unwrap();
        let handle = (1..).filter_map(NonZeroU32::new).find(|handle| !open.contains_key(handle)).unwrap();
        open.insert(handle, inode);
        Ok(handle.into())
    }

    fn close(&self, timeline: Handle) {
        let mut open = self.open.lock().unwrap();
        let inode = open.remove(&NonZeroU32::from(timeline)).unwrap();
        // As the kernel does with a sync object that nobody has any more.
        let had_by_nobody = !open.values().any(|other| *other == inode);
        if let Some(line) = self.world.lines().get_mut(&inode).filter(|line| had_by_nobody && line.given_up) {
            line.events.clear();
        }
    }

    fn notify(&self, timeline: Handle, point: u64, event: BorrowedFd<'_>) -> io::Result<()> {
        let event = event.try_clone_to_owned()?;
        self.with(timeline, |line| {
            line.events.push((point, event));
            line.move_to(0);
        })
    }

    fn signal(&self, timeline: Handle, point: u64) -> io::Result<()> {
        self.with(timeline, |line| {
            line.signals.push(point);
            line.move_to(point);
        })
    }
}

impl AsFd for Timeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
