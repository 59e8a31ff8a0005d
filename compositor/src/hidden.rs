//! Clients of which nothing is seen: they get a frame callback now and then, also while nothing else changes.

use std::time::Duration;

use smithay::{
    desktop::utils::with_surfaces_surface_tree, reexports::calloop::timer::TimeoutAction,
    wayland::compositor::SurfaceAttributes,
};
use tracing::warn;

use crate::state::Heapwright;

/// A hidden surface gets a frame callback this often, so that it does not hang, and no oftener.
pub const PACE: Duration = Duration::from_millis(995);

impl Heapwright {
    /// Nothing is to be drawn now: sees to it that those who wait for a callback all the same get one in a while.
    pub fn look_after_hidden(&mut self) {
        if self.hidden_awaited || !self.anybody_waits() {
            return;
        }
        let timer = self.events.insert_timer(PACE, |state| {
            state.hidden_awaited = false;
            let outputs: Vec<_> = state.space.outputs().cloned().collect();
            let now = state.clock.now();
            for output in outputs {
                state.send_frames(&output, now);
            }
            state.look_after_hidden();
            TimeoutAction::Drop
        });
        match timer {
            Ok(_) => self.hidden_awaited = true,
            Err(error) => warn!(%error, "hidden clients stand still"),
        }
    }

    fn anybody_waits(&self) -> bool {
        let mut waits = false;
        self.for_each_waiting_tree(|tree| {
            with_surfaces_surface_tree(tree, |_, data| {
                let mut attributes = data.cached_state.get::<SurfaceAttributes>();
                waits |= !attributes.current().frame_callbacks.is_empty();
            });
        });
        waits
    }
}
