//! Clients of which nothing is seen: they get a frame callback now and then, also while nothing else changes.

use std::time::Duration;

use smithay::{desktop::utils::with_surfaces_surface_tree, reexports::calloop::timer::TimeoutAction};
use tracing::warn;

use crate::{state::Heapwright, waiting::waits_for_callback};

/// A hidden surface gets a frame callback this often, so that it does not hang, and no oftener.
pub const PACE: Duration = Duration::from_millis(995);

impl Heapwright {
    /// Nothing is to be drawn now: sees to it that hidden ones who wait for a callback get one in a while.
    pub fn look_after_hidden(&mut self) {
        if self.hidden_awaited || !self.hidden_wait() {
            return;
        }
        let timer = self.events.insert_timer(PACE, |state| {
            state.hidden_awaited = false;
            state.tell_hidden(state.clock.now().into());
            state.look_after_hidden();
            TimeoutAction::Drop
        });
        match timer {
            Ok(_) => self.hidden_awaited = true,
            Err(error) => warn!(%error, "hidden clients stand still"),
        }
    }

    fn hidden_wait(&self) -> bool {
        let mut waits = false;
        self.for_each_waiting_tree(|tree| {
            with_surfaces_surface_tree(tree, |surface, data| {
                waits |= self.is_hidden(surface, data) && waits_for_callback(data);
            });
        });
        waits
    }
}
