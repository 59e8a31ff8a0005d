//! Every surface as it is now: its memory, and how the outputs show it.

use std::cell::RefCell;

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use smithay::{
    backend::{
        allocator::{Buffer as _, dmabuf::Dmabuf},
        renderer::{
            element::{RenderElementPresentationState as Presented, RenderElementStates, RenderingReason},
            utils::with_renderer_surface_state,
        },
    },
    desktop::{PopupManager, utils::with_surfaces_surface_tree},
    output::Output,
    reexports::wayland_server::{
        Resource as _,
        protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
    },
    wayland::{
        compositor::{SurfaceData, with_states},
        dmabuf::get_dmabuf,
        shell::xdg::XdgToplevelSurfaceData,
        shm::{shm_format_to_fourcc, with_buffer_contents},
        single_pixel_buffer::get_single_pixel_buffer,
    },
};

use crate::{
    backend::Backend,
    dmabuf::file::exporter,
    ipc::{BufferNow, Reply, Request, Shown, SurfaceNow, SurfacePlane},
    state::Heapwright,
};

/// How each output drew a surface last.
#[derive(Debug, Default)]
struct Drawn(RefCell<Vec<(Output, How)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    ZeroCopy,
    Composed(Option<RenderingReason>),
}

/// Remembers how `output` has just drawn a surface.
pub(crate) fn remember(
    surface: &WlSurface,
    data: &SurfaceData,
    output: &Output,
    states: &RenderElementStates,
) {
    let how = match states.element_render_state(surface).map(|state| state.presentation_state) {
        Some(Presented::ZeroCopy) => Some(How::ZeroCopy),
        Some(Presented::Rendering { reason }) => Some(How::Composed(reason)),
        Some(Presented::Skipped) | None => None,
    };
    data.data_map.insert_if_missing(Drawn::default);
    let Some(drawn) = data.data_map.get::<Drawn>() else { return };
    let mut drawn = drawn.0.borrow_mut();
    let known = drawn.iter().position(|(known, _)| known == output);
    match (known.and_then(|index| drawn.get_mut(index)), how) {
        (Some(entry), Some(how)) => entry.1 = how,
        (None, Some(how)) => drawn.push((output.clone(), how)),
        (_, None) => drawn.retain(|(known, _)| known != output),
    }
}

/// Why a surface is copied, in words for people.
fn why(reason: Option<RenderingReason>, memory: &str, screen_is_memory: bool) -> String {
    match reason {
        _ if screen_is_memory => "the screen is memory: all is composed into it".to_owned(),
        Some(RenderingReason::FormatUnsupported) => "no plane takes its format and modifier".to_owned(),
        Some(RenderingReason::ScanoutFailed) => "the display refused it in a test of the frame".to_owned(),
        None if memory == WL_SHM => "it lies in wl_shm, which no display reads".to_owned(),
        None => "it is not all that the output shows, and no other plane is free for it".to_owned(),
    }
}

/// What shared memory is called where a dma-buf has an exporter.
const WL_SHM: &str = "wl_shm";

/// A buffer of any kind we take.
fn describe(buffer: &WlBuffer) -> Option<BufferNow> {
    if let Ok(dmabuf) = get_dmabuf(buffer) {
        return Some(of_dmabuf(dmabuf));
    }
    if get_single_pixel_buffer(buffer).is_ok() {
        return Some(BufferNow {
            size: Size::new(1, 1),
            format: Fourcc::ARGB8888,
            modifier: Modifier::LINEAR,
            planes: Vec::new(),
            memory: "a single pixel".to_owned(),
            name: None,
        });
    }
    let data = with_buffer_contents(buffer, |_, _, data| data).ok()?;
    let plane =
        SurfacePlane { offset: u64::try_from(data.offset).ok()?, pitch: u64::try_from(data.stride).ok()? };
    Some(BufferNow {
        size: Size::new(u32::try_from(data.width).ok()?, u32::try_from(data.height).ok()?),
        format: Fourcc(shm_format_to_fourcc(data.format)? as u32),
        modifier: Modifier::LINEAR,
        planes: vec![plane],
        memory: WL_SHM.to_owned(),
        name: None,
    })
}

fn of_dmabuf(dmabuf: &Dmabuf) -> BufferNow {
    let exporter = dmabuf.handles().next().map(exporter).unwrap_or_default();
    let places = dmabuf.offsets().zip(dmabuf.strides());
    BufferNow {
        size: Size::new(dmabuf.width(), dmabuf.height()),
        format: Fourcc(dmabuf.format().code as u32),
        modifier: Modifier(u64::from(dmabuf.format().modifier)),
        planes: places
            .map(|(offset, pitch)| SurfacePlane { offset: offset.into(), pitch: pitch.into() })
            .collect(),
        memory: exporter.heap.unwrap_or_else(|| "unknown exporter".to_owned()),
        name: exporter.name,
    }
}

impl Heapwright {
    /// Answers a question from outside.
    #[must_use]
    pub fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Surfaces => Reply::Surfaces(self.surfaces()),
        }
    }

    /// Every surface that has a buffer, front to back.
    #[must_use]
    pub fn surfaces(&self) -> Vec<SurfaceNow> {
        let mut found = Vec::new();
        if let Some(surface) = self.cursor.surface() {
            self.tree(surface, "pointer", &(None, None), &mut found);
        }
        for toplevel in self.space.elements().rev().filter_map(|window| window.toplevel()) {
            let surface = toplevel.wl_surface();
            let names = with_states(surface, |states| {
                let data = states.data_map.get::<XdgToplevelSurfaceData>()?.lock().ok()?;
                Some((data.app_id.clone(), data.title.clone()))
            });
            let names = names.unwrap_or_default();
            for (popup, _) in PopupManager::popups_for_surface(surface) {
                self.tree(popup.wl_surface(), "popup", &names, &mut found);
            }
            self.tree(surface, "window", &names, &mut found);
        }
        found
    }

    fn tree(
        &self,
        root: &WlSurface,
        role: &str,
        (app_id, title): &(Option<String>, Option<String>),
        found: &mut Vec<SurfaceNow>,
    ) {
        let mut surfaces = Vec::new();
        with_surfaces_surface_tree(root, |surface, data| {
            let drawn = data.data_map.get::<Drawn>().map(|drawn| drawn.0.borrow().clone());
            surfaces.push((surface.clone(), drawn.unwrap_or_default()));
        });
        for (surface, drawn) in surfaces {
            let buffer = with_renderer_surface_state(&surface, |state| state.buffer().cloned()).flatten();
            let Some(buffer) = buffer.as_deref().and_then(describe) else { continue };
            let pid = surface.client().map_or(0, |client| self.pid_of(&client));
            let role = if surface == *root { role } else { "subsurface" };
            found.push(SurfaceNow {
                id: format!("{pid}.{}", surface.id().protocol_id()),
                role: role.to_owned(),
                app_id: app_id.clone(),
                title: title.clone(),
                shown: drawn.into_iter().map(|(output, how)| self.shown(&output, how, &buffer)).collect(),
                buffer,
            });
        }
    }

    fn shown(&self, output: &Output, how: How, buffer: &BufferNow) -> Shown {
        let memory = matches!(self.backend, Backend::Headless(_));
        let why = match how {
            How::ZeroCopy => None,
            How::Composed(reason) => Some(why(reason, &buffer.memory, memory)),
        };
        Shown { output: output.name(), zero_copy: how == How::ZeroCopy, why }
    }
}
