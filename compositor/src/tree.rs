//! The surfaces of a window as elements.
//!
//! As Smithay's `Window::render_elements`, but for surfaces with video, whose buffers the renderer cannot import.

use smithay::{
    backend::renderer::{
        element::{Kind, surface::WaylandSurfaceRenderElement},
        pixman::PixmanRenderer,
        utils::RendererSurfaceStateUserData,
    },
    desktop::{PopupManager, Window},
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::{Physical, Point, Scale},
    wayland::compositor::{SurfaceData, TraversalAction, with_surface_tree_downward},
};
use tracing::debug;

use crate::{render::OutputElement, video::Video};

/// The surfaces of a window whose main surface is at this place, its popups first: front to back.
pub fn window_elements(
    renderer: &mut PixmanRenderer,
    window: &Window,
    at: Point<i32, Physical>,
    scale: Scale<f64>,
) -> Vec<OutputElement> {
    let Some(toplevel) = window.toplevel() else { return Vec::new() };
    let surface = toplevel.wl_surface();
    let mut elements = Vec::new();
    for (popup, offset) in PopupManager::popups_for_surface(surface) {
        let offset = window.geometry().loc + offset - popup.geometry().loc;
        let at = at + offset.to_physical_precise_round(scale);
        tree_elements(renderer, popup.wl_surface(), at, scale, Kind::Unspecified, &mut elements);
    }
    tree_elements(renderer, surface, at, scale, Kind::Unspecified, &mut elements);
    elements
}

/// Adds a surface with all those below it in the tree, front to back.
pub fn tree_elements(
    renderer: &mut PixmanRenderer,
    surface: &WlSurface,
    at: Point<i32, Physical>,
    scale: Scale<f64>,
    kind: Kind,
    elements: &mut Vec<OutputElement>,
) {
    let placed = |data: &SurfaceData, at: &Point<f64, Physical>| {
        let state = data.data_map.get::<RendererSurfaceStateUserData>()?.lock().ok()?;
        Some(*at + state.view()?.offset.to_f64().to_physical(scale))
    };
    with_surface_tree_downward(
        surface,
        at.to_f64(),
        |_, data, at| match placed(data, at) {
            Some(at) => TraversalAction::DoChildren(at),
            None => TraversalAction::SkipChildren,
        },
        |surface, data, at| {
            let Some(at) = placed(data, at) else { return };
            elements.extend(element(renderer, surface, data, at, kind));
        },
        |_, _, _| true,
    );
}

fn element(
    renderer: &mut PixmanRenderer,
    surface: &WlSurface,
    data: &SurfaceData,
    at: Point<f64, Physical>,
    kind: Kind,
) -> Option<OutputElement> {
    let video = {
        let state = data.data_map.get::<RendererSurfaceStateUserData>()?.lock().ok()?;
        Video::new(surface, data, &state, at, kind)
    };
    if let Some(video) = video {
        return Some(video.into());
    }
    match WaylandSurfaceRenderElement::from_surface(renderer, surface, data, at, 1.0, kind) {
        Ok(element) => element.map(OutputElement::from),
        Err(error) => {
            debug!(%error, "a surface's buffer is not read");
            None
        }
    }
}
