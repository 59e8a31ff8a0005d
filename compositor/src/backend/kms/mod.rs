//! The displays of one KMS device, opened through the seat.
//!
//! Every frame goes to Smithay's `DrmCompositor`, with our own memory for what is composed and our own framebuffers
//! for what clients drew: a client's buffer that covers the screen is scanned out as it is.

pub(crate) mod cursor_plane;
mod error;
mod find;
mod frame;
mod head;
mod light;
mod planes;

pub use error::KmsError;

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
};

use smithay::{
    backend::{
        drm::{DrmDevice, DrmEvent},
        libinput::{LibinputInputBackend, LibinputSessionInterface},
        renderer::pixman::PixmanRenderer,
        session::{Event as SessionEvent, Session as _, libseat::LibSeatSession},
    },
    output::Output,
    reexports::{
        calloop::{EventLoop, LoopHandle},
        drm::control::crtc,
        input::{DeviceCapability, Libinput},
    },
};
use tracing::{debug, error, info, warn};

use self::{
    error::loop_error,
    find::{find, open},
    frame::{draw, shown},
    head::Head,
    light::light_all,
};
use super::{Backend, mode::WantedMode};
use crate::{
    feedback::{Source, USUAL, renderer_pairs},
    frames::Ring,
    memory::PlaneOf,
    own_buffers::OwnBuffers,
    state::Heapwright,
};

/// One KMS device and its outputs.
#[derive(Debug)]
pub struct Kms {
    session: LibSeatSession,
    device: DrmDevice,
    /// What the allocator calls the device.
    name: String,
    renderer: PixmanRenderer,
    /// Without it, the pointer is composed.
    own: Option<OwnBuffers>,
    heads: HashMap<crtc::Handle, Head>,
}

impl Kms {
    /// Opens a seat and a device, lights every connected connector and attaches them to `state`.
    ///
    /// `wanted` names the device; without it, the first with a connected display is taken. A display that does not
    /// offer `mode` stays dark.
    ///
    /// # Errors
    /// [`KmsError`] says which step failed and what to do.
    pub fn attach(
        state: &mut Heapwright,
        events: &EventLoop<'static, Heapwright>,
        wanted: Option<&Path>,
        mode: Option<WantedMode>,
    ) -> Result<(), KmsError> {
        let (mut session, seat_events) = LibSeatSession::new().map_err(KmsError::Seat)?;
        let (path, fd) = match wanted {
            Some(path) => (path.to_owned(), open(&mut session, path)?),
            None => find(&mut session)?,
        };
        let not_kms = |source| KmsError::NotKms { path: path.clone(), source };
        let (device, vblanks) = DrmDevice::new(fd.clone(), true).map_err(not_kms)?;
        info!(device = %path.display(), atomic = device.is_atomic(), "display device");

        // After the device is ours: only its master may test what a plane takes.
        let name = state.memory.use_display(&fd)?;
        let own = OwnBuffers::new(&state.display, &state.events);
        let own = own.inspect_err(|error| warn!(%error, "no buffers of our own on planes")).ok();
        let kms = Kms {
            session: session.clone(),
            device,
            name,
            renderer: PixmanRenderer::new()?,
            own,
            heads: HashMap::new(),
        };
        state.backend = Backend::Kms(Box::new(kms));
        events
            .handle()
            .insert_source(vblanks, |event, metadata, state: &mut Heapwright| match event {
                DrmEvent::VBlank(crtc) => shown(state, crtc, metadata.take()),
                DrmEvent::Error(error) => error!(%error, "display device"),
            })
            .map_err(loop_error)?;

        let mut input =
            Libinput::new_with_udev::<LibinputSessionInterface<LibSeatSession>>(session.clone().into());
        if input.udev_assign_seat(&session.seat()).is_err() {
            warn!(seat = session.seat(), "libinput has no seat: no input devices");
        }
        events
            .handle()
            .insert_source(LibinputInputBackend::new(input.clone()), |event, (), state: &mut Heapwright| {
                if let smithay::backend::input::InputEvent::DeviceAdded { device } = &event {
                    info!(name = device.name(), "input device");
                    if device.has_capability(DeviceCapability::Keyboard) {
                        state.add_keyboard();
                    }
                    if device.has_capability(DeviceCapability::Pointer) {
                        state.add_pointer();
                    }
                }
                state.input(event);
            })
            .map_err(loop_error)?;
        events
            .handle()
            .insert_source(seat_events, move |event, (), state: &mut Heapwright| match event {
                SessionEvent::PauseSession => {
                    info!("seat paused");
                    input.suspend();
                    if let Backend::Kms(kms) = &mut state.backend {
                        kms.device.pause();
                    }
                }
                SessionEvent::ActivateSession => {
                    info!("seat active");
                    if input.resume().is_err() {
                        warn!("input devices did not come back");
                    }
                    if let Backend::Kms(kms) = &mut state.backend {
                        kms.resume(&state.events);
                    }
                }
            })
            .map_err(loop_error)?;

        light_all(state, &path, mode)
    }

