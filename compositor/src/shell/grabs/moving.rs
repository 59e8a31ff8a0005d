//! Moving a window with the pointer.

use smithay::{
    desktop::Window,
    input::{
        Seat,
        pointer::{Focus, GrabStartData, MotionEvent, PointerGrab, PointerInnerHandle},
    },
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::{Logical, Point, Serial},
    wayland::shell::xdg::ToplevelSurface,
};

use super::{pass_on, press_on};
use crate::{
    shell::window::{Mode, mode_of},
    state::Heapwright,
};

struct MoveGrab {
    start: GrabStartData<Heapwright>,
    window: Window,
    from: Point<i32, Logical>,
}

/// Starts moving a floating window, if the client's wish answers a press on it.
pub fn start(state: &mut Heapwright, toplevel: &ToplevelSurface, seat: &Seat<Heapwright>, serial: Serial) {
    let Some(window) = state.window_of(toplevel.wl_surface()) else { return };
    let (Some(start), Some(pointer)) = (press_on(seat, toplevel.wl_surface(), serial), seat.get_pointer())
    else {
        return;
    };
    let Some(from) = state.space.element_location(&window) else { return };
    if mode_of(&window) == Mode::Floating {
        pointer.set_grab(state, MoveGrab { start, window, from }, serial, Focus::Clear);
    }
}

impl PointerGrab<Heapwright> for MoveGrab {
    fn motion(
        &mut self,
        state: &mut Heapwright,
        pointer: &mut PointerInnerHandle<'_, Heapwright>,
        _focus: Option<(WlSurface, Point<f64, Logical>)>,
        event: &MotionEvent,
    ) {
        pointer.motion(state, None, event);
        let moved = event.location - self.start.location;
        let place = self.from.to_f64() + moved;
        state.space.map_element(self.window.clone(), place.to_i32_round(), true);
        state.backend.schedule_all(&state.events);
    }

    pass_on!();

    fn start_data(&self) -> &GrabStartData<Heapwright> {
        &self.start
    }

    fn unset(&mut self, _state: &mut Heapwright) {}
}
