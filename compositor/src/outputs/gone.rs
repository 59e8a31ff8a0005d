//! What is left of an output that has gone: nothing, or its memory and what clients know of it would stay.

use std::time::Duration;

use smithay::{
    backend::renderer::element::{RenderElementStates, default_primary_scanout_output_compare},
    desktop::utils::{update_surface_primary_scanout_output, with_surfaces_surface_tree},
    output::Output,
    reexports::{calloop::timer::TimeoutAction, wayland_server::backend::GlobalId},
};
use tracing::warn;

use crate::{frames, render::for_each_tree, state::Heapwright};

/// How long a client may still bind an output of which it was told before it went.
const GRACE: Duration = Duration::from_secs(5);

/// Takes an output from clients: at once for those who hear of it, after a grace for a request that is on its way.
pub fn withdraw(state: &mut Heapwright, global: GlobalId) {
    state.display.disable_global::<Heapwright>(global.clone());
    let timer = state.events.insert_timer(GRACE, move |state| {
        state.display.remove_global::<Heapwright>(global.clone());
        TimeoutAction::Drop
    });
    if let Err(error) = timer {
        warn!(%error, "an output that has gone stays known");
    }
}

impl Heapwright {
    /// An output has gone: no surface is on it any more, and what was said of its planes is taken back.
    pub fn forget_output(&mut self, output: &Output) {
        self.space.unmap_output(output);
        let mut surfaces = Vec::new();
        for_each_tree(&self.space, &self.cursor, |tree, _| {
            with_surfaces_surface_tree(tree, |surface, data| {
                // As if a frame without it had been drawn: another output sends its frame callbacks from now on.
                update_surface_primary_scanout_output(
                    surface,
                    output,
                    data,
                    &RenderElementStates::default(),
                    default_primary_scanout_output_compare,
                );
                frames::forget_output(data, output);
                surfaces.push(surface.clone());
            });
        });
        for surface in surfaces {
            self.forget_aim(&surface, output);
        }
    }
}
