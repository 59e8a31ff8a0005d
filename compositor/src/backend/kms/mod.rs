//! The displays of one KMS device, opened through the seat.
//!
//! Every frame goes to Smithay's `DrmCompositor`, with our own memory for what is composed and our own framebuffers
//! for what clients drew: a client's buffer that covers the screen is scanned out as it is.

mod card;
pub(crate) mod cursor_plane;
mod error;
mod find;
mod flip;
mod frame;
mod head;
mod held;
mod less;
mod light;
mod offer;
mod plan;
mod planes;
mod setback;

pub(crate) use card::read_events;
pub use error::KmsError;

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
    time::Duration,
};

use heapwright_alloc::{devices::Monitor, heaps::Root};
use smithay::{
    backend::{
        libinput::{LibinputInputBackend, LibinputSessionInterface},
        renderer::pixman::PixmanRenderer,
        session::{Event as SessionEvent, Session as _, libseat::LibSeatSession},
    },
    output::Output,
    reexports::{
        calloop::{Interest, Mode, PostAction, generic::Generic},
        drm::control::crtc,
        input::{DeviceCapability, Libinput},
        wayland_server::protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
    },
};
use tracing::{debug, error, info, warn};

use self::{
    card::{Card, Wanted, follow, follow_connectors, take_first},
    error::loop_error,
    frame::draw,
    head::Head,
};
use super::{Backend, mode::WantedMode};
use crate::{
    events::Events,
    feedback::{Source, USUAL, device_without_display, renderer_pairs},
    frames::Ring,
    memory::PlaneOf,
    own_buffers::OwnBuffers,
    stand_ins::StandIns,
    state::Heapwright,
};

