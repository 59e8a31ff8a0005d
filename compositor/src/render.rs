//! From windows to elements, and the news of a finished frame back to clients.

use std::time::Duration;

use smithay::{
    backend::renderer::{
        element::{
            AsRenderElements, RenderElementStates, default_primary_scanout_output_compare,
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
    utils::Scale,
};

use crate::{cursor::Cursor, state::Heapwright, surfaces};

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
        elements.extend(surfaces.into_iter().map(OutputElement::from));
    }
    elements
}

/// Every surface that can be on a screen: windows with their popups, and a client's own pointer image.
fn for_each_tree(space: &Space<Window>, cursor: &Cursor, mut f: impl FnMut(&WlSurface)) {
    for toplevel in space.elements().filter_map(|window| window.toplevel()) {
        f(toplevel.wl_surface());
        for (popup, _) in PopupManager::popups_for_surface(toplevel.wl_surface()) {
            f(popup.wl_surface());
        }
    }
    if let Some(surface) = cursor.surface() {
        f(surface);
    }
}

impl Heapwright {
    /// Where the pointer is, if there is one.
    #[must_use]
    pub fn pointer_place(&self) -> Option<smithay::utils::Point<f64, smithay::utils::Logical>> {
        self.seat.get_pointer().map(|pointer| pointer.current_location())
    }

    /// After drawing `output`: remembers for each surface whether and how this output shows it.
    pub fn remember_outputs(&self, output: &Output, states: &RenderElementStates) {
        for_each_tree(&self.space, &self.cursor, |tree| {
            with_surfaces_surface_tree(tree, |surface, data| {
                update_surface_primary_scanout_output(
                    surface,
                    output,
                    data,
                    states,
                    default_primary_scanout_output_compare,
                );
                surfaces::remember(surface, data, output, states);
            });
        });
    }

    /// Takes the presentation feedback of the frame that is about to be shown.
    #[must_use]
    pub fn take_feedback(&self, output: &Output, states: &RenderElementStates) -> OutputPresentationFeedback {
        let mut feedback = OutputPresentationFeedback::new(output);
        for_each_tree(&self.space, &self.cursor, |tree| {
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
        for_each_tree(&self.space, &self.cursor, |tree| {
            send_frames_surface_tree(tree, output, now, Some(HIDDEN_FRAME), surface_primary_scanout_output);
        });
    }
}
