//! From windows to elements, and the news of a finished frame back to clients.

use std::time::Duration;

use smithay::{
    backend::renderer::{
        element::{
            AsRenderElements, Element as _, RenderElementStates, default_primary_scanout_output_compare,
            memory::MemoryRenderBufferRenderElement, surface::WaylandSurfaceRenderElement,
        },
        pixman::PixmanRenderer,
    },
    desktop::{
        PopupManager, Space, Window,
        utils::{
            OutputPresentationFeedback, send_frames_surface_tree,
            surface_presentation_feedback_flags_from_states, surface_primary_scanout_output,
            take_presentation_feedback_surface_tree, update_surface_primary_scanout_output,
            with_surfaces_surface_tree,
        },
    },
    output::Output,
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::{Physical, Rectangle, Scale},
};
use tracing::debug;

use crate::{
    cursor::Cursor,
    frames::{Drawn, Frame, Role},
    state::Heapwright,
};

/// Colour of the screen where no window is.
pub const BACKGROUND: [f32; 4] = [0.10, 0.11, 0.13, 1.0];

/// A hidden surface gets a frame callback this often, so that it does not hang, and no oftener.
const HIDDEN_FRAME: Duration = Duration::from_millis(995);

smithay::backend::renderer::element::render_elements! {
    /// One thing to show on an output.
    pub OutputElement<=PixmanRenderer>;
    /// A client's surface.
    Surface = WaylandSurfaceRenderElement<PixmanRenderer>,
    /// The pointer's own arrow.
    Arrow = MemoryRenderBufferRenderElement<PixmanRenderer>,
}

/// The elements of `output`, front to back.
pub fn elements(
    renderer: &mut PixmanRenderer,
    space: &Space<Window>,
    cursor: &Cursor,
    pointer: Option<smithay::utils::Point<f64, smithay::utils::Logical>>,
    output: &Output,
) -> Vec<OutputElement> {
    let Some(area) = space.output_geometry(output) else { return Vec::new() };
    let scale = Scale::from(output.current_scale().fractional_scale());
    let mut elements = Vec::new();
    if let Some(pointer) = pointer {
        elements.extend(cursor.elements(renderer, pointer - area.loc.to_f64(), scale));
    }
    for window in space.elements().rev() {
        let Some(place) = space.element_location(window) else { continue };
        // A window's place is that of its geometry; its surface may begin outside (shadows).
        let at = (place - area.loc - window.geometry().loc).to_physical_precise_round(scale);
        let surfaces: Vec<WaylandSurfaceRenderElement<PixmanRenderer>> =
            window.render_elements(renderer, at, scale, 1.0);
        let drawable = surfaces.into_iter().filter(|surface| {
            let place = surface.geometry(scale);
            let size = surface.transform().transform_size(surface.src().size);
            let fits = fits_in_fixed_point(surface.src().loc.into(), size.into(), place);
            if !fits {
                debug!(?place, from = ?surface.src(), "scaled further down than this renderer can: not drawn");
            }
            fits
        });
        elements.extend(drawable.map(OutputElement::from));
    }
    elements
}

/// Whether pixman can draw a part of a picture at this place: it computes places in the picture with 15 bits before the
/// point. Smithay 0.7 gives up the whole frame, everybody's, when it cannot.
fn fits_in_fixed_point(from: (f64, f64), size: (f64, f64), place: Rectangle<i32, Physical>) -> bool {
    const MOST: f64 = 32_767.0;
    let axis = |from: f64, size: f64, at: i32, length: i32| {
        let scale = size / f64::from(length.max(1));
        // As translated to the place, then to the part.
        scale * f64::from(at.saturating_abs()) + size + from.abs() < MOST
    };
    // A turned picture has its axes exchanged on the way, so each must leave room for the longer side.
    let longer = size.0.max(size.1);
    let of_part = from.0.abs().max(from.1.abs());
    axis(of_part, size.0, place.loc.x, place.size.w)
        && axis(of_part, size.1, place.loc.y, place.size.h)
        && longer + of_part < MOST
}

/// Every surface that can be on a screen: windows with their popups, and a client's own pointer image.
fn for_each_tree(space: &Space<Window>, cursor: &Cursor, mut f: impl FnMut(&WlSurface, Role)) {
    for toplevel in space.elements().filter_map(|window| window.toplevel()) {
        f(toplevel.wl_surface(), Role::Window);
        for (popup, _) in PopupManager::popups_for_surface(toplevel.wl_surface()) {
            f(popup.wl_surface(), Role::Popup);
        }
    }
    if let Some(surface) = cursor.surface() {
        f(surface, Role::Pointer);
    }
}

impl Heapwright {
    /// Where the pointer is, if there is one.
    #[must_use]
    pub fn pointer_place(&self) -> Option<smithay::utils::Point<f64, smithay::utils::Logical>> {
        self.seat.get_pointer().map(|pointer| pointer.current_location())
    }

    /// After drawing `output`: remembers for each surface whether and how this output shows it, and writes that down.
    pub fn remember_outputs(&self, output: &Output, drawn: &Drawn<'_>, frame: &mut Frame) {
        for_each_tree(&self.space, &self.cursor, |tree, role| {
            with_surfaces_surface_tree(tree, |surface, data| {
                update_surface_primary_scanout_output(
                    surface,
                    output,
                    data,
                    drawn.states,
                    default_primary_scanout_output_compare,
                );
                let role = if surface == tree { role } else { Role::Subsurface };
                self.record((surface, data), role, output, drawn, frame);
            });
        });
    }

    /// Takes the presentation feedback of the frame that is about to be shown.
    #[must_use]
    pub fn take_feedback(&self, output: &Output, states: &RenderElementStates) -> OutputPresentationFeedback {
        let mut feedback = OutputPresentationFeedback::new(output);
        for_each_tree(&self.space, &self.cursor, |tree, _| {
            take_presentation_feedback_surface_tree(
                tree,
                &mut feedback,
                surface_primary_scanout_output,
                |surface, _| surface_presentation_feedback_flags_from_states(surface, states),
            );
        });
        feedback
    }

    /// Tells clients that now is a good time to draw the next frame.
    pub fn send_frames(&self, output: &Output) {
        let now: Duration = self.clock.now().into();
        for_each_tree(&self.space, &self.cursor, |tree, _| {
            send_frames_surface_tree(tree, output, now, Some(HIDDEN_FRAME), surface_primary_scanout_output);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pixman_cannot_scale_is_left_out() {
        let place = |x, y, w, h| Rectangle::new((x, y).into(), (w, h).into());
        for (from, size, place, fits) in [
            ((0.0, 0.0), (1920.0, 1080.0), place(0, 0, 1920, 1080), true),
            ((0.0, 0.0), (1920.0, 1080.0), place(3840, 2160, 1920, 1080), true),
            ((0.0, 0.0), (4096.0, 4096.0), place(0, 0, 1, 1), true),
            ((0.0, 0.0), (4096.0, 4096.0), place(8, 0, 1, 1), false),
            ((0.0, 0.0), (4096.0, 4096.0), place(0, -8, 1, 1), false),
            ((0.0, 0.0), (3840.0, 2160.0), place(800, 600, 384, 216), true),
            ((30000.0, 0.0), (4096.0, 16.0), place(0, 0, 64, 16), false),
            ((0.0, 0.0), (4096.0, 4096.0), place(i32::MIN, 0, 4096, 4096), false),
            ((0.0, 0.0), (0.0, 0.0), place(5, 5, 0, 0), true),
        ] {
            assert_eq!(fits_in_fixed_point(from, size, place), fits, "{from:?} {size:?} {place:?}");
        }
    }
}
