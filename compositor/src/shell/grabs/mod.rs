//! Grabs: while one lasts, the pointer belongs to it and not to the client below.

pub mod moving;
pub mod popup;
pub mod resizing;

use smithay::{
    input::{Seat, pointer::GrabStartData},
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::Serial,
};

use crate::state::{Heapwright, same_client};

/// The left button's code (linux/input-event-codes.h).
pub(crate) const BTN_LEFT: u32 = 0x110;

/// The press that `serial` names, if it is still held and fell on a surface of the same client.
///
/// A client may ask for a grab only in answer to input it was given.
fn press_on(
    seat: &Seat<Heapwright>,
    surface: &WlSurface,
    serial: Serial,
) -> Option<GrabStartData<Heapwright>> {
    let pointer = seat.get_pointer()?;
    if !pointer.has_grab(serial) {
        return None;
    }
    let start = pointer.grab_start_data()?;
    let (focused, _) = start.focus.as_ref()?;
    same_client(focused, surface).then_some(start)
}

/// The parts of `PointerGrab` in which one window grab does as the other: it ends with the left button, and passes all
/// other events on.
macro_rules! pass_on {
    () => {
        fn button(
            &mut self,
            state: &mut crate::state::Heapwright,
            pointer: &mut smithay::input::pointer::PointerInnerHandle<'_, crate::state::Heapwright>,
            event: &smithay::input::pointer::ButtonEvent,
        ) {
            pointer.button(state, event);
            if !pointer.current_pressed().contains(&$crate::shell::grabs::BTN_LEFT) {
                pointer.unset_grab(self, state, event.serial, event.time, true);
            }
        }

        fn relative_motion(
            &mut self,
            state: &mut crate::state::Heapwright,
            pointer: &mut smithay::input::pointer::PointerInnerHandle<'_, crate::state::Heapwright>,
            focus: Option<(
                smithay::reexports::wayland_server::protocol::wl_surface::WlSurface,
                smithay::utils::Point<f64, smithay::utils::Logical>,
            )>,
            event: &smithay::input::pointer::RelativeMotionEvent,
        ) {
            pointer.relative_motion(state, focus, event);
        }

        fn axis(
            &mut self,
            state: &mut crate::state::Heapwright,
            pointer: &mut smithay::input::pointer::PointerInnerHandle<'_, crate::state::Heapwright>,
            details: smithay::input::pointer::AxisFrame,
        ) {
            pointer.axis(state, details);
        }

        fn frame(
            &mut self,
            state: &mut crate::state::Heapwright,
            pointer: &mut smithay::input::pointer::PointerInnerHandle<'_, crate::state::Heapwright>,
        ) {
            pointer.frame(state);
        }

        $crate::shell::grabs::pass_on! {
            gesture_swipe_begin: smithay::input::pointer::GestureSwipeBeginEvent,
            gesture_swipe_update: smithay::input::pointer::GestureSwipeUpdateEvent,
            gesture_swipe_end: smithay::input::pointer::GestureSwipeEndEvent,
            gesture_pinch_begin: smithay::input::pointer::GesturePinchBeginEvent,
            gesture_pinch_update: smithay::input::pointer::GesturePinchUpdateEvent,
            gesture_pinch_end: smithay::input::pointer::GesturePinchEndEvent,
            gesture_hold_begin: smithay::input::pointer::GestureHoldBeginEvent,
            gesture_hold_end: smithay::input::pointer::GestureHoldEndEvent,
        }
    };
    ($($name:ident: $event:ty),* $(,)?) => {
        $(fn $name(
            &mut self,
            state: &mut crate::state::Heapwright,
            pointer: &mut smithay::input::pointer::PointerInnerHandle<'_, crate::state::Heapwright>,
            event: &$event,
        ) {
            pointer.$name(state, event);
        })*
    };
}
pub(crate) use pass_on;
