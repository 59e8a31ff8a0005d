//! Popups: kept on their output, configured with their first commit.

use smithay::{
    desktop::{PopupKind, find_popup_root_surface, get_popup_toplevel_coords},
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    wayland::shell::xdg::PopupSurface,
};
use tracing::debug;

use crate::state::Heapwright;

impl Heapwright {
    /// Moves, flips or shrinks a popup, as its positioner allows, so that it stays on the output.
    pub fn unconstrain_popup(&self, popup: &PopupSurface) {
        let kind = PopupKind::Xdg(popup.clone());
        let Ok(root) = find_popup_root_surface(&kind) else { return };
        let Some(window) = self.window_of(&root) else { return };
        let Some(place) = self.space.element_location(&window) else { return };
        let Some(area) = self.output_of(&window).and_then(|output| self.space.output_geometry(&output))
        else {
            return;
        };
        // The positioner works in the parent's coordinates.
        let mut target = area;
        target.loc -= get_popup_toplevel_coords(&kind) + place;
        popup
            .with_pending_state(|state| state.geometry = state.positioner.get_unconstrained_geometry(target));
    }

    /// A commit of a surface that may be a popup.
    pub fn popup_committed(&mut self, surface: &WlSurface) {
        self.popups.commit(surface);
        let Some(PopupKind::Xdg(popup)) = self.popups.find_popup(surface) else { return };
        if !popup.is_initial_configure_sent() {
            if let Err(error) = popup.send_configure() {
                debug!(%error, "popup was not configured");
            }
        }
    }
}
