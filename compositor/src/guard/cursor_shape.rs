//! `wp_cursor_shape_manager_v1`: pointers of a seat that had none.

use smithay::{
    input::pointer::PointerHandle,
    reexports::{
        wayland_protocols::wp::cursor_shape::v1::server::wp_cursor_shape_manager_v1::{
            self, WpCursorShapeManagerV1,
        },
        wayland_server::{Client, DataInit},
    },
    wayland::cursor_shape::CursorShapeManagerState,
};

use super::{Guard, guarded, inert};
use crate::state::Heapwright;

impl Guard for WpCursorShapeManagerV1 {
    fn check(
        _: &mut Heapwright,
        _: &Client,
        _: &Self,
        request: wp_cursor_shape_manager_v1::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<wp_cursor_shape_manager_v1::Request> {
        use wp_cursor_shape_manager_v1::Request::GetPointer;
        match request {
            // Got before the seat had a pointer, or on a seat that has none: it does nothing, nor does this.
            GetPointer { cursor_shape_device, pointer }
                if PointerHandle::<Heapwright>::from_resource(&pointer).is_none() =>
            {
                inert(cursor_shape_device, init);
                None
            }
            other => Some(other),
        }
    }
}

guarded!(WpCursorShapeManagerV1, () => CursorShapeManagerState);
