//! Framebuffers for an output: of dma-bufs as they are, of shared memory where the display takes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use heapwright_alloc::{
    buffers::Wrapped,
    constraints::{Fourcc, Size},
    smithay::{FramebufferError, PrimeExporter, PrimeFramebuffer, dmabuf, framebuffer_of},
};
use smithay::{
    backend::{
        allocator::{Format, dmabuf::Dmabuf},
        drm::{
            DrmDeviceFd, Framebuffer,
            exporter::{ExportBuffer, ExportFramebuffer},
        },
    },
    reexports::{
        drm::control::framebuffer,
        wayland_server::{Resource as _, backend::ObjectId, protocol::wl_buffer::WlBuffer},
    },
};
use tracing::{debug, info};

use super::Refusal;
use crate::{
    backend::kms::cursor_plane::POINTER, client::ClientState, memory::Memory, own_buffers::OwnBuffers,
    stand_ins, video,
};

/// Questions whose answers are kept.
const ANSWERS: usize = 64;

/// For a picture's format and size: the heap that lends it, if the display takes what it lends.
type Answers = HashMap<(Fourcc, Size), Option<String>>;

/// Makes framebuffers for one output.
#[derive(Debug, Clone)]
pub struct ScreenExporter {
    memory: Memory,
    device: String,
    crtc: u32,
    /// Its planes convert luma and chroma as [`crate::video`] says.
    reads_video: bool,
    prime: PrimeExporter,
    known: Arc<Mutex<Known>>,
}

/// What clones of an exporter share.
#[derive(Debug)]
struct Known {
    /// The largest picture that is likely to be shown.
    screen: Size,
    answers: Answers,
    /// The framebuffers of each buffer that still are.
    made: HashMap<ObjectId, Vec<Weak<Made>>>,
}

impl ScreenExporter {
    /// For a CRTC of a device that `memory` knows by this name, whose mode is of `screen` pixels.
    /// `reads_video`: its planes convert luma and chroma as [`crate::video`] says.
    #[must_use]
    pub fn new(memory: Memory, device: &str, crtc: u32, screen: Size, reads_video: bool) -> Self {
        let (device, prime) = (device.to_owned(), PrimeExporter);
        let known = Arc::new(Mutex::new(Known { screen, answers: Answers::new(), made: HashMap::new() }));
        ScreenExporter { memory, device, crtc, reads_video, prime, known }
    }

    /// The output has another mode.
    pub fn set_screen(&self, screen: Size) {
        self.known().screen = screen;
    }

    // Nothing panics while it holds the lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The heap through which the display can read such a picture, where it can. Asked at the size of the screen, so that
    /// a window that is being resized is not tried at each of its sizes.
    fn heap_for(&self, picture: &Wrapped) -> Option<String> {
        let screen = self.known().screen;
        let size = Size::new(picture.size.width.max(screen.width), picture.size.height.max(screen.height));
        let question = (picture.format, size);
        if let Some(known) = self.known().answers.get(&question) {
            return known.clone();
        }
        let answer = self.memory.lends(size, picture.format, &self.device, self.crtc);
        match &answer {
            Ok(heap) => info!(format = %picture.format, %size, heap, "wl_shm is read by the display"),
            Err(why) => info!(format = %picture.format, %size, why, "wl_shm is composed"),
        }
        let mut known = self.known();
        if known.answers.len() >= ANSWERS {
            known.answers.clear();
        }
        known.answers.insert(question, answer.clone().ok());
        answer.ok()
    }

    fn lent(
        &self,
        drm: &DrmDeviceFd,
        buffer: &WlBuffer,
        opaque: bool,
    ) -> Result<Option<PrimeFramebuffer>, FramebufferError> {
        let client = buffer.client();
        let Some(state) = client.as_ref().and_then(|client| client.get_data::<ClientState>()) else {
            return Ok(None);
        };
        let write_back = !self.memory.sees_caches(&self.device);
        let lent = state.shared_memory.lend(&buffer.id(), write_back, |file, picture| {
            let heap = self.heap_for(picture)?;
            let wrapped = self.memory.wrap(&heap, file, picture);
            wrapped.inspect_err(|error| debug!(%error, "a buffer of shared memory is not lent")).ok()
        });
        let Ok(lent) = lent else { return Ok(None) };
        match dmabuf(&lent) {
            Ok(dmabuf) => framebuffer_of(drm, &dmabuf, opaque).map(Some),
            Err(error) => {
                debug!(%error, "a buffer of shared memory is not lent");
                Ok(None)
            }
        }
    }

