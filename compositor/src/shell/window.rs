//! A window's place and mode, from its first buffer to its last.

use std::cell::RefCell;

use smithay::{
    desktop::{Window, WindowSurfaceType},
    output::Output,
    reexports::{
        wayland_protocols::xdg::shell::server::xdg_toplevel::State as ToplevelState,
        wayland_server::protocol::{wl_output::WlOutput, wl_surface::WlSurface},
    },
    utils::{Logical, Point, Rectangle, SERIAL_COUNTER, Size},
    wayland::shell::xdg::ToplevelSurface,
};

use crate::{shell::grabs::resizing, state::Heapwright};

/// How a window fills its output.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub enum Mode {
    /// At the place and size the user and the client gave it.
    #[default]
    Floating,
    /// Over the whole work area.
    Maximized,
    /// Over the whole output, above everything.
    Fullscreen,
}

/// What is remembered of a window between modes.
#[derive(Debug, Clone, Default)]
struct Placement {
    mode: Mode,
    /// Mode to go back to after fullscreen.
    before_fullscreen: Mode,
    /// Place and size while floating, once known.
    floating: Option<Rectangle<i32, Logical>>,
    /// Output asked for, for maximised and fullscreen windows.
    output: Option<Output>,
}

fn with_placement<T>(window: &Window, f: impl FnOnce(&mut Placement) -> T) -> T {
    let cell = window.user_data().get_or_insert(|| RefCell::new(Placement::default()));
    f(&mut cell.borrow_mut())
}

/// The mode a window is in.
#[must_use]
pub fn mode_of(window: &Window) -> Mode {
    with_placement(window, |placement| placement.mode)
}

impl Heapwright {
    /// The output a window is on, or the first.
    #[must_use]
    pub fn output_of(&self, window: &Window) -> Option<Output> {
        let wanted = with_placement(window, |placement| placement.output.clone());
        wanted
            .filter(|output| self.space.outputs().any(|known| known == output))
            .or_else(|| self.space.outputs_for_element(window).into_iter().next())
            .or_else(|| self.space.outputs().next().cloned())
    }

    /// Changes the pending mode of a window; the caller sends the configure.
    pub fn set_mode(&mut self, toplevel: &ToplevelSurface, mode: Mode, output: Option<WlOutput>) {
        let Some(window) = self.window_of(toplevel.wl_surface()) else { return };
        let place = self.space.element_location(&window);
        let size = window.geometry().size;
        with_placement(&window, |placement| {
            if placement.mode == Mode::Floating {
                placement.floating = place.map(|place| Rectangle::new(place, size));
            }
            if mode == Mode::Fullscreen && placement.mode != Mode::Fullscreen {
                placement.before_fullscreen = placement.mode;
            }
            placement.output = output.as_ref().and_then(Output::from_resource);
            placement.mode = mode;
        });
        // It stays on the output on which it begins, also when outputs move.
        let on = self.output_of(&window);
        let area = on.as_ref().and_then(|output| self.space.output_geometry(output));
        with_placement(&window, |placement| placement.output = on.filter(|_| mode != Mode::Floating));
        let floating = with_placement(&window, |placement| placement.floating);
        toplevel.with_pending_state(|state| {
            state.states.unset(ToplevelState::Maximized);
            state.states.unset(ToplevelState::Fullscreen);
            state.fullscreen_output = None;
            match mode {
                Mode::Floating => state.size = floating.map(|rectangle| rectangle.size),
                Mode::Maximized => {
                    state.states.set(ToplevelState::Maximized);
                    state.size = area.map(|area| area.size);
                }
                Mode::Fullscreen => {
                    state.states.set(ToplevelState::Fullscreen);
                    state.size = area.map(|area| area.size);
                    state.fullscreen_output = output;
                }
            }
        });
        self.update_feedback(&window);
        self.reconsider(toplevel.wl_surface());
        self.place(&window);
    }

    /// Back from fullscreen to what the window was before.
    pub fn leave_fullscreen(&mut self, toplevel: &ToplevelSurface) {
        let Some(window) = self.window_of(toplevel.wl_surface()) else { return };
        let (mode, before) =
            with_placement(&window, |placement| (placement.mode, placement.before_fullscreen));
        if mode == Mode::Fullscreen {
            self.set_mode(toplevel, before, None);
        }
    }

