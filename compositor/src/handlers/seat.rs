//! Keyboard and pointer focus, and the pointer's image.

use smithay::{
    delegate_seat,
    input::{Seat, SeatHandler, SeatState, pointer::CursorImageStatus},
    reexports::{
        wayland_protocols::wp::cursor_shape::v1::server::{
            wp_cursor_shape_device_v1::WpCursorShapeDeviceV1,
            wp_cursor_shape_manager_v1::WpCursorShapeManagerV1,
        },
        wayland_server::{
            Resource as _, delegate_dispatch, delegate_global_dispatch, protocol::wl_surface::WlSurface,
        },
    },
    wayland::{
        cursor_shape::{CursorShapeDeviceUserData, CursorShapeManagerState},
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
// Requests of the manager go through `crate::guard`.
delegate_global_dispatch!(Heapwright: [WpCursorShapeManagerV1: ()] => CursorShapeManagerState);
delegate_dispatch!(Heapwright: [WpCursorShapeDeviceV1: CursorShapeDeviceUserData<Heapwright>] => CursorShapeManagerState);
