//! Every buffer of our own and of clients: where it lies and why.
//!
//! The one place where the compositor asks for memory: it states who will touch a buffer, and the allocator decides.

mod advice;
mod canvas;
mod report;
mod screen;

pub use canvas::{Canvas, CanvasError};
pub use report::{Record, Report};
pub use screen::{ScreenAllocator, ScreenError};

use std::{
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use heapwright_alloc::{
    buffers::{
        Allocated, Allocator, AllocatorError, Buffer, BufferError, BufferPool, Limit, Owner, PoolLimits,
        PooledBuffer, Want, Wrapped,
    },
    constraints::{Fourcc, Modifier, Size},
    devices::{DeviceError, KmsDevice},
    feedback::{Target, scanout_tranche, tranche},
    heaps::{self, HeapList, Root},
    links::{LinkStore, Trust, quirks::Stacking},
    solver::{
        Answer,
        problem::{Match, OptionSpec, Participant, Role},
    },
};
use tracing::{debug, info};

use crate::{descriptors::share, quirks};

/// Where memory comes from, and what was taken. Clones share one state.
#[derive(Debug, Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Written to when a display comes or goes only: an allocation that takes its time must not hold up the others.
    allocator: RwLock<Allocator>,
    /// What clients get.
    pool: BufferPool,
    /// Most buffers in it.
    most: u64,
    report: Mutex<Report>,
}

/// All clients together may hold this part of the descriptors that the process can open, each buffer one.
const SHARE: u64 = 4;
/// Bounds of the share.
const SHARE_BOUNDS: (u64, u64) = (128, 1 << 16);

/// Buffers that one client may hold of what it got from us: some eight windows, each with a queue of them.
pub const CLIENT_BUFFERS: u32 = 128;
/// Bytes that one client may hold of what it got from us: thirty pictures of 3840x2160.
pub const CLIENT_BYTES: u64 = 1 << 30;

/// Why a client gets nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoBuffers {
    /// More would take descriptors that others need.
    #[error("all clients together hold as many buffers as there may be: ask again later")]
    Crowded,
    /// There is no answer, or no memory.
    #[error(transparent)]
    Allocator(#[from] AllocatorError),
}

/// A plane of a display, as the question for memory needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaneOf<'a> {
    /// The device, as [`Memory::use_display`] named it.
    pub device: &'a str,
    /// The kernel's id of the CRTC.
    pub crtc: u32,
    /// The kernel's id of the plane.
    pub plane: u32,
}

/// A participant that takes LINEAR buffers of some formats.
#[must_use]
pub fn linear(name: &str, role: Role, formats: impl IntoIterator<Item = Fourcc>) -> Participant {
    let options = formats.into_iter().map(|format| OptionSpec {
        format: Match::Is(format),
        modifier: Match::Is(Modifier::LINEAR),
        ..OptionSpec::default()
    });
    Participant { name: name.to_owned(), role, options: Some(options.collect()), ..Participant::default() }
}

/// A participant that takes the pairs of a list.
#[must_use]
pub fn takes(name: &str, role: Role, pairs: &[(Fourcc, Modifier)]) -> Participant {
    let options = pairs.iter().map(|(format, modifier)| OptionSpec {
        format: Match::Is(*format),
        modifier: Match::Is(*modifier),
        ..OptionSpec::default()
    });
    Participant { name: name.to_owned(), role, options: Some(options.collect()), ..Participant::default() }
}

