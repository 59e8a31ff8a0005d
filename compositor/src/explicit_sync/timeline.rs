//! A client's timelines, and points of them.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::io::Errno;
use smithay::reexports::drm::control::syncobj::Handle;
use tracing::debug;

use super::device::Device;
use crate::descriptors::share;

/// A client may hold this part of the descriptors that the process can open, for timelines and for commits that wait.
const SHARE: u64 = 8;
/// Bounds of the share: enough for one window's buffers on any system, and never an unreasonable number.
const LEAST: u64 = 32;
/// See [`LEAST`].
const MOST: u64 = 1024;

/// What a client holds of its share of descriptors, as part of its state.
#[derive(Debug)]
pub struct Held {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Held {
    fn default() -> Self {
        Held {
            count: Arc::default(),
            limit: usize::try_from(share(SHARE, LEAST, MOST)).unwrap_or(usize::MAX),
        }
    }
}

impl Held {
    /// One more; nothing when the client has had its share.
    #[must_use]
    pub fn take(&self) -> Option<Hold> {
        if self.count() >= self.limit {
            return None;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Hold(Arc::clone(&self.count)))
    }

    /// What is held now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Most that may be held.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}

/// One descriptor of a client's share; given back when dropped.
#[derive(Debug)]
pub struct Hold(Arc<AtomicUsize>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Devices that can do the same: when one has gone, the next is asked.
#[derive(Debug)]
pub struct Devices(Vec<Box<dyn Device>>);

impl Devices {
    /// The first is asked before the others.
    #[must_use]
    pub fn new(devices: Vec<Box<dyn Device>>) -> Self {
        Devices(devices)
    }

    /// Imports a timeline into the first device, from this one on, that has not gone.
    fn import(&self, file: &OwnedFd, from: usize) -> io::Result<Imported> {
        let mut gone = io::Error::from(Errno::NODEV);
        for (device, it) in self.0.iter().enumerate().skip(from) {
            match it.import(file.as_fd()) {
                Ok(handle) => return Ok(Imported { device, handle }),
                Err(error) if is_gone(&error) => gone = error,
                Err(error) => return Err(error),
            }
        }
        Err(gone)
    }
}

fn is_gone(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NODEV)
}

#[derive(Debug, Clone, Copy)]
struct Imported {
    /// Its place among the devices.
    device: usize,
    handle: Handle,
}

/// A client's timeline. What was imported is closed with the last point of it.
#[derive(Debug)]
pub struct Timeline {
    devices: Arc<Devices>,
    /// To be imported elsewhere when the device goes.
    file: OwnedFd,
    imported: Mutex<Imported>,
    _hold: Hold,
}

impl Timeline {
    /// Imports a timeline.
    ///
    /// # Errors
    /// EINVAL when the file is no sync object, ENODEV when there is no device any more.
    pub fn import(devices: &Arc<Devices>, file: OwnedFd, hold: Hold) -> io::Result<Self> {
        let imported = devices.import(&file, 0)?;
        Ok(Timeline { devices: Arc::clone(devices), file, imported: Mutex::new(imported), _hold: hold })
    }

    fn imported(&self) -> MutexGuard<'_, Imported> {
        // Nothing panics while it holds the lock.
        self.imported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_device<T>(&self, ask: impl Fn(&dyn Device, Handle) -> io::Result<T>) -> io::Result<T> {
        let mut imported = self.imported();
        loop {
            let Some(device) = self.devices.0.get(imported.device) else { return Err(Errno::NODEV.into()) };
            match ask(&**device, imported.handle) {
                Err(error) if is_gone(&error) => {
                    let next = self.devices.import(&self.file, imported.device + 1)?;
                    debug!(?device, "has gone: another device signals for it");
                    device.close(imported.handle);
                    *imported = next;
                }
                answer => return answer,
            }
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        let Imported { device, handle } = *self.imported();
        if let Some(device) = self.devices.0.get(device) {
            device.close(handle);
        }
    }
}

/// A point of a timeline.
#[derive(Debug, Clone)]
pub struct Point {
    /// Its timeline.
    pub timeline: Arc<Timeline>,
    /// Its number.
    pub value: u64,
}

impl Point {
    /// Whether both are of one timeline, as far as can be told: of two files the kernel does not say that they are one.
    #[must_use]
    pub fn is_of_same_timeline(&self, other: &Point) -> bool {
        Arc::ptr_eq(&self.timeline, &other.timeline)
    }

    /// Signals it.
    ///
    /// # Errors
    /// What the last device said that there was.
    pub fn signal(&self) -> io::Result<()> {
        self.timeline.on_device(|device, handle| device.signal(handle, self.value))
    }

    /// Has `event` become readable when it is signalled; at once if it has been.
    ///
    /// # Errors
    /// What the last device said that there was.
    pub fn notify(&self, event: &OwnedFd) -> io::Result<()> {
        self.timeline.on_device(|device, handle| device.notify(handle, self.value, event.as_fd()))
    }
}
