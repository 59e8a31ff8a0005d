//! The displays of one KMS device, opened through the seat.
//!
//! Every frame goes to Smithay's `DrmCompositor`, with our own memory for what is composed and our own framebuffers
//! for what clients drew: a client's buffer that covers the screen is scanned out as it is.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use heapwright_alloc::{devices::DeviceError, smithay::PrimeExporter};
use smithay::{
    backend::{
        allocator::{Fourcc, gbm::GbmDevice},
        drm::{
            DrmDevice, DrmDeviceFd, DrmError, DrmEvent, DrmEventMetadata, DrmEventTime,
            compositor::{DrmCompositor, FrameFlags, PrimaryPlaneElement},
        },
        libinput::{LibinputInputBackend, LibinputSessionInterface},
        renderer::{
            Bind,
            element::{Element as _, Id},
            pixman::PixmanRenderer,
        },
        session::{Event as SessionEvent, Session as _, libseat::LibSeatSession},
    },
    desktop::utils::OutputPresentationFeedback,
    output::{Mode as OutputMode, Output, PhysicalProperties, Subpixel},
    reexports::{
        calloop::{
            EventLoop, LoopHandle,
            timer::{TimeoutAction, Timer},
        },
        drm::control::{Device as _, Mode, ModeTypeFlags, connector, crtc, plane, property},
        input::{DeviceCapability, Libinput},
        rustix::fs::OFlags,
        wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::Kind,
    },
    utils::{DeviceFd, Monotonic, Physical, Rectangle, Scale, Time, Transform},
    wayland::presentation::Refresh,
};
use tracing::{debug, error, info, warn};

use super::{
    Backend,
    mode::{self, Offered, WantedMode},
    pace::Pace,
};
use crate::{
    feedback::{Source, USUAL, renderer_pairs},
    frames::{self, Drawn, Lit, Ring},
    memory::{PlaneOf, ScreenAllocator},
    render::{self, BACKGROUND},
    state::Heapwright,
};

/// Formats tried for composed frames, best first.
const FORMATS: [Fourcc; 3] = [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Rgb565];

/// How long to wait before drawing again after the kernel refused a frame.
const RETRY: Duration = Duration::from_millis(50);

type Feedback = Option<OutputPresentationFeedback>;
type Compositor = DrmCompositor<ScreenAllocator, PrimeExporter, Feedback, DrmDeviceFd>;

/// One KMS device and its outputs.
#[derive(Debug)]
pub struct Kms {
    session: LibSeatSession,
    device: DrmDevice,
    /// What the allocator calls the device.
    name: String,
    renderer: PixmanRenderer,
    heads: HashMap<crtc::Handle, Head>,
}

/// One CRTC with its connector.
#[derive(Debug)]
struct Head {
    output: Output,
    compositor: Compositor,
    pace: Pace,
    /// Whether the last frame was told as scanned out directly, so that only changes are logged.
    direct: Option<bool>,
    ring: Ring,
    /// Planes that can lie above the primary one, front to back.
    overlays: Vec<Overlay>,
    /// What was on them in the frame given last, and on which.
    on_overlays: Vec<(Id, Rectangle<i32, Physical>)>,
    overlay_ids: Vec<Option<u32>>,
}

/// Why there is no session on a KMS device.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// No seat.
    #[error(
        "no seat: {0}; run inside a login session, start seatd, or set LIBSEAT_BACKEND=noop where you may open the \
         device yourself"
    )]
    Seat(#[source] smithay::backend::session::libseat::Error),
    /// The device node can't be opened.
    #[error("cannot open {path}: {source}; check that it exists and that the seat's user may open it")]
    Open {
        /// The node.
        path: PathBuf,
        /// What libseat said.
        source: smithay::backend::session::libseat::Error,
    },
    /// The node is no display.
    #[error(
        "{path} is no usable KMS device: {source}; `--device` takes a node under /dev/dri that drives a display, \
         and no other compositor may hold it"
    )]
    NotKms {
        /// The node.
        path: PathBuf,
        /// What the kernel said.
        source: DrmError,
    },
    /// The allocator can't read the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// No device has a display.
    #[error("no display found: {tried}; connect one, or name its device with --device")]
    NoDisplay {
        /// Every node tried and why it was passed over.
        tried: String,
    },
    /// No CRTC, or no memory that the display takes.
    #[error("{connector} on {path} cannot be lit: {why}")]
    Output {
        /// The node.
        path: PathBuf,
        /// Connector name.
        connector: String,
        /// Reason.
        why: String,
    },
    /// The renderer did not start.
    #[error("software renderer: {0}")]
    Renderer(#[from] smithay::backend::renderer::pixman::PixmanError),
    /// The event loop refused a source.
    #[error("event loop: {0}")]
    Loop(String),
}

