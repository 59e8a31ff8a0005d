//! Lighting an output: its mode, its CRTC and its memory; changing its mode; and taking it down.

use std::path::Path;

use heapwright_alloc::constraints::Size;
use smithay::{
    backend::{
        allocator::{Fourcc, Modifier, dmabuf::Dmabuf, gbm::GbmDevice},
        drm::{DrmDeviceFd, Planes, compositor::DrmCompositor},
        renderer::Bind,
    },
    output::{Mode as OutputMode, Output, PhysicalProperties, Subpixel},
    reexports::drm::control::{Device as _, Mode, ModeTypeFlags, connector, crtc, plane},
    utils::Transform,
};
use tracing::{debug, info, warn};

use super::{
    super::{
        Backend,
        mode::{self, Offered, WantedMode},
    },
    Kms,
    cursor_plane::{CursorPlane, for_pointers_only, takes_pointers},
    error::KmsError,
    head::{Compositor, Head},
    less, planes,
};
use crate::{
    memory::{Memory, ScreenAllocator},
    outputs,
    shared_memory::ScreenExporter,
    state::Heapwright,
};

/// Formats tried for composed frames, best first.
pub(super) const FORMATS: [Fourcc; 3] = [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Rgb565];

/// The planes of a CRTC as Smithay is to see them: the cursor plane as one above all others, for the pointer alone.
fn with_pointers(mut planes: Planes, is_legacy: bool) -> (Planes, Option<plane::Handle>) {
    let cursor = planes.cursor.iter().find(|plane| takes_pointers(plane)).map(for_pointers_only);
    planes.cursor.clear();
    let handle = cursor.as_ref().map(|plane| plane.handle);
    planes.overlay.extend(cursor);
    (planes, handle.filter(|_| !is_legacy))
}

/// A connector's modes in our own words.
pub(super) fn offered(modes: &[Mode]) -> Vec<Offered> {
    let of = |mode: &Mode| Offered {
        size: mode.size(),
        millihertz: OutputMode::from(*mode).refresh.max(0) as u32,
        preferred: mode.mode_type().contains(ModeTypeFlags::PREFERRED),
    };
    modes.iter().map(of).collect()
}

/// What a display's mode is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// The best one first.
    pub(super) modes: Vec<WantedMode>,
    /// Whether it is to stay dark rather than be lit in another mode.
    pub(super) strict: bool,
}

impl Wishes {
    /// The mode that was asked for, or the one that suits the display best; or why there is none.
    pub(super) fn choose(&self, modes: &[Mode]) -> Result<Mode, String> {
        let offered = offered(modes);
        let first = self.modes.first().copied();
        let chosen = match self.strict {
            true => mode::choose(&offered, first),
            false => mode::choose_of(&offered, self.modes.iter().copied()),
        };
        let chosen = chosen.and_then(|index| modes.get(index));
        chosen.copied().ok_or_else(|| mode::refusal(&offered, first))
    }
}

/// What people call a connector.
pub(super) fn name(info: &connector::Info) -> String {
    format!("{}-{}", info.interface().as_str(), info.interface_id())
}

