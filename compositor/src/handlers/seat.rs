//! Keyboard and pointer focus, and the pointer's image.

use smithay::{
    delegate_cursor_shape, delegate_seat,
    input::{Seat, SeatHandler, SeatState, pointer::CursorImageStatus},
    reexports::wayland_server::{Resource as _, protocol::wl_surface::WlSurface},
    wayland::{
        selection::{data_device::set_data_device_focus, primary_selection::set_primary_focus},
        tablet_manager::TabletSeatHandler,
    },
};

use crate::state::Heapwright;

impl SeatHandler for Heapwright {
    type KeyboardFocus = WlSurface;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.seat_state
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focused: Option<&WlSurface>) {
        let client = focused.and_then(|surface| self.display.get_client(surface.id()).ok());
        set_data_device_focus(&self.display, seat, client.clone());
        set_primary_focus(&self.display, seat, client);
    }

    fn cursor_image(&mut self, _seat: &Seat<Self>, image: CursorImageStatus) {
        self.cursor.set_image(image);
        self.backend.schedule_all(&self.events);
    }
}

impl TabletSeatHandler for Heapwright {}

delegate_seat!(Heapwright);
delegate_cursor_shape!(Heapwright);