fn loop_error(error: impl std::fmt::Display) -> KmsError {
    KmsError::Loop(error.to_string())
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
        let kms = Kms {
            session: session.clone(),
            device,
            name,
            renderer: PixmanRenderer::new()?,
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
            head.pace.nothing();
        }
        self.schedule_all(events);
    }
}

/// A plane above the primary one, with the kernel's names of its place.
#[derive(Debug)]
struct Overlay {
    plane: plane::Handle,
    /// `CRTC_X`, `CRTC_Y`, `CRTC_W`, `CRTC_H`.
    place: [property::Handle; 4],
}

/// The planes that Smithay puts elements on, in the order in which it tries them.
fn overlays(compositor: &Compositor) -> Vec<Overlay> {
    let surface = compositor.surface();
    if surface.is_legacy() {
        return Vec::new();
    }
    let mut planes: Vec<_> =
        surface.planes().overlay.iter().map(|plane| (plane.zpos.unwrap_or_default(), plane.handle)).collect();
    planes.sort_by_key(|(zpos, _)| std::cmp::Reverse(*zpos));
    let names = |plane: plane::Handle| {
        let properties = surface.get_properties(plane).and_then(|set| set.as_hashmap(surface.device_fd()));
        let properties = properties.ok()?;
        let handle = |name: &str| properties.get(name).map(property::Info::handle);
        let place = [handle("CRTC_X")?, handle("CRTC_Y")?, handle("CRTC_W")?, handle("CRTC_H")?];
        Some(Overlay { plane, place })
    };
    planes.into_iter().filter_map(|(_, plane)| names(plane)).collect()
}

impl Head {
    /// Asks the kernel which plane shows what, if that is not what it was: Smithay does not say.
    fn name_overlays(&mut self, on_overlays: Vec<(Id, Rectangle<i32, Physical>)>) {
        if on_overlays == self.on_overlays {
            return;
        }
        let lit: Vec<_> = match on_overlays.is_empty() {
            true => Vec::new(),
            false => self.overlays.iter().filter_map(|overlay| self.lit(overlay)).collect(),
        };
        let places: Vec<_> = on_overlays.iter().map(|(_, place)| *place).collect();
        self.overlay_ids = frames::assign(&places, &lit);
        self.on_overlays = on_overlays;
    }

    fn lit(&self, overlay: &Overlay) -> Option<Lit> {
        let values = self.compositor.surface().get_properties(overlay.plane).ok()?;
        let value = |wanted: property::Handle| {
            let (_, value) = values.iter().find(|(handle, _)| **handle == wanted)?;
            // Signed, in 64 bits of which DRM uses 32.
            i32::try_from(*value as i64).ok()
        };
        let [x, y, width, height] = overlay.place.map(value);
        let place = Rectangle::new((x?, y?).into(), (width?, height?).into());
        (!place.is_empty()).then(|| Lit { plane: overlay.plane.into(), place })
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

fn open(session: &mut LibSeatSession, path: &Path) -> Result<DrmDeviceFd, KmsError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    session
        .open(path, flags)
        .map(|fd| DrmDeviceFd::new(DeviceFd::from(fd)))
        .map_err(|source| KmsError::Open { path: path.to_owned(), source })
}

/// Nodes that may drive a display, in the order of their numbers.
fn card_nodes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let mut nodes: Vec<_> = entries
        .map(|entry| entry.path())
        .filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok()?;
            Some((number, path))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, path)| path).collect()
}