    /// Puts a mapped window where its mode says.
    fn place(&mut self, window: &Window) {
        if self.space.element_location(window).is_none() {
            return;
        }
        let area = self.output_of(window).and_then(|output| self.space.output_geometry(&output));
        let (mode, floating) = with_placement(window, |placement| (placement.mode, placement.floating));
        let place = match mode {
            Mode::Floating => floating.map(|rectangle| rectangle.loc),
            Mode::Maximized | Mode::Fullscreen => area.map(|area| area.loc),
        };
        if let Some(place) = place {
            self.space.map_element(window.clone(), place, false);
        }
        self.backend.schedule_all(&self.events);
    }

    /// Where a window is to float again, once that is known.
    pub(crate) fn floating_area(&self, window: &Window) -> Option<Rectangle<i32, Logical>> {
        with_placement(window, |placement| placement.floating)
    }

    /// Changes where that is.
    pub(crate) fn set_floating_place(&self, window: &Window, place: Point<i32, Logical>) {
        with_placement(window, |placement| {
            if let Some(floating) = &mut placement.floating {
                floating.loc = place;
            }
        });
    }

    /// Outputs have changed: a window that fills one fills it again, or the one in its place, and its client hears of it.
    pub(crate) fn fit(&mut self, window: &Window) {
        let Some(toplevel) = window.toplevel().cloned() else { return };
        let mode = mode_of(window);
        if mode != Mode::Floating {
            self.choose_output_anew(window);
        }
        let area = self.output_of(window).and_then(|output| self.space.output_geometry(&output));
        if let Some(area) = area {
            toplevel.with_pending_state(|state| {
                state.bounds = Some(area.size);
                if mode != Mode::Floating {
                    state.size = Some(area.size);
                }
            });
        }
        if toplevel.is_initial_configure_sent() {
            toplevel.send_pending_configure();
        }
        if mode != Mode::Floating {
            self.place(window);
        }
        self.update_feedback_of_mode(window);
        self.reconsider(toplevel.wl_surface());
    }

    /// Of a window whose output has gone: the output of that name, if it is back, else another.
    fn choose_output_anew(&self, window: &Window) {
        let Some(before) = with_placement(window, |placement| placement.output.clone()) else { return };
        if self.space.outputs().any(|output| *output == before) {
            return;
        }
        let again = self.space.outputs().find(|output| output.name() == before.name());
        let output = again.or_else(|| self.space.outputs().next()).cloned();
        with_placement(window, |placement| placement.output = output.or(Some(before)));
    }

    /// A commit of a window's main surface: first configure, first picture, last picture.
    pub fn window_committed(&mut self, window: &Window, surface: &WlSurface) {
        let Some(toplevel) = window.toplevel() else { return };
        if !toplevel.is_initial_configure_sent() {
            if let Some(area) = self.output_of(window).and_then(|output| self.space.output_geometry(&output))
            {
                toplevel.with_pending_state(|state| state.bounds = Some(area.size));
            }
            toplevel.send_configure();
            return;
        }
        let has_picture = smithay::backend::renderer::utils::with_renderer_surface_state(surface, |state| {
            state.buffer().is_some()
        })
        .unwrap_or(false);
        let mapped = self.space.element_location(window).is_some();
        match (has_picture, mapped) {
            (true, false) => self.show(window),
            (false, true) => self.hide(window),
            (true, true) => {
                resizing::committed(&mut self.space, window);
                if mode_of(window) != Mode::Floating && !self.in_place(window) {
                    self.place(window);
                }
            }
            (false, false) => {}
        }
    }

    fn in_place(&self, window: &Window) -> bool {
        let area = self.output_of(window).and_then(|output| self.space.output_geometry(&output));
        area.map(|area| area.loc) == self.space.element_location(window)
    }

