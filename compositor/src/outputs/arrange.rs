//! Outputs in their row, and every window told of it.

use smithay::{desktop::Window, output::Output};

use super::row::{Area, follow, row};
use crate::{
    shell::window::{Mode, mode_of},
    state::Heapwright,
};

/// Where outputs stand, by name: a display that is plugged in again is the one that was pulled.
pub type Places = Vec<(String, Area)>;

impl Heapwright {
    /// The outputs as they stand, or stood when there were some: to be asked before something changes, for
    /// [`Heapwright::arrange`].
    #[must_use]
    pub fn places(&self) -> Places {
        let place = |output: &Output| Some((output.name(), self.space.output_geometry(output)?));
        let places: Places = self.space.outputs().filter_map(place).collect();
        if places.is_empty() { self.dark.before().to_vec() } else { places }
    }

    /// Outputs came, went or changed their mode since they stood as `before`: closes the row, and has windows, the
    /// pointer and what clients were told follow.
    pub fn arrange(&mut self, before: &[(String, Area)]) {
        // Windows leave outputs that have gone.
        self.space.refresh();
        let outputs: Vec<_> = self.space.outputs().cloned().collect();
        if outputs.is_empty() {
            self.go_dark(before);
            return;
        }
        let areas: Vec<_> =
            outputs.iter().map(|output| self.space.output_geometry(output).unwrap_or_default()).collect();
        let after = row(&areas);
        for (output, (was, is)) in outputs.iter().zip(areas.iter().zip(&after)) {
            if was.loc != is.loc {
                output.change_current_state(None, None, None, Some(is.loc));
                self.space.map_output(output, is.loc);
            }
        }
        let after: Places = outputs.iter().map(Output::name).zip(after).collect();
        let windows: Vec<_> = self.space.elements().chain(&self.unmapped).cloned().collect();
        for window in &windows {
            self.follow_outputs(window, before, &after);
        }
        self.space.refresh();
        for window in &windows {
            self.fit(window);
        }
        self.keep_pointer_on_outputs();
        self.backend.schedule_all(&self.events);
    }

    /// Moves a window that floats with its output, or onto another.
    fn follow_outputs(&mut self, window: &Window, before: &[(String, Area)], after: &[(String, Area)]) {
        let place = |state: &Self, was: Area| {
            follow(was, before, after).unwrap_or_else(|| state.free_place(window, was.size))
        };
        if let Some(was) = self.floating_area(window) {
            self.set_floating_place(window, place(self, was));
        }
        if let (Mode::Floating, Some(at)) = (mode_of(window), self.space.element_location(window)) {
            let to = place(self, Area::new(at, window.geometry().size));
            if to != at {
                self.space.map_element(window.clone(), to, false);
            }
        }
    }
}