/// Lights what is connected to `info`. The output is at the right of all others.
///
/// Where there is no memory for the mode that it should have, it gets a smaller one, unless that is not wished.
pub(super) fn light(
    state: &mut Heapwright,
    fd: &DrmDeviceFd,
    path: &Path,
    info: &connector::Info,
    wishes: &Wishes,
) -> Result<(), KmsError> {
    let name = name(info);
    let dark = |why: String| KmsError::Output { path: path.to_owned(), connector: name.clone(), why };
    let mut mode = wishes.choose(info.modes()).map_err(dark)?;
    let wanted = mode;
    let Backend::Kms(kms) = &mut state.backend else { return Ok(()) };
    let resources = fd.resource_handles().map_err(|error| dark(error.to_string()))?;
    let crtc = info
        .encoders()
        .iter()
        .filter_map(|encoder| fd.get_encoder(*encoder).ok())
        .flat_map(|encoder| resources.filter_crtcs(encoder.possible_crtcs()))
        .find(|crtc| !kms.heads.contains_key(crtc))
        .ok_or_else(|| dark("no CRTC is free for it".to_owned()))?;

    let x = outputs::right_end(&state.space);
    let mut shortage = None;
    let made = loop {
        match make(kms, &state.memory, (crtc, info, mode), x) {
            Ok(made) => break made,
            Err(NotLit::Refused(why)) => return Err(dark(why)),
            Err(NotLit::Short(why)) => {
                // Of the mode that it should have.
                let why = shortage.get_or_insert(why);
                match smaller(info.modes(), mode.size()) {
                    Some(next) if !wishes.strict => mode = next,
                    Some(next) => {
                        let (width, height) = next.size();
                        return Err(dark(format!("{why}; or try --mode {width}x{height}")));
                    }
                    None => return Err(dark(why.clone())),
                }
            }
        }
    };
    let Made { output, compositor, placed, exporter, screen, cursor } = made;
    let ((width, height), refresh) = (mode.size(), OutputMode::from(mode).refresh);
    info!(output = name, width, height, refresh, format = %compositor.format(), "output lit");
    // Another format may simply be all that the display takes.
    let shortage = shortage.or_else(|| screen.shortage());
    if let Some(why) = &shortage {
        let format = compositor.format();
        warn!(output = name, width, height, %format, why, "fewer pixels or colours, for lack of memory");
    }

    let global = output.create_global::<Heapwright>(&state.display);
    kms.lit += 1;
    let head =
        Head::new((output.clone(), global), info, compositor, &placed, (exporter, screen, cursor), kms.lit);
    kms.heads.insert(crtc, head);
    state.space.map_output(&output, (x, 0));
    if shortage.is_some() {
        less::follow(state, crtc, wanted);
    }
    Ok(())
}

/// What a lit output consists of.
struct Made {
    output: Output,
    compositor: Compositor,
    placed: Planes,
    exporter: ScreenExporter,
    screen: ScreenAllocator,
    cursor: Option<CursorPlane>,
}

/// Why an output is not lit in a mode.
enum NotLit {
    /// There is no memory for its frames.
    Short(String),
    /// Anything else.
    Refused(String),
}

/// Gets all that an output needs in this mode, its left edge at `x`.
fn make(
    kms: &mut Kms,
    memory: &Memory,
    (crtc, info, mode): (crtc::Handle, &connector::Info, Mode),
    x: i32,
) -> Result<Made, NotLit> {
    let refused = |error: &dyn std::fmt::Display| NotLit::Refused(error.to_string());
    let Some(card) = &mut kms.card else { return Err(refused(&"the display device has gone")) };
    let name = name(info);
    let surface =
        card.device.create_surface(crtc, mode, &[info.handle()]).map_err(|error| refused(&error))?;
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
    output.change_current_state(Some(output_mode), Some(Transform::Normal), None, Some((x, 0).into()));
    let preferred = info.modes().iter().find(|mode| mode.mode_type().contains(ModeTypeFlags::PREFERRED));
    output.set_preferred(preferred.map_or(output_mode, |mode| OutputMode::from(*mode)));

    let placed = planes::placed(surface.planes().clone(), memory.stacking(&card.name));
    let reads_video = planes::set_colours(card.device.device_fd(), &placed);
    let exporter = ScreenExporter::new(memory.clone(), &card.name, crtc.into(), size(&mode), reads_video);
    let screen = memory.screen_allocator(&card.name, &name);
    let renderer_formats = Bind::<Dmabuf>::supported_formats(&kms.renderer).unwrap_or_default();
    let (planes, cursor) = with_pointers(placed.clone(), surface.is_legacy());
    let cursor = cursor.zip(kms.own.clone()).map(|(plane, own)| {
        let size = card.device.cursor_size();
        CursorPlane::new(plane, crtc.into(), &card.name, memory.clone(), own, size)
    });
    let compositor = DrmCompositor::new(
        &output,
        surface,
        Some(planes),
        screen.clone(),
        exporter.clone(),
        FORMATS,
        renderer_formats,
        card.device.cursor_size(),
        // No GBM device: nothing but the heaps is needed, and the cursor plane is ours.
        None::<GbmDevice<DrmDeviceFd>>,
    );
    let compositor = compositor.map_err(|error| match screen.shortage() {
        Some(why) => NotLit::Short(why),
        None => refused(&error),
    })?;
    Ok(Made { output, compositor, placed, exporter, screen, cursor })
}