    fn show(&mut self, window: &Window) {
        self.unmapped.retain(|other| other != window);
        let size = window.geometry().size;
        let place = self.free_place(window, size);
        with_placement(window, |placement| {
            placement.floating.get_or_insert(Rectangle::new(place, size));
        });
        self.space.map_element(window.clone(), place, true);
        self.place(window);
        self.focus(Some(window));
    }

    fn hide(&mut self, window: &Window) {
        // A window without a picture starts over: the next one is configured and placed anew.
        self.space.unmap_elem(window);
        self.unmapped.push(window.clone());
        self.focus_topmost();
        self.backend.schedule_all(&self.events);
    }

    /// Where a new window hides least of the others: in the middle if it can, else towards a corner.
    pub(crate) fn free_place(&self, window: &Window, size: Size<i32, Logical>) -> Point<i32, Logical> {
        let Some(area) = self.output_of(window).and_then(|output| self.space.output_geometry(&output)) else {
            return Point::default();
        };
        let others: Vec<_> =
            self.space.elements().filter_map(|other| self.space.element_geometry(other)).collect();
        least_hiding(area, size, &others)
    }

    /// Gives a window the keyboard and raises it; `None` takes the keyboard from all.
    pub fn focus(&mut self, window: Option<&Window>) {
        if let Some(window) = window {
            self.space.raise_element(window, true);
        }
        for other in self.space.elements() {
            let active = window == Some(other);
            // `set_activated` says whether anything changed: only then is there news to send.
            if other.set_activated(active) {
                other.toplevel().map(ToplevelSurface::send_pending_configure);
            }
        }
        let surface =
            window.and_then(|window| window.toplevel()).map(|toplevel| toplevel.wl_surface().clone());
        if let Some(keyboard) = self.seat.get_keyboard() {
            keyboard.set_focus(self, surface, SERIAL_COUNTER.next_serial());
        }
        self.backend.schedule_all(&self.events);
    }

    /// Gives the keyboard to the window that is now on top.
    pub fn focus_topmost(&mut self) {
        let topmost = self.space.elements().next_back().cloned();
        self.focus(topmost.as_ref());
    }

    /// The surface under a point of the layout, and where it is.
    #[must_use]
    pub fn surface_under(&self, at: Point<f64, Logical>) -> Option<(WlSurface, Point<f64, Logical>)> {
        let (window, place) = self.space.element_under(at)?;
        let place = place.to_f64();
        let (surface, offset) = window.surface_under(at - place, WindowSurfaceType::ALL)?;
        Some((surface, offset.to_f64() + place))
    }
}

/// Of nine places (the middle, the corners, the sides), the one where a window of `size` covers least of `others`.
fn least_hiding(
    area: Rectangle<i32, Logical>,
    size: Size<i32, Logical>,
    others: &[Rectangle<i32, Logical>],
) -> Point<i32, Logical> {
    let room = (area.size.w.saturating_sub(size.w).max(0), area.size.h.saturating_sub(size.h).max(0));
    const HALVES: [(i32, i32); 9] = [(1, 1), (0, 0), (2, 0), (0, 2), (2, 2), (1, 0), (0, 1), (2, 1), (1, 2)];
    let places = HALVES.map(|(x, y)| area.loc + Point::from((room.0 / 2 * x, room.1 / 2 * y)));
    let hidden = |place: &Point<i32, Logical>| -> i64 {
        let window = Rectangle::new(*place, size);
        others
            .iter()
            .filter_map(|other| other.intersection(window))
            .map(|both| i64::from(both.size.w) * i64::from(both.size.h))
            .sum()
    };
    places.into_iter().min_by_key(hidden).unwrap_or(area.loc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_in_the_middle_and_the_next_one_beside_it() {
        let area = Rectangle::new((100, 0).into(), (1000, 800).into());
        let first = least_hiding(area, (400, 300).into(), &[]);
        assert_eq!(first, Point::from((400, 250)));
        let second = least_hiding(area, (300, 250).into(), &[Rectangle::new(first, (400, 300).into())]);
        assert_eq!(second, area.loc, "the first corner is free");
        let whole = least_hiding(area, (2000, 2000).into(), &[]);
        assert_eq!(whole, area.loc, "a window larger than the output begins at its corner");
    }
}