/// The first device with a connected display.
fn find(session: &mut LibSeatSession) -> Result<(PathBuf, DrmDeviceFd), KmsError> {
    let mut tried = Vec::new();
    for path in card_nodes() {
        let fd = match open(session, &path) {
            Ok(fd) => fd,
            Err(error) => {
                tried.push(error.to_string());
                continue;
            }
        };
        match connected(&fd) {
            Ok(connectors) if !connectors.is_empty() => return Ok((path, fd)),
            Ok(_) => tried.push(format!("{}: nothing connected", path.display())),
            Err(error) => tried.push(format!("{}: no display device ({error})", path.display())),
        }
    }
    if tried.is_empty() {
        tried.push("there is no node under /dev/dri".to_owned());
    }
    Err(KmsError::NoDisplay { tried: tried.join("; ") })
}

fn connected(fd: &DrmDeviceFd) -> io::Result<Vec<connector::Info>> {
    let resources = fd.resource_handles()?;
    let mut connected = Vec::new();
    for handle in resources.connectors() {
        let info = fd.get_connector(*handle, true)?;
        if info.state() == connector::State::Connected && !info.modes().is_empty() {
            connected.push(info);
        }
    }
    Ok(connected)
}

/// The mode that was asked for, or the one that suits the display best; or why there is none.
fn choose(modes: &[Mode], wanted: Option<WantedMode>) -> Result<Mode, String> {
    let offered: Vec<_> = modes
        .iter()
        .map(|mode| Offered {
            size: mode.size(),
            millihertz: OutputMode::from(*mode).refresh.max(0) as u32,
            preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
        })
        .collect();
    let chosen = mode::choose(&offered, wanted).and_then(|index| modes.get(index));
    chosen.copied().ok_or_else(|| mode::refusal(&offered, wanted))
}

fn light_all(state: &mut Heapwright, path: &Path, mode: Option<WantedMode>) -> Result<(), KmsError> {
    let Backend::Kms(kms) = &state.backend else { return Ok(()) };
    let fd = kms.device.device_fd().clone();
    let no_resources = |source: io::Error| KmsError::Output {
        path: path.to_owned(),
        connector: "every connector".to_owned(),
        why: source.to_string(),
    };
    let mut failed = Vec::new();
    for info in connected(&fd).map_err(no_resources)? {
        if let Err(error) = light(state, &fd, path, &info, mode) {
            warn!(%error, "an output stays dark");
            failed.push(error);
        }
    }
    let Backend::Kms(kms) = &state.backend else { return Ok(()) };
    match (kms.heads.is_empty(), failed.into_iter().next()) {
        (false, _) => {
            state.backend.schedule_all(&state.events);
            Ok(())
        }
        (true, Some(error)) => Err(error),
        (true, None) => Err(KmsError::NoDisplay { tried: format!("{}: nothing connected", path.display()) }),
    }
}