    /// Queues a draw of every output that has none on its way.
    pub fn schedule_all(&mut self, events: &LoopHandle<'static, Heapwright>) {
        for (crtc, head) in &mut self.heads {
            if head.pace.changed() {
                let crtc = *crtc;
                events.insert_idle(move |state| draw(state, crtc));
            }
        }
    }

    /// The renderer.
    pub fn renderer(&mut self) -> &mut PixmanRenderer {
        &mut self.renderer
    }

    /// What the allocator calls the device, and its open file.
    #[must_use]
    pub fn node(&self) -> (&str, BorrowedFd<'_>) {
        (&self.name, self.device.device_fd().as_fd())
    }

    /// What composed surfaces can be made of.
    #[must_use]
    pub fn feedback_source(&self) -> Source {
        Source { device: self.device.device_id(), size: USUAL, formats: renderer_pairs(&self.renderer) }
    }

    /// Every output with its last frames.
    pub fn rings(&self) -> impl Iterator<Item = (&Output, &Ring)> {
        self.heads.values().map(|head| (&head.output, &head.ring))
    }

    /// The primary plane of `output`.
    #[must_use]
    pub fn primary_plane(&self, output: &Output) -> Option<PlaneOf<'_>> {
        let (crtc, head) = self.heads.iter().find(|(_, head)| head.output == *output)?;
        Some(PlaneOf {
            device: &self.name,
            crtc: u32::from(*crtc),
            plane: u32::from(head.compositor.plane()),
        })
    }

    /// A plane of `output` by the kernel's id.
    #[must_use]
    pub fn plane(&self, output: &Output, plane: u32) -> Option<PlaneOf<'_>> {
        Some(PlaneOf { plane, ..self.primary_plane(output)? })
    }

    /// The overlay planes of `output` by the kernel's ids, front to back.
    pub fn overlay_planes(&self, output: &Output) -> impl Iterator<Item = u32> {
        let head = self.heads.values().find(|head| head.output == *output);
        head.into_iter().flat_map(|head| head.overlays.iter().map(|overlay| u32::from(overlay.plane)))
    }

    /// Goes to another virtual terminal.
    pub fn change_terminal(&mut self, number: i32) {
        if let Err(error) = self.session.change_vt(number) {
            warn!(%error, number, "cannot change the virtual terminal");
        }
    }

    fn resume(&mut self, events: &LoopHandle<'static, Heapwright>) {
        if let Err(error) = self.device.activate(false) {
            error!(%error, "the display device did not come back");
            return;
        }
        for head in self.heads.values_mut() {
            // Another session has set its own state meanwhile.
            if let Err(error) = head.compositor.reset_state() {
                warn!(%error, "display state unknown");
            }
            planes::set_colours(self.device.device_fd(), head.compositor.surface().planes());
            head.pace.nothing();
        }
        self.schedule_all(events);
    }
}

impl Backend {
    /// The output that `crtc` drives, unless it has gone.
    fn head(&mut self, crtc: crtc::Handle) -> Option<&mut Head> {
        match self {
            Backend::Kms(kms) => kms.heads.get_mut(&crtc),
            _ => None,
        }
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        // Leave a dark screen rather than the last client's picture.
        for head in self.heads.values_mut() {
            if let Err(error) = head.compositor.clear() {
                debug!(%error, "screen was not cleared");
            }
        }
    }
}
