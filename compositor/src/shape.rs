//! What a window's surfaces look like but for their pixels: where nothing of that changes, a plane that shows one of them
//! can show its next buffer as it showed the last.

use std::cell::RefCell;

use heapwright_alloc::constraints::{Fourcc, Modifier};
use smithay::{
    backend::renderer::utils::{RendererSurfaceStateUserData, SurfaceView},
    desktop::Window,
    reexports::wayland_server::{Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    utils::{Logical, Point, Rectangle, Size, Transform},
    wayland::compositor::{SurfaceData, TraversalAction, with_states, with_surface_tree_downward},
};

use crate::{frames::Kind, state::Heapwright};

/// A window's surfaces, front to back.
#[derive(Debug, PartialEq)]
struct Shape {
    place: Option<Point<i32, Logical>>,
    geometry: Rectangle<i32, Logical>,
    parts: Vec<Part>,
}

/// A surface with a picture.
#[derive(Debug, PartialEq)]
struct Part {
    surface: ObjectId,
    view: SurfaceView,
    size: Option<Size<i32, Logical>>,
    scale: i32,
    transform: Transform,
    opaque: Vec<Rectangle<i32, Logical>>,
    format: Option<(Kind, Fourcc, Modifier)>,
}

/// As it was after the last commit.
#[derive(Debug, Default)]
struct Last(RefCell<Option<Shape>>);

impl Heapwright {
    /// After every commit in a window's tree, whose root this is: whether all of it is as it was after the commit before, but
    /// for pixels.
    pub(crate) fn keeps_shape(&self, window: &Window, root: &WlSurface) -> bool {
        let place = self.space.element_location(window);
        let shape = Shape { place, geometry: window.geometry(), parts: self.parts(root) };
        with_states(root, |data| {
            let mut last = data.data_map.get_or_insert(Last::default).0.borrow_mut();
            let keeps = last.as_ref() == Some(&shape);
            *last = Some(shape);
            keeps
        })
    }

    fn parts(&self, root: &WlSurface) -> Vec<Part> {
        let mut parts = Vec::new();
        with_surface_tree_downward(
            root,
            (),
            |_, _, ()| TraversalAction::DoChildren(()),
            |surface, data, ()| parts.extend(self.part(surface, data)),
            |_, _, ()| true,
        );
        parts
    }

    fn part(&self, surface: &WlSurface, data: &SurfaceData) -> Option<Part> {
        let state = data.data_map.get::<RendererSurfaceStateUserData>()?.lock().ok()?;
        let known = self.buffers.get(&self.display, state.buffer()?);
        Some(Part {
            surface: surface.id(),
            view: state.view()?,
            size: state.buffer_size(),
            scale: state.buffer_scale(),
            transform: state.buffer_transform(),
            opaque: state.opaque_regions().unwrap_or_default().to_vec(),
            format: known.map(|known| (known.kind, known.format, known.modifier)),
        })
    }
}