fn light(
    state: &mut Heapwright,
    fd: &DrmDeviceFd,
    path: &Path,
    info: &connector::Info,
    wanted: Option<WantedMode>,
) -> Result<(), KmsError> {
    let name = format!("{}-{}", info.interface().as_str(), info.interface_id());
    let dark = |why: String| KmsError::Output { path: path.to_owned(), connector: name.clone(), why };
    let mode = choose(info.modes(), wanted).map_err(dark)?;
    let Backend::Kms(kms) = &mut state.backend else { return Ok(()) };
    let resources = fd.resource_handles().map_err(|error| dark(error.to_string()))?;
    let crtc = info
        .encoders()
        .iter()
        .filter_map(|encoder| fd.get_encoder(*encoder).ok())
        .flat_map(|encoder| resources.filter_crtcs(encoder.possible_crtcs()))
        .find(|crtc| !kms.heads.contains_key(crtc))
        .ok_or_else(|| dark("no CRTC is free for it".to_owned()))?;

    let (width, height) = mode.size();
    let surface =
        kms.device.create_surface(crtc, mode, &[info.handle()]).map_err(|error| dark(error.to_string()))?;
    let (mm_width, mm_height) = info.size().unwrap_or((0, 0));
    let output = Output::new(
        name.clone(),
        PhysicalProperties {
            size: (mm_width as i32, mm_height as i32).into(),
            subpixel: Subpixel::Unknown,
            make: "Unknown".to_owned(),
            model: name.clone(),
        },
    );
    let output_mode = OutputMode::from(mode);
    let x = state
        .space
        .outputs()
        .filter_map(|other| state.space.output_geometry(other))
        .map(|area| area.size.w)
        .sum();
    output.change_current_state(Some(output_mode), Some(Transform::Normal), None, Some((x, 0).into()));
    output.set_preferred(output_mode);

    let allocator = state.memory.screen_allocator(&kms.name, &name);
    let renderer_formats =
        Bind::<smithay::backend::allocator::dmabuf::Dmabuf>::supported_formats(&kms.renderer)
            .unwrap_or_default();
    let compositor = DrmCompositor::new(
        &output,
        surface,
        None,
        allocator,
        PrimeExporter,
        FORMATS,
        renderer_formats,
        kms.device.cursor_size(),
        // No GBM device: nothing but the heaps is needed, and the pointer is composed.
        None::<GbmDevice<DrmDeviceFd>>,
    )
    .map_err(|error| dark(error.to_string()))?;
    info!(output = name, width, height, refresh = output_mode.refresh, format = %compositor.format(), "output lit");

    let head = Head {
        output: output.clone(),
        overlays: overlays(&compositor),
        compositor,
        pace: Pace::default(),
        direct: None,
        ring: Ring::default(),
        on_overlays: Vec::new(),
        overlay_ids: Vec::new(),
    };
    kms.heads.insert(crtc, head);
    output.create_global::<Heapwright>(&state.display);
    state.space.map_output(&output, (x, 0));
    Ok(())
}

/// Draws what changed on one output and submits it.
fn draw(state: &mut Heapwright, crtc: crtc::Handle) {
    let pointer = state.pointer_place();
    let Heapwright { backend: Backend::Kms(kms), space, cursor, .. } = state else { return };
    let kms = &mut **kms;
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    let output = head.output.clone();
    let elements = render::elements(&mut kms.renderer, space, cursor, pointer, &output);
    // Any format may go to the primary plane: TEST_ONLY decides, not a guess.
    let flags = FrameFlags::DEFAULT | FrameFlags::ALLOW_PRIMARY_PLANE_SCANOUT_ANY;
    let frame = match head.compositor.render_frame(&mut kms.renderer, &elements, BACKGROUND, flags) {
        Ok(frame) => frame,
        Err(error) => {
            debug!(output = output.name(), %error, "no frame was drawn");
            retry(state, crtc);
            return;
        }
    };
    if let PrimaryPlaneElement::Swapchain(element) = &frame.primary_element {
        if let Err(error) = element.sync.wait() {
            debug!(%error, "waiting for the renderer");
        }
    }
    let direct = matches!(frame.primary_element, PrimaryPlaneElement::Element(_));
    let is_empty = frame.is_empty;
    let scale = Scale::from(output.current_scale().fractional_scale());
    let place = |element: &&render::OutputElement| (element.id().clone(), element.geometry(scale));
    let on_overlays: Vec<_> = frame.overlay_elements.iter().map(place).collect();
    let states = frame.states;
    if head.direct != Some(direct) && !is_empty {
        head.direct = Some(direct);
        info!(
            output = output.name(),
            direct, "frames of the primary plane: a client's own buffer, or composed"
        );
    }
    let mut record = head.ring.begin();
    let drawn = Drawn {
        elements: &elements,
        scale,
        states: &states,
        memory: false,
        primary: head.compositor.plane().into(),
        overlays: head.overlays.len(),
        on_overlays: &on_overlays,
    };
    state.remember_outputs(&output, &drawn, &mut record);
    if is_empty {
        if let Some(head) = state.backend.head(crtc) {
            head.ring.discard(record);
        }
        // Nothing to show, but clients that asked for a frame callback must hear of the next refresh.
        at_next_refresh(state, crtc, &output);
        return;
    }
    let feedback = state.take_feedback(&output, &states);
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    match head.compositor.queue_frame(Some(feedback)) {
        Ok(()) => {
            head.pace.submitted();
            head.name_overlays(on_overlays);
            frames::name_overlays(&mut record, &head.overlay_ids);
            head.ring.keep(record, state.clock.now().into());
        }
        Err(error) => {
            head.ring.discard(record);
            debug!(output = output.name(), %error, "frame was not taken");
            retry(state, crtc);
        }
    }
}

