//! Lighting an output: its mode, its CRTC and its memory.

use std::{io, path::Path};

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
use tracing::{info, warn};

use super::{
    super::{
        Backend,
        mode::{self, Offered, WantedMode},
    },
    cursor_plane::{CursorPlane, for_pointers_only, takes_pointers},
    error::KmsError,
    find::connected,
    head::Head,
    planes,
};
use crate::{shared_memory::ScreenExporter, state::Heapwright};

/// Formats tried for composed frames, best first.
const FORMATS: [Fourcc; 3] = [Fourcc::Xrgb8888, Fourcc::Argb8888, Fourcc::Rgb565];

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

/// The planes of a CRTC as Smithay is to see them: the cursor plane as one above all others, for the pointer alone.
fn with_pointers(mut planes: Planes, is_legacy: bool) -> (Planes, Option<plane::Handle>) {
    let cursor = planes.cursor.iter().find(|plane| takes_pointers(plane)).map(for_pointers_only);
    planes.cursor.clear();
    let handle = cursor.as_ref().map(|plane| plane.handle);
    planes.overlay.extend(cursor);
    (planes, handle.filter(|_| !is_legacy))
}

pub(super) fn light_all(
    state: &mut Heapwright,
    path: &Path,
    mode: Option<WantedMode>,
) -> Result<(), KmsError> {
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

    let screen = Size::new(width.into(), height.into());
    let placed = planes::placed(surface.planes().clone(), state.memory.stacking(&kms.name));
    let reads_video = planes::set_colours(fd, &placed);
    let exporter = ScreenExporter::new(state.memory.clone(), &kms.name, crtc.into(), screen, reads_video);
    let allocator = state.memory.screen_allocator(&kms.name, &name);
    let renderer_formats = Bind::<Dmabuf>::supported_formats(&kms.renderer).unwrap_or_default();
    let (planes, cursor) = with_pointers(placed.clone(), surface.is_legacy());
    let cursor = cursor.zip(kms.own.clone()).map(|(plane, own)| {
        let (memory, size) = (state.memory.clone(), kms.device.cursor_size());
        CursorPlane::new(plane, crtc.into(), &kms.name, memory, own, size)
    });
    let compositor = DrmCompositor::new(
        &output,
        surface,
        Some(planes),
        allocator,
        exporter.clone(),
        FORMATS,
        renderer_formats,
        kms.device.cursor_size(),
        // No GBM device: nothing but the heaps is needed, and the cursor plane is ours.
        None::<GbmDevice<DrmDeviceFd>>,
    )
    .map_err(|error| dark(error.to_string()))?;
    info!(output = name, width, height, refresh = output_mode.refresh, format = %compositor.format(), "output lit");

    let head = Head::new(output.clone(), compositor, &placed, exporter, cursor);
    kms.heads.insert(crtc, head);
    output.create_global::<Heapwright>(&state.display);
    state.space.map_output(&output, (x, 0));
    Ok(())
}
