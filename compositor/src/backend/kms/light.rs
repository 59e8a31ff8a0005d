//! Lighting an output: its mode, its CRTC and its memory; changing its mode; and taking it down.

use std::path::Path;

use heapwright_alloc::constraints::Size;
use smithay::{
    backend::{
        allocator::{Fourcc, dmabuf::Dmabuf, gbm::GbmDevice},
        drm::{DrmDeviceFd, Planes, compositor::DrmCompositor},
        renderer::Bind,
    },
    output::{Mode as OutputMode, Output, PhysicalProperties, Subpixel},
    reexports::drm::control::{Device as _, Mode, ModeTypeFlags, connector, plane},
    utils::Transform,
};
use tracing::{debug, info};

use super::{
    super::{
        Backend,
        mode::{self, Offered, WantedMode},
    },
    cursor_plane::{CursorPlane, for_pointers_only, takes_pointers},
    error::KmsError,
    head::Head,
    planes,
};
use crate::{outputs, shared_memory::ScreenExporter, state::Heapwright};

/// Formats tried for composed frames, best first.
const FORMATS: [Fourcc; 3] = [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Rgb565];

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
pub(super) fn light(
    state: &mut Heapwright,
    fd: &DrmDeviceFd,
    path: &Path,
    info: &connector::Info,
    wishes: &Wishes,
) -> Result<(), KmsError> {
    let name = name(info);
    let dark = |why: String| KmsError::Output { path: path.to_owned(), connector: name.clone(), why };
    let mode = wishes.choose(info.modes()).map_err(dark)?;
    let Backend::Kms(kms) = &mut state.backend else { return Ok(()) };
    let Some(card) = &mut kms.card else { return Ok(()) };
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
        card.device.create_surface(crtc, mode, &[info.handle()]).map_err(|error| dark(error.to_string()))?;
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
    let x = outputs::right_end(&state.space);
    output.change_current_state(Some(output_mode), Some(Transform::Normal), None, Some((x, 0).into()));
    let preferred = info.modes().iter().find(|mode| mode.mode_type().contains(ModeTypeFlags::PREFERRED));
    output.set_preferred(preferred.map_or(output_mode, |mode| OutputMode::from(*mode)));

    let screen = Size::new(width.into(), height.into());
    let placed = planes::placed(surface.planes().clone(), state.memory.stacking(&card.name));
    let reads_video = planes::set_colours(fd, &placed);
    let exporter = ScreenExporter::new(state.memory.clone(), &card.name, crtc.into(), screen, reads_video);
    let allocator = state.memory.screen_allocator(&card.name, &name);
    let renderer_formats = Bind::<Dmabuf>::supported_formats(&kms.renderer).unwrap_or_default();
    let (planes, cursor) = with_pointers(placed.clone(), surface.is_legacy());
    let cursor = cursor.zip(kms.own.clone()).map(|(plane, own)| {
        let (memory, size) = (state.memory.clone(), card.device.cursor_size());
        CursorPlane::new(plane, crtc.into(), &card.name, memory, own, size)
    });
    let compositor = DrmCompositor::new(
        &output,
        surface,
        Some(planes),
        allocator,
        exporter.clone(),
        FORMATS,
        renderer_formats,
        card.device.cursor_size(),
        // No GBM device: nothing but the heaps is needed, and the cursor plane is ours.
        None::<GbmDevice<DrmDeviceFd>>,
    )
    .map_err(|error| dark(error.to_string()))?;
    info!(output = name, width, height, refresh = output_mode.refresh, format = %compositor.format(), "output lit");

    let global = output.create_global::<Heapwright>(&state.display);
    kms.lit += 1;
    let head = Head::new((output.clone(), global), info, compositor, &placed, (exporter, cursor), kms.lit);
    kms.heads.insert(crtc, head);
    state.space.map_output(&output, (x, 0));
    Ok(())
}

/// Changes the mode of a lit output; its windows are told by [`Heapwright::arrange`].
///
/// # Errors
/// Why the display does not take it.
pub(super) fn change_mode(head: &mut Head, mode: Mode) -> Result<(), String> {
    head.compositor.use_mode(mode).map_err(|error| error.to_string())?;
    let (width, height) = mode.size();
    head.exporter.set_screen(Size::new(width.into(), height.into()));
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
    let Head { output, global, compositor, .. } = head;
    // With it goes the presentation feedback of its last frames, as discarded, and what it holds of clients' buffers.
    drop(compositor);
    state.forget_output(&output);
    outputs::withdraw(state, global);
}
