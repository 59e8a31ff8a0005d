//! Frame callbacks: they go with the frame that shows what was committed with them, and are answered when it is on the screen.
//!
//! Not before: a client that draws when its callback comes would then be a frame ahead of the screen, and stay it.

use std::{cell::Cell, time::Duration};

use smithay::{
    desktop::utils::{surface_primary_scanout_output, with_surfaces_surface_tree},
    output::Output,
    reexports::wayland_server::{
        Resource as _,
        backend::ObjectId,
        protocol::{wl_callback::WlCallback, wl_surface::WlSurface},
    },
    wayland::compositor::{SurfaceAttributes, SurfaceData},
};

use crate::{
    hidden,
    state::Heapwright,
    waiting::{waits, waits_for_callback},
};

/// The frame callbacks that go with one frame, each with its surface.
#[derive(Debug, Default)]
pub struct Callbacks(Vec<(ObjectId, WlCallback)>);

impl Callbacks {
    /// These go with the same frame.
    pub fn append(&mut self, mut others: Callbacks) {
        self.0.append(&mut others.0);
    }

    /// Answers them: the frame was shown at `time`. Returns whom it told, once for callbacks that came together.
    pub fn answer(&mut self, time: Duration) -> Vec<ObjectId> {
        let mut told = Vec::with_capacity(self.0.len());
        for (surface, callback) in self.0.drain(..) {
            callback.done(time.as_millis() as u32);
            if told.last() != Some(&surface) {
                told.push(surface);
            }
        }
        told
    }

    fn take(&mut self, surface: &WlSurface, data: &SurfaceData) {
        let mut attributes = data.cached_state.get::<SurfaceAttributes>();
        let waiting = attributes.current().frame_callbacks.drain(..);
        self.0.extend(waiting.map(|callback| (surface.id(), callback)));
    }
}

/// When a surface that is on no screen was last told.
#[derive(Debug, Default)]
struct LastTold(Cell<Option<Duration>>);

impl LastTold {
    /// Whether it may be told at this time; it is, then.
    fn again(data: &SurfaceData, now: Duration) -> bool {
        data.data_map.insert_if_missing(LastTold::default);
        let Some(LastTold(last)) = data.data_map.get::<LastTold>() else { return true };
        let due = last.get().is_none_or(|last| now.saturating_sub(last) >= hidden::PACE);
        if due {
            last.set(Some(now));
        }
        due
    }
}

impl Heapwright {
    /// Takes along what waits for the frame of `output` that was just given to the display, or found to be as the last.
    #[must_use]
    pub fn take_callbacks(&self, output: &Output) -> Callbacks {
        self.take_callbacks_of(|surface, data| {
            surface_primary_scanout_output(surface, data).as_ref() == Some(output)
        })
    }

    /// Tells those whom no output shows that they may draw, each of them now and then.
    pub fn tell_hidden(&self, now: Duration) {
        if !self.waiting.is_empty() {
            self.take_callbacks_of(|surface, data| {
                self.is_hidden(surface, data) && waits_for_callback(data) && LastTold::again(data, now)
            })
            .answer(now);
        }
    }

    /// Whether no output shows the surface.
    pub(crate) fn is_hidden(&self, surface: &WlSurface, data: &SurfaceData) -> bool {
        // One that has gone while the surface was nowhere is remembered.
        let is_there = |output: &Output| self.space.outputs().any(|there| there == output);
        surface_primary_scanout_output(surface, data).is_none_or(|output| !is_there(&output))
    }

    /// Takes those of some surfaces.
    pub(crate) fn take_callbacks_of(&self, which: impl Fn(&WlSurface, &SurfaceData) -> bool) -> Callbacks {
        let mut callbacks = Callbacks::default();
        self.for_each_waiting_tree(|tree| {
            let mut still = false;
            with_surfaces_surface_tree(tree, |surface, data| {
                if which(surface, data) {
                    callbacks.take(surface, data);
                }
                still |= waits(data);
            });
            self.waiting.looked(tree, still);
        });
        callbacks
    }
}
