//! Grabs of popups: a menu has the keyboard and the pointer until it is dismissed.

use smithay::{
    desktop::{PopupKeyboardGrab, PopupKind, PopupPointerGrab, PopupUngrabStrategy},
    input::{Seat, pointer::Focus},
    reexports::wayland_server::protocol::wl_surface::WlSurface,
    utils::Serial,
};
use tracing::debug;

use crate::state::Heapwright;

/// Starts the grab a client asks for, or dismisses the popup when others hold the seat.
pub fn start(
    state: &mut Heapwright,
    seat: &Seat<Heapwright>,
    root: WlSurface,
    popup: PopupKind,
    serial: Serial,
) {
    let mut grab = match state.popups.grab_popup(root, popup, seat, serial) {
        Ok(grab) => grab,
        Err(error) => {
            debug!(%error, "popup grab refused");
            return;
        }
    };
    let stale = |grabbed: bool, ours: bool| grabbed && !ours;
    if let Some(keyboard) = seat.get_keyboard() {
        let ours = keyboard.has_grab(serial)
            || grab.previous_serial().is_some_and(|previous| keyboard.has_grab(previous));
        if stale(keyboard.is_grabbed(), ours) {
            grab.ungrab(PopupUngrabStrategy::All);
            return;
        }
        keyboard.set_focus(state, grab.current_grab(), serial);
        keyboard.set_grab(state, PopupKeyboardGrab::new(&grab), serial);
    }
    if let Some(pointer) = seat.get_pointer() {
        let ours = pointer.has_grab(serial)
            || grab.previous_serial().is_some_and(|previous| pointer.has_grab(previous));
        if stale(pointer.is_grabbed(), ours) {
            grab.ungrab(PopupUngrabStrategy::All);
            return;
        }
        pointer.set_grab(state, PopupPointerGrab::new(&grab), serial, Focus::Keep);
    }
}