fn period(output: &Output) -> Duration {
    let millihertz = output.current_mode().map_or(60_000, |mode| mode.refresh.max(1));
    Duration::from_nanos(1_000_000_000_000 / millihertz as u64)
}

fn at_next_refresh(state: &mut Heapwright, crtc: crtc::Handle, output: &Output) {
    wait_then(state, crtc, period(output), |state, crtc| {
        let Backend::Kms(kms) = &state.backend else { return };
        let Some(output) = kms.heads.get(&crtc).map(|head| head.output.clone()) else { return };
        state.send_frames(&output);
    });
}

/// The kernel refused a frame (another session holds the display, or memory is short): try again soon.
fn retry(state: &mut Heapwright, crtc: crtc::Handle) {
    let Backend::Kms(kms) = &mut state.backend else { return };
    if !kms.device.is_active() {
        // The seat's next activation draws everything anew.
        if let Some(head) = kms.heads.get_mut(&crtc) {
            head.pace.nothing();
        }
        return;
    }
    wait_then(state, crtc, RETRY, |state, crtc| {
        if let Some(head) = state.backend.head(crtc) {
            // Draw again even if nothing else changes.
            let _queued_later = head.pace.changed();
        }
    });
}

/// Holds the output back for `wait`, does `then`, and draws if something changed meanwhile.
fn wait_then(
    state: &mut Heapwright,
    crtc: crtc::Handle,
    wait: Duration,
    then: fn(&mut Heapwright, crtc::Handle),
) {
    if let Some(head) = state.backend.head(crtc) {
        head.pace.submitted();
    }
    let timer = state.events.insert_source(Timer::from_duration(wait), move |_, (), state| {
        then(state, crtc);
        draw_if_dirty(state, crtc);
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "no timer for an output");
    }
}

fn draw_if_dirty(state: &mut Heapwright, crtc: crtc::Handle) {
    if state.backend.head(crtc).is_some_and(|head| head.pace.shown()) {
        state.events.insert_idle(move |state| draw(state, crtc));
    }
}

/// A frame has reached the screen.
fn shown(state: &mut Heapwright, crtc: crtc::Handle, metadata: Option<DrmEventMetadata>) {
    let now = state.clock.now();
    let Backend::Kms(kms) = &mut state.backend else { return };
    let Some(head) = kms.heads.get_mut(&crtc) else { return };
    let output = head.output.clone();
    let hardware = metadata.as_ref().and_then(|metadata| match metadata.time {
        DrmEventTime::Monotonic(time) if !time.is_zero() => Some(Time::<Monotonic>::from(time)),
        _ => None,
    });
    let kind = match hardware {
        Some(_) => Kind::Vsync | Kind::HwClock | Kind::HwCompletion,
        None => Kind::Vsync,
    };
    let sequence = metadata.map_or(0, |metadata| u64::from(metadata.sequence));
    head.ring.presented(hardware.unwrap_or(now).into());
    match head.compositor.frame_submitted() {
        Ok(feedback) => {
            if let Some(mut feedback) = feedback.flatten() {
                feedback.presented(hardware.unwrap_or(now), Refresh::fixed(period(&output)), sequence, kind);
            }
        }
        Err(error) => debug!(output = output.name(), %error, "frame was shown, but the next was not queued"),
    }
    state.send_frames(&output);
    draw_if_dirty(state, crtc);
}