pub(super) fn size(mode: &Mode) -> Size {
    let (width, height) = mode.size();
    Size::new(width.into(), height.into())
}

/// The largest mode with fewer pixels, and of those the fastest.
pub(super) fn smaller(modes: &[Mode], than: (u16, u16)) -> Option<Mode> {
    let pixels = |(width, height): (u16, u16)| u32::from(width) * u32::from(height);
    let fewer = modes.iter().filter(|mode| pixels(mode.size()) < pixels(than));
    fewer.max_by_key(|mode| (pixels(mode.size()), OutputMode::from(**mode).refresh)).copied()
}

/// Changes the mode of a lit output; its windows are told by [`Heapwright::arrange`].
///
/// # Errors
/// Why the display does not take it.
pub(super) fn change_mode(head: &mut Head, mode: Mode) -> Result<(), String> {
    let (format, modifiers) = (head.compositor.format(), head.compositor.modifiers().to_vec());
    head.screen.reserve(size(&mode), format, &modifiers).map_err(|error| error.to_string())?;
    change_to(head, mode, None)?;
    // If colours are still missing.
    head.wanted = head.wanted.map(|_| mode);
    Ok(())
}

/// Changes the mode of a lit output, and the format of its frames if another is given, for which memory is reserved.
///
/// # Errors
/// Why the display does not take it; it goes on as it was.
pub(super) fn change_to(
    head: &mut Head,
    mode: Mode,
    format: Option<(Fourcc, Vec<Modifier>)>,
) -> Result<(), String> {
    let before = head.compositor.pending_mode();
    // Also where it is the same: only with a mode, drivers take another format.
    let mut changed = head.compositor.use_mode(mode).map_err(|error| error.to_string());
    if let (Ok(()), Some((code, modifiers))) = (&changed, format) {
        let set = head.compositor.set_format(head.screen.clone(), code, modifiers);
        changed = set.map_err(|error| {
            // Room for what Smithay tries a mode with.
            head.screen.release();
            match head.compositor.use_mode(before) {
                Ok(()) => error.to_string(),
                Err(also) => format!("{error}, and its mode does not come back: {also}"),
            }
        });
    }
    if changed.is_err() {
        head.screen.release();
        return changed;
    }
    let (width, height) = mode.size();
    head.exporter.set_screen(size(&mode));
    head.output.change_current_state(Some(OutputMode::from(mode)), None, None, None);
    info!(
        output = head.output.name(),
        width,
        height,
        refresh = OutputMode::from(mode).refresh,
        "mode changed"
    );
    Ok(())
}

/// Takes an output down that has left [`Kms::heads`](super::Kms): clients hear that the frame on its way was never
/// shown, and that they are elsewhere now. With `dark`, the display is switched off; one that is gone can't be.
pub(super) fn take_down(state: &mut Heapwright, mut head: Head, dark: bool) {
    info!(output = head.output.name(), "output gone");
    if dark {
        if let Err(error) = head.compositor.clear() {
            debug!(output = head.output.name(), %error, "screen was not cleared");
        }
    }
    let Head { output, global, compositor, flipped, held, mut callbacks, .. } = head;
    // They are elsewhere now, or go on slowly.
    callbacks.answer(state.clock.now().into());
    // With them goes the presentation feedback of its last frames, as discarded, and what it holds of clients' buffers.
    drop((compositor, flipped, held));
    state.forget_output(&output);
    outputs::withdraw(state, global);
}