/// One KMS device and its outputs. While the session runs, both may go, and others come.
#[derive(Debug)]
pub struct Kms {
    session: LibSeatSession,
    renderer: PixmanRenderer,
    /// Without it, the pointer is composed.
    own: Option<OwnBuffers>,
    stand_ins: Option<StandIns>,
    // Before the device: they go first.
    heads: HashMap<crtc::Handle, Head>,
    /// The device, while there is one.
    card: Option<Card>,
    wanted: Wanted,
    /// Outputs that were lit so far.
    lit: u64,
    /// Anything may have changed, not only pixels.
    changed: bool,
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
        wanted: Option<&Path>,
        mode: Option<WantedMode>,
    ) -> Result<(), KmsError> {
        let (session, seat_events) = LibSeatSession::new().map_err(KmsError::Seat)?;
        let events = state.events.clone();
        let own = OwnBuffers::new(&state.display, &events);
        let own = own.inspect_err(|error| warn!(%error, "no buffers of our own on planes")).ok();
        let kms = Kms {
            session: session.clone(),
            renderer: PixmanRenderer::new()?,
            stand_ins: own.clone().map(StandIns::new),
            own,
            heads: HashMap::new(),
            card: None,
            wanted: Wanted::new(wanted, mode),
            lit: 0,
            changed: true,
        };
        state.backend = Backend::Kms(Box::new(kms));
        // Before devices are looked at, so that no change falls between.
        listen(&events)?;
        take_first(state)?;

        let mut input =
            Libinput::new_with_udev::<LibinputSessionInterface<LibSeatSession>>(session.clone().into());
        if input.udev_assign_seat(&session.seat()).is_err() {
            warn!(seat = session.seat(), "libinput has no seat: no input devices");
        }
        events
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
            .insert_source(seat_events, move |event, (), state: &mut Heapwright| match event {
                SessionEvent::PauseSession => {
                    info!("seat paused");
                    input.suspend();
                    if let Backend::Kms(kms) = &mut state.backend {
                        kms.pause();
                    }
                }
                SessionEvent::ActivateSession => {
                    info!("seat active");
                    if input.resume().is_err() {
                        warn!("input devices did not come back");
                    }
                    if let Backend::Kms(kms) = &mut state.backend {
                        kms.resume();
                    }
                    // Displays and devices may have come and gone meanwhile.
                    follow(state);
                    state.backend.schedule_all(&state.events);
                }
            })
            .map_err(loop_error)?;

        let failed = follow_connectors(state, true);
        for error in &failed {
            warn!(%error, "an output stays dark");
        }
        let Backend::Kms(kms) = &state.backend else { return Ok(()) };
        let path = kms.card.as_ref().map(|card| card.path.display().to_string()).unwrap_or_default();
        match (kms.heads.is_empty(), failed.into_iter().next()) {
            (false, _) => Ok(()),
            (true, Some(error)) => Err(error),
            (true, None) => Err(KmsError::NoDisplay { tried: format!("{path}: nothing connected") }),
        }
    }

    /// Queues a draw of every output that has none on its way.
    pub fn schedule_all(&mut self, events: &Events) {
        self.changed = true;
        self.schedule(events, Head::changed);
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Queues a draw where a commit of this surface may show; with `only_pixels`, it has changed its pixels and nothing else.
    pub(super) fn surface_committed(&mut self, events: &Events, surface: &WlSurface, only_pixels: bool) {
        self.changed |= !only_pixels;
        self.schedule(events, |head| head.committed(surface, only_pixels));
    }

    /// When the first output that waits for clients has waited long enough.
    pub(super) fn waits_until(&self) -> Option<Duration> {
        self.heads.values().filter_map(|head| head.pace.waits_until()).min()
    }

    /// Queues a draw of each that has.
    pub(super) fn schedule_due(&mut self, events: &Events, now: Duration) {
        self.schedule(events, |head| head.pace.is_due(now));
    }

    fn schedule(&mut self, events: &Events, mut changed: impl FnMut(&mut Head) -> bool) {
        for (crtc, head) in &mut self.heads {
            if changed(head) {
                let crtc = *crtc;
                events.insert_idle(move |state| draw(state, crtc));
            }
        }
    }

    /// A client has destroyed its buffer.
    pub(super) fn forget_buffer(&mut self, buffer: &WlBuffer) {
        // The renderer lets go of its memory at the end of this round,
        self.changed = true;
        if self.stand_ins.as_ref().is_some_and(|stand_ins| stand_ins.forget(buffer)) {
            // and Smithay when it draws.
            for head in self.heads.values_mut() {
                head.flips = None;
            }
        }
    }

    /// The renderer.
    pub fn renderer(&mut self) -> &mut PixmanRenderer {
        &mut self.renderer
    }

    /// What the allocator calls the device, and its open file, while there is one.
    #[must_use]
    pub fn node(&self) -> Option<(&str, BorrowedFd<'_>)> {
        let card = self.card.as_ref()?;
        Some((&card.name, card.device.device_fd().as_fd()))
    }

    /// What composed surfaces can be made of.
    #[must_use]
    pub fn feedback_source(&self) -> Source {
        let device = self.card.as_ref().map(|card| card.device.device_id());
        let device = device.unwrap_or_else(device_without_display);
        Source { device, size: USUAL, formats: renderer_pairs(&self.renderer) }
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
            device: &self.card.as_ref()?.name,
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

    fn is_active(&self) -> bool {
        self.card.as_ref().is_some_and(|card| card.device.is_active())
    }

    fn pause(&mut self) {
        if let Some(card) = &mut self.card {
            card.device.pause();
        }
    }

    fn resume(&mut self) {
        let Some(card) = &mut self.card else { return };
        if let Err(error) = card.device.activate(false) {
            error!(%error, "the display device did not come back");
            return;
        }
        for head in self.heads.values_mut() {
            // Another session has set its own state meanwhile.
            if let Err(error) = head.compositor.reset_state() {
                warn!(%error, "display state unknown");
            }
            planes::set_colours(card.device.device_fd(), head.compositor.surface().planes());
            head.pace.nothing();
            (head.flips, head.flipped) = (None, None);
        }
    }
}

/// Follows what the kernel says of devices.
fn listen(events: &Events) -> Result<(), KmsError> {
    let monitor = match Monitor::new(&Root::default()) {
        Ok(monitor) => monitor,
        Err(error) => {
            warn!(%error, "displays that are plugged in later are not seen");
            return Ok(());
        }
    };
    let source = Generic::new(monitor, Interest::READ, Mode::Level);
    let heard = events.insert_source(source, |_, monitor, state| {
        let mut concerned = false;
        let action = loop {
            match monitor.next_change() {
                Ok(Some(change)) => concerned |= card::concerns(&change),
                Ok(None) => break PostAction::Continue,
                Err(error) => {
                    warn!(%error, "displays that are plugged in from now on are not seen");
                    break PostAction::Remove;
                }
            }
        };
        if concerned {
            follow(state);
        }
        Ok(action)
    });
    heard.map_err(loop_error)?;
    Ok(())
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