/// One that knows the quirks of drivers, and what earlier runs have found out.
fn allocator(heaps: HeapList) -> Allocator {
    let allocator = Allocator::new(heaps).with_quirks(quirks::table());
    match LinkStore::usual_path() {
        Some(path) => allocator.with_store(LinkStore::open(&path, Trust::Tested)),
        None => allocator,
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Memory {
    /// Lists the heaps of this machine.
    #[must_use]
    pub fn new() -> Self {
        let heaps = heaps::list(&Root::default());
        for heap in &heaps.heaps {
            let facts = heap.facts();
            info!(heap = %heap.id(), names = ?facts.names, contiguous = facts.contiguous, "heap");
        }
        for problem in &heaps.problems {
            info!(path = %problem.path.display(), error = %problem.error, "heap that cannot be used");
        }
        let allocator = allocator(heaps);
        let pool = allocator.pool(PoolLimits {
            owner: Limit::of(CLIENT_BUFFERS.into(), CLIENT_BYTES),
            ..PoolLimits::default()
        });
        let (allocator, report) = (RwLock::new(allocator), Mutex::default());
        let most = share(SHARE, SHARE_BOUNDS.0, SHARE_BOUNDS.1);
        Memory { shared: Arc::new(Shared { allocator, pool, most, report }) }
    }

    // Nothing panics while it holds a lock.

    fn allocator(&self) -> RwLockReadGuard<'_, Allocator> {
        self.shared.allocator.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn allocator_mut(&self) -> RwLockWriteGuard<'_, Allocator> {
        self.shared.allocator.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> MutexGuard<'_, Report> {
        self.shared.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any heap makes memory that devices and other processes can import.
    #[must_use]
    pub fn makes_dma_bufs(&self) -> bool {
        self.allocator().heaps().heaps.iter().any(|heap| heap.makes_dma_bufs())
    }

    /// Takes a display into account, and its dumb buffers as a heap. Returns its name.
    ///
    /// # Errors
    /// [`DeviceError`] when it is no KMS device.
    pub fn use_display(&self, fd: impl AsFd) -> Result<String, DeviceError> {
        let device = Arc::new(KmsDevice::from_fd(fd)?);
        let name = device.name().to_owned();
        self.allocator_mut().with_device(device);
        Ok(name)
    }

    /// How a display's planes lie above each other, where its driver does not say but the quirk table does.
    #[must_use]
    pub fn stacking(&self, device: &str) -> Option<Stacking> {
        let allocator = self.allocator();
        let known = allocator.devices().iter().find(|known| known.name() == device)?;
        allocator.quirks_of(known).iter().find_map(|rule| rule.stacking)
    }

    /// A display has gone, and its dumb buffers with it.
    pub fn forget_display(&self, name: &str) {
        if self.allocator_mut().without_device(name).is_none() {
            debug!(name, "a display that was not known has gone");
        }
    }

    /// Allocates one buffer that all required `participants` can use.
    ///
    /// # Errors
    /// [`AllocatorError`] says what stood in the way, heap by heap.
    pub fn allocate(
        &self,
        name: &str,
        size: Size,
        participants: Vec<Participant>,
        dma_buf_only: bool,
    ) -> Result<Buffer, AllocatorError> {
        let want = Want { size, participants, count: 1, name, dma_buf_only, ..Want::default() };
        let mut buffers = self.allocate_several(&want)?;
        buffers.pop().ok_or(AllocatorError::TooMany(0))
    }

    /// As [`Memory::allocate`], as many as are wanted at once, or none.
    ///
    /// # Errors
    /// As [`Memory::allocate`].
    pub fn allocate_several(&self, want: &Want<'_>) -> Result<Vec<Buffer>, AllocatorError> {
        let allocator = self.allocator();
        let allocated = allocator.allocate(want)?;
        let Want { name, size, count, .. } = *want;
        debug!(name, %size, count, heap = allocated.resolution.heap, "allocated");
        let heap = allocator.heaps().get(&allocated.resolution.heap);
        let names = heap.map_or_else(Vec::new, |heap| heap.facts().names);
        for _ in &allocated.buffers {
            self.records().ours(name, size, &allocated, names.clone());
        }
        Ok(allocated.buffers)
    }

    /// The pairs of `renderer` for which there is memory that a client's CPU can write and the renderer can read.
    #[must_use]
    pub fn sampled(&self, size: Size, renderer: &[(Fourcc, Modifier)]) -> Vec<(Fourcc, Modifier)> {
        let allocator = self.allocator();
        let want = question(&allocator, size, renderer, None);
        let target = Target { participant: "renderer".to_owned(), device: 0, scanout: false };
        tranche(&allocator.problem(&want), &target).pairs()
    }

    /// The pairs that a plane takes too, at `size`: memory for them has been tried on the device.
    #[must_use]
    pub fn scanned_out(
        &self,
        size: Size,
        renderer: &[(Fourcc, Modifier)],
        plane: PlaneOf<'_>,
    ) -> Vec<(Fourcc, Modifier)> {
        let allocator = self.allocator();
        let device = allocator.devices().iter().find(|device| device.name() == plane.device);
        let Some(device) = device else { return Vec::new() };
        let display = Participant { required: true, ..device.participant(plane.crtc, "display") };
        let want = question(&allocator, size, renderer, Some(display));
        let (problem, _) = allocator.resolve(&want);
        let target = Target { participant: "display".to_owned(), device: 0, scanout: true };
        scanout_tranche(&problem, &target, &format!("plane-{}", plane.plane)).pairs()
    }

    /// A plane as a participant: optional, since without it the picture is copied.
    #[must_use]
    pub fn plane(&self, plane: PlaneOf<'_>, name: &str) -> Option<Participant> {
        let allocator = self.allocator();
        let device = allocator.devices().iter().find(|device| device.name() == plane.device)?;
        let of_plane = device.planes().iter().filter(|known| known.id == plane.plane);
        Some(device.participant_of(of_plane, name))
    }

    /// What a device is called in answers and links, known or not.
    #[must_use]
    pub fn device_name(&self, device: u64) -> String {
        let allocator = self.allocator();
        let known = allocator.devices().iter().find(|known| known.dev() == device);
        known.map_or_else(
            || format!("drm:{}:{}", rustix::fs::major(device), rustix::fs::minor(device)),
            |known| known.name().to_owned(),
        )
    }

    /// Allocates buffers for a client.
    ///
    /// # Errors
    /// [`NoBuffers`]; nothing stays allocated then.
    pub fn allocate_for(&self, want: &Want<'_>, client: Owner) -> Result<Allocated<PooledBuffer>, NoBuffers> {
        if self.is_crowded(want.most()) {
            return Err(NoBuffers::Crowded);
        }
        let allocator = self.allocator();
        let allocated = allocator.allocate_pooled(want, &self.shared.pool, client)?;
        let heap = allocator.heaps().get(&allocated.resolution.heap);
        let names = heap.map_or_else(Vec::new, |heap| heap.facts().names);
        for _ in &allocated.buffers {
            self.records().ours(want.name, want.size, &allocated, names.clone());
        }
        Ok(allocated)
    }

    /// Whether so many buffers more would take descriptors that others need.
    #[must_use]
    pub fn is_crowded(&self, count: u32) -> bool {
        self.shared.pool.idle().count + u64::from(count) > self.shared.most
    }

    /// What [`Memory::allocate_for`] would answer now. Allocates nothing that stays.
    #[must_use]
    pub fn foresee(&self, want: &Want<'_>) -> Answer {
        self.allocator().foresee(want)
    }

    /// A client has gone, with all that it held.
    pub fn forget(&self, client: Owner) {
        self.shared.pool.forget(client);
    }

    /// It is `now`, in a time that only rises: frees what has been idle for long, tries again what was dry. Whether there
    /// is any need to be told again.
    #[must_use]
    pub fn tick(&self, now: Duration) -> bool {
        let allocator = self.allocator();
        allocator.tick(now);
        self.shared.pool.trim(now);
        self.shared.pool.idle().count > 0 || !allocator.shortages().is_empty()
    }

    /// The heap through which a display reads pictures that clients keep in sealed memfds, of this format and size; or why
    /// it cannot.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn lends(&self, size: Size, format: Fourcc, device: &str, crtc: u32) -> Result<String, String> {
        let allocator = self.allocator();
        let known = allocator.devices().iter().find(|known| known.name() == device);
        let known = known.ok_or_else(|| format!("no display is called {device}"))?;
        let display = Participant { required: true, ..known.participant(crtc, "display") };
        match allocator.resolve_wrapped(size, format, vec![display]) {
            Answer::Solved(resolution) => Ok(resolution.heap),
            answer => Err(answer.in_words()),
        }
    }

    /// Lends a picture in a client's memfd to devices, through a heap that [`Memory::lends`] has named.
    ///
    /// # Errors
    /// As [`Allocator::wrap`].
    pub fn wrap(&self, heap: &str, memfd: impl AsFd, picture: &Wrapped) -> Result<Buffer, BufferError> {
        self.allocator().wrap(heap, memfd, picture)
    }

    /// Whether a device sees what the CPU has written and not yet put in memory.
    #[must_use]
    pub fn sees_caches(&self, device: &str) -> bool {
        if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
            return true;
        }
        let allocator = self.allocator();
        let known = allocator.devices().iter().find(|known| known.name() == device);
        let tree = known.and_then(|known| known.hardware()?.devicetree.as_ref());
        tree.and_then(|tree| tree.coherent) == Some(true)
    }

    /// Takes note of a client's buffer.
    pub fn client_buffer(&self, record: Record) {
        self.records().add(record);
    }

    /// Keeps what was found out about displays and heaps for the next run.
    pub fn save_links(&self) {
        if let Err(error) = self.allocator_mut().save_links() {
            debug!(%error, "what was found out is not kept");
        }
    }

    /// What was allocated so far, and why.
    #[must_use]
    pub fn report(&self) -> Report {
        self.records().clone()
    }
}

/// A buffer that a client allocates by itself, seen from all sides.
fn question(
    allocator: &Allocator,
    size: Size,
    renderer: &[(Fourcc, Modifier)],
    display: Option<Participant>,
) -> Want<'static> {
    let heaps = allocator.heaps().heaps.iter().filter(|heap| heap.of_device().is_none());
    let mut client = takes("client", Role::Cpu, renderer);
    client.memory.permitted_heaps = Some(heaps.map(|heap| heap.id().as_str().to_owned()).collect());
    let mut participants = vec![client, takes("renderer", Role::Sample, renderer)];
    participants.extend(display);
    Want { size, participants, count: 1, name: "feedback", dma_buf_only: true, ..Want::default() }
}