    /// Whether a buffer may be lent; `None` if it is no shared memory.
    fn can_lend(&self, buffer: &WlBuffer) -> Option<Result<(), Refusal>> {
        let client = buffer.client();
        let state = client.as_ref().and_then(|client| client.get_data::<ClientState>());
        let picture = state.and_then(|state| state.shared_memory.picture(&buffer.id()))?;
        Some(picture.and_then(|picture| match self.heap_for(&picture) {
            Some(_) => Ok(()),
            None => Err(Refusal::Display),
        }))
    }

    /// The framebuffers of a client's buffer, if it may be on a plane now.
    #[must_use]
    pub fn framebuffers(&self, buffer: &WlBuffer) -> Vec<ScreenFramebuffer> {
        if self.can_lend(buffer).is_some_and(|can| can.is_err()) {
            return Vec::new();
        }
        self.framebuffers_made(&buffer.id())
    }

    /// The framebuffers of a client's buffer, which may be gone.
    #[must_use]
    pub fn framebuffers_made(&self, buffer: &ObjectId) -> Vec<ScreenFramebuffer> {
        let known = self.known();
        let made = known.made.get(buffer).into_iter().flatten();
        made.filter_map(Weak::upgrade).map(ScreenFramebuffer).collect()
    }

    fn remember(&self, buffer: &WlBuffer, framebuffer: &ScreenFramebuffer) {
        let mut known = self.known();
        for made in known.made.values_mut() {
            made.retain(|made| made.strong_count() > 0);
        }
        known.made.retain(|_, made| !made.is_empty());
        known.made.entry(buffer.id()).or_default().push(Arc::downgrade(&framebuffer.0));
    }

    /// Why a buffer in shared memory is not lent to this output's display, where it is not.
    #[must_use]
    pub fn refusal(&self, buffer: &WlBuffer) -> Option<Refusal> {
        self.can_lend(buffer)?.err()
    }
}

/// A framebuffer, with the pair of format and modifier by which a plane is found for it. Clones are of one framebuffer.
#[derive(Debug, Clone)]
pub struct ScreenFramebuffer(Arc<Made>);

#[derive(Debug)]
struct Made {
    framebuffer: PrimeFramebuffer,
    pair: Format,
}

impl ScreenFramebuffer {
    fn new(framebuffer: PrimeFramebuffer, of_pointer: bool) -> Self {
        let pair = if of_pointer { POINTER } else { framebuffer.format() };
        ScreenFramebuffer(Arc::new(Made { framebuffer, pair }))
    }
}

impl AsRef<framebuffer::Handle> for ScreenFramebuffer {
    fn as_ref(&self) -> &framebuffer::Handle {
        self.0.framebuffer.as_ref()
    }
}

impl Framebuffer for ScreenFramebuffer {
    fn format(&self) -> Format {
        self.0.pair
    }
}

impl ExportFramebuffer<Dmabuf> for ScreenExporter {
    type Framebuffer = ScreenFramebuffer;
    type Error = FramebufferError;

    fn add_framebuffer(
        &self,
        drm: &DrmDeviceFd,
        buffer: ExportBuffer<'_, Dmabuf>,
        use_opaque: bool,
    ) -> Result<Option<ScreenFramebuffer>, FramebufferError> {
        let ExportBuffer::Wayland(given) = buffer else {
            let made = self.prime.add_framebuffer(drm, buffer, use_opaque)?;
            return Ok(made.map(|framebuffer| ScreenFramebuffer::new(framebuffer, false)));
        };
        let original = stand_ins::original(given);
        let buffer = original.as_ref().unwrap_or(given);
        let export = ExportBuffer::Wayland(buffer);
        let made = match self.prime.can_add_framebuffer(&export) {
            true => self.prime.add_framebuffer(drm, export, use_opaque)?,
            false => self.lent(drm, buffer, use_opaque)?,
        };
        let made = made.map(|framebuffer| ScreenFramebuffer::new(framebuffer, OwnBuffers::made(buffer)));
        if let Some(framebuffer) = &made {
            self.remember(buffer, framebuffer);
        }
        Ok(made)
    }

    fn can_add_framebuffer(&self, buffer: &ExportBuffer<'_, Dmabuf>) -> bool {
        let ExportBuffer::Wayland(given) = buffer else { return self.prime.can_add_framebuffer(buffer) };
        let original = stand_ins::original(given);
        let buffer = original.as_ref().unwrap_or(given);
        // A plane whose conversion is not known shows other colours than the renderer.
        if !self.reads_video && video::dmabuf_of(buffer).is_some() {
            return false;
        }
        self.prime.can_add_framebuffer(&ExportBuffer::Wayland(buffer))
            || self.can_lend(buffer).is_some_and(|can| can.is_ok())
    }
}
