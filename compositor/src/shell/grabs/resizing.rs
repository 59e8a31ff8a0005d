//! Resizing a window with the pointer.
//!
//! The client draws at its own pace: the window's far edges must stay put while its picture lags behind the
//! pointer. So the place follows from the size that was committed, never from the size that was asked for.

use std::cell::Cell;

use smithay::{
    desktop::{Space, Window},
    input::{
        Seat,
        pointer::{Focus, GrabStartData, MotionEvent, PointerGrab, PointerInnerHandle},
    },
    reexports::{
        wayland_protocols::xdg::shell::server::xdg_toplevel::{ResizeEdge, State as ToplevelState},
        wayland_server::protocol::wl_surface::WlSurface,
    },
    utils::{Logical, Point, Rectangle, Serial, Size},
    wayland::{
        compositor::with_states,
        shell::xdg::{SurfaceCachedState, ToplevelSurface},
    },
};

use super::{pass_on, press_on};
use crate::{
    shell::window::{Mode, mode_of},
    state::Heapwright,
};

/// Which sides follow the pointer.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
struct Edges {
    left: bool,
    right: bool,
    top: bool,
    bottom: bool,
}

impl From<ResizeEdge> for Edges {
    fn from(edge: ResizeEdge) -> Self {
        use ResizeEdge::{Bottom, BottomLeft, BottomRight, Left, Right, Top, TopLeft, TopRight};
        Edges {
            left: matches!(edge, Left | TopLeft | BottomLeft),
            right: matches!(edge, Right | TopRight | BottomRight),
            top: matches!(edge, Top | TopLeft | TopRight),
            bottom: matches!(edge, Bottom | BottomLeft | BottomRight),
        }
    }
}

impl Edges {
    /// The size wanted when the pointer has moved by `by`.
    fn grow(self, from: Size<i32, Logical>, by: Point<f64, Logical>) -> Size<i32, Logical> {
        let along = |low: bool, high: bool, by: f64| match (low, high) {
            (true, _) => -by,
            (_, true) => by,
            _ => 0.0,
        };
        let width = f64::from(from.w) + along(self.left, self.right, by.x);
        let height = f64::from(from.h) + along(self.top, self.bottom, by.y);
        Size::from((width as i32, height as i32))
    }

    /// Where a window of `size` lies so that the edges that do not follow stay where they were.
    fn anchor(self, from: Rectangle<i32, Logical>, size: Size<i32, Logical>) -> Point<i32, Logical> {
        let x = if self.left { from.loc.x + from.size.w - size.w } else { from.loc.x };
        let y = if self.top { from.loc.y + from.size.h - size.h } else { from.loc.y };
        Point::from((x, y))
    }
}

/// A resize that is going on, or whose last picture has not come yet.
#[derive(Debug, Copy, Clone)]
struct Ongoing {
    edges: Edges,
    from: Rectangle<i32, Logical>,
    ended: bool,
}

fn ongoing(window: &Window) -> &Cell<Option<Ongoing>> {
    window.user_data().get_or_insert(|| Cell::new(None))
}

struct ResizeGrab {
    start: GrabStartData<Heapwright>,
    window: Window,
    edges: Edges,
    from: Rectangle<i32, Logical>,
}

/// Starts resizing a floating window, if the client's wish answers a press on it.
pub fn start(
    state: &mut Heapwright,
    toplevel: &ToplevelSurface,
    seat: &Seat<Heapwright>,
    serial: Serial,
    edge: ResizeEdge,
) {
    let Some(window) = state.window_of(toplevel.wl_surface()) else { return };
    let (Some(start), Some(pointer)) = (press_on(seat, toplevel.wl_surface(), serial), seat.get_pointer())
    else {
        return;
    };
    let Some(place) = state.space.element_location(&window) else { return };
    if mode_of(&window) != Mode::Floating {
        return;
    }
    let edges = Edges::from(edge);
    let from = Rectangle::new(place, window.geometry().size);
    ongoing(&window).set(Some(Ongoing { edges, from, ended: false }));
    toplevel.with_pending_state(|pending| pending.states.set(ToplevelState::Resizing));
    toplevel.send_pending_configure();
    pointer.set_grab(state, ResizeGrab { start, window, edges, from }, serial, Focus::Clear);
}

/// A commit of a window: while it is resized, its place follows its new size.
pub fn committed(space: &mut Space<Window>, window: &Window) {
    let cell = ongoing(window);
    let Some(resize) = cell.get() else { return };
    let place = resize.edges.anchor(resize.from, window.geometry().size);
    if space.element_location(window) != Some(place) {
        space.map_element(window.clone(), place, false);
    }
    if resize.ended {
        cell.set(None);
    }
}

/// The client's own limits; 0 means none.
fn limited(surface: &WlSurface, size: Size<i32, Logical>) -> Size<i32, Logical> {
    let (min, max) = with_states(surface, |states| {
        let mut guard = states.cached_state.get::<SurfaceCachedState>();
        let current = guard.current();
        (current.min_size, current.max_size)
    });
    let side = |wanted: i32, min: i32, max: i32| {
        let max = if max > 0 { max } else { i32::MAX };
        wanted.min(max).max(min).max(1)
    };
    Size::from((side(size.w, min.w, max.w), side(size.h, min.h, max.h)))
}

impl PointerGrab<Heapwright> for ResizeGrab {
    fn motion(
        &mut self,
        state: &mut Heapwright,
        pointer: &mut PointerInnerHandle<'_, Heapwright>,
        _focus: Option<(WlSurface, Point<f64, Logical>)>,
        event: &MotionEvent,
    ) {
        pointer.motion(state, None, event);
        let Some(toplevel) = self.window.toplevel().filter(|toplevel| toplevel.alive()) else { return };
        let wanted = self.edges.grow(self.from.size, event.location - self.start.location);
        let size = limited(toplevel.wl_surface(), wanted);
        toplevel.with_pending_state(|pending| pending.size = Some(size));
        toplevel.send_pending_configure();
    }

    pass_on!();

    fn start_data(&self) -> &GrabStartData<Heapwright> {
        &self.start
    }

    fn unset(&mut self, _state: &mut Heapwright) {
        ongoing(&self.window).set(Some(Ongoing { edges: self.edges, from: self.from, ended: true }));
        if let Some(toplevel) = self.window.toplevel().filter(|toplevel| toplevel.alive()) {
            toplevel.with_pending_state(|pending| pending.states.unset(ToplevelState::Resizing));
            toplevel.send_pending_configure();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_that_do_not_follow_stay_put() {
        let from = Rectangle::new((100, 50).into(), (200, 100).into());
        let cases = [
            (ResizeEdge::Right, (30.0, 9.0), (230, 100), (100, 50)),
            (ResizeEdge::Left, (30.0, 9.0), (170, 100), (130, 50)),
            (ResizeEdge::TopLeft, (-10.0, -20.0), (210, 120), (90, 30)),
            (ResizeEdge::Bottom, (5.0, -40.0), (200, 60), (100, 50)),
            (ResizeEdge::None, (5.0, 5.0), (200, 100), (100, 50)),
        ];
        for (edge, by, size, place) in cases {
            let edges = Edges::from(edge);
            let grown = edges.grow(from.size, Point::from(by));
            assert_eq!(grown, Size::from(size), "{edge:?} grows");
            assert_eq!(edges.anchor(from, grown), Point::from(place), "{edge:?} lies");
        }
    }
}
