//! The pointer's image: the client's, or a plain arrow of our own.

use smithay::{
    backend::{
        allocator::Fourcc,
        renderer::{
            element::{
                Kind,
                memory::{MemoryRenderBuffer, MemoryRenderBufferRenderElement},
                surface::{WaylandSurfaceRenderElement, render_elements_from_surface_tree},
            },
            pixman::PixmanRenderer,
        },
    },
    input::pointer::{CursorImageAttributes, CursorImageStatus},
    reexports::wayland_server::Resource as _,
    utils::{Logical, Physical, Point, Scale, Transform},
    wayland::compositor::with_states,
};
use std::sync::Mutex;
use tracing::debug;

use crate::{
    arrow::{self, ARROW},
    render::OutputElement,
};

/// The pointer's image and whether there is a pointer to show.
#[derive(Debug)]
pub struct Cursor {
    image: CursorImageStatus,
    arrow: MemoryRenderBuffer,
    /// Whether any pointing device has been seen: without one nothing is drawn.
    pub shown: bool,
}

impl Default for Cursor {
    fn default() -> Self {
        let width = ARROW[0].len();
        let pixels: Vec<u8> = ARROW
            .iter()
            .flat_map(|row| row.bytes())
            .flat_map(|cell| arrow::colour(cell).unwrap_or(0).to_le_bytes())
            .collect();
        let arrow = MemoryRenderBuffer::from_slice(
            &pixels,
            Fourcc::Argb8888,
            (width as i32, ARROW.len() as i32),
            1,
            Transform::Normal,
            None,
        );
        Cursor { image: CursorImageStatus::default_named(), arrow, shown: false }
    }
}

impl Cursor {
    /// Takes the image that the focused client asks for.
    pub fn set_image(&mut self, image: CursorImageStatus) {
        self.image = image;
    }

    /// Tells a client-drawn cursor that its frame was shown.
    pub fn surface(&self) -> Option<&smithay::reexports::wayland_server::protocol::wl_surface::WlSurface> {
        match &self.image {
            CursorImageStatus::Surface(surface) if surface.is_alive() => Some(surface),
            _ => None,
        }
    }

    /// The elements that draw the pointer at `position`, front to back.
    pub fn elements(
        &self,
        renderer: &mut PixmanRenderer,
        position: Point<f64, Logical>,
        scale: Scale<f64>,
    ) -> Vec<OutputElement> {
        if !self.shown {
            return Vec::new();
        }
        if let Some(surface) = self.surface() {
            let hotspot = with_states(surface, |states| {
                states
                    .data_map
                    .get::<Mutex<CursorImageAttributes>>()
                    .and_then(|attributes| attributes.lock().ok().map(|attributes| attributes.hotspot))
                    .unwrap_or_default()
            });
            let at: Point<i32, Physical> = (position - hotspot.to_f64()).to_physical(scale).to_i32_round();
            let elements: Vec<WaylandSurfaceRenderElement<PixmanRenderer>> =
                render_elements_from_surface_tree(renderer, surface, at, scale, 1.0, Kind::Cursor);
            return elements.into_iter().map(OutputElement::from).collect();
        }
        if matches!(self.image, CursorImageStatus::Hidden) {
            return Vec::new();
        }
        let at = position.to_physical(scale);
        match MemoryRenderBufferRenderElement::from_buffer(
            renderer,
            at,
            &self.arrow,
            None,
            None,
            None,
            Kind::Cursor,
        ) {
            Ok(element) => vec![OutputElement::from(element)],
            Err(error) => {
                debug!(%error, "cannot draw the pointer");
                Vec::new()
            }
        }
    }
}
