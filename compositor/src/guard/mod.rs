//! Requests that Smithay 0.7 dies of, hangs on or fails to refuse, answered before Smithay sees them.
//!
//! Each file takes one interface: it looks at a request and lets it pass (perhaps with its numbers cut to what can be
//! on a screen), or answers it with the specification's error. What Smithay refuses properly is not checked twice.
//!
//! "dies" is said of both builds, "dies in debug" of an assertion or an overflow check.
//!
//! | request | Smithay 0.7 | here |
//! |---|---|---|
//! | `wl_shm.create_pool` longer than its file | maps it; SIGBUS is caught at the first read | `invalid_fd` |
//! | `wl_shm_pool.resize` to 0 or less | posts an error and dies | `invalid_fd` |
//! | `wl_shm_pool.create_buffer`, unknown format | `invalid_stride` | `invalid_format` |
//! | the same, a side above 65,535 or a pitch not of whole words | the frame fails to draw, for everyone | `invalid_stride` |
//! | `wl_region.add`, `subtract` | dies in debug of a negative size; negative places count as opaque | cut to the surface |
//! | the same, without end | each commit copies all of them | `implementation` from 4,096 |
//! | `wl_surface.set_opaque_region` of many parts | quadratic work at commit | a hint: left out |
//! | `wl_surface.damage` | dies in debug of a negative size or a transformed far place | cut; far means everything |
//! | the same, without end | all of it is kept | everything |
//! | `wl_surface.set_buffer_transform` unknown | ignored | `invalid_transform` |
//! | `wl_surface.commit`, buffer no multiple of the scale | taken | `invalid_size` |
//! | the same, buffer before the first configure | taken | `unconfigured_buffer` |
//! | the same, minimum above maximum | taken | `invalid_size` |
//! | the same, popup without a parent | taken | `invalid_popup_parent` |
//! | `wl_surface.destroy` before its role object | taken | `defunct_role_object` |
//! | `wl_subcompositor.get_subsurface`, deep | tree walks exhaust the stack: dies | `bad_parent` from 128 levels |
//! | the same, without end | every frame walks all of them | `bad_parent` from 4,096 |
//! | the same, below itself | `bad_surface` | `bad_parent` |
//! | `wl_subsurface.place_above` itself | dies | `bad_surface` |
//! | `xdg_wm_base.get_xdg_surface`, role or buffer there | taken | `role`, `invalid_surface_state` |
//! | `xdg_surface.get_toplevel`, `get_popup` twice | taken | `already_constructed` |
//! | `xdg_surface.get_popup` below itself | hangs | `invalid_popup_parent` |
//! | the same, deep | recursive walks | `invalid_popup_parent` from 128 levels |
//! | the same and `reposition`, incomplete positioner | taken | `invalid_positioner` |
//! | `xdg_surface.set_window_geometry` empty | dies in debug if negative | `invalid_size` |
//! | `xdg_surface.ack_configure` unknown | another error | `invalid_serial` |
//! | `xdg_surface.destroy` before its role object | another error | `defunct_role_object` |
//! | `xdg_popup.destroy` below another popup | taken; its coordinates are then asked for: dies | `not_the_topmost_popup` |
//! | `xdg_popup.grab` of a mapped popup | an error on the wrong object | `invalid_grab` |
//! | `xdg_toplevel.set_min_size`, `set_max_size` negative | dies in debug | `invalid_size` |
//! | `xdg_toplevel.resize`, unknown edge | ignored | `invalid_resize_edge` |
//! | `xdg_positioner`, far places | dies in debug of an overflow | cut |
//! | `xdg_positioner.set_anchor`, `set_gravity` unknown | ignored | `invalid_input` |
//! | `wp_viewport.set_destination`, enormous | the frame fails to draw, for everyone | cut |
//! | `wp_viewporter.get_viewport` twice | an error on the wrong object | `viewport_exists` |
//! | `wp_cursor_shape_manager_v1.get_pointer`, seat without pointer | dies | an inert object |
//! | `zxdg_output_manager_v1.get_xdg_output`, output gone | dies | an inert object |

mod cursor_shape;
pub mod limits;
pub mod records;
mod region;
mod shm;
mod subsurface;
mod surface;
mod viewport;
mod xdg_output;
mod xdg_popup;
mod xdg_positioner;
mod xdg_surface;
mod xdg_toplevel;
mod xdg_wm_base;

use std::{os::fd::OwnedFd, sync::Arc};

use smithay::reexports::wayland_server::{
    Client, DataInit, New, Resource,
    backend::{ClientId, Handle, ObjectData, ObjectId, protocol::Message},
};

use crate::state::Heapwright;

/// A look at each request of an interface before Smithay's own code.
trait Guard: Resource {
    /// The request to go on with, or nothing when it has been answered here.
    fn check(
        state: &mut Heapwright,
        client: &Client,
        resource: &Self,
        request: Self::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<Self::Request>;
}

/// Implements `Dispatch` by asking [`Guard`] first and Smithay then.
macro_rules! guarded {
    ($interface:ty, $data:ty => $smithay:ty) => {
        impl smithay::reexports::wayland_server::Dispatch<$interface, $data> for crate::state::Heapwright {
            fn request(
                state: &mut Self,
                client: &smithay::reexports::wayland_server::Client,
                resource: &$interface,
                request: <$interface as smithay::reexports::wayland_server::Resource>::Request,
                data: &$data,
                display: &smithay::reexports::wayland_server::DisplayHandle,
                init: &mut smithay::reexports::wayland_server::DataInit<'_, Self>,
            ) {
                use smithay::reexports::wayland_server::Dispatch;
                let Some(request) =
                    <$interface as $crate::guard::Guard>::check(state, client, resource, request, init)
                else {
                    return;
                };
                <$smithay as Dispatch<$interface, $data, Self>>::request(
                    state, client, resource, request, data, display, init,
                );
            }

            fn destroyed(
                state: &mut Self,
                client: smithay::reexports::wayland_server::backend::ClientId,
                resource: &$interface,
                data: &$data,
            ) {
                use smithay::reexports::wayland_server::Dispatch;
                <$smithay as Dispatch<$interface, $data, Self>>::destroyed(state, client, resource, data);
            }
        }
    };
}
use guarded;

/// Finds out which object a request is about to create; Smithay gives it its data afterwards.
fn peek<I: Resource + 'static>(new: New<I>, init: &mut DataInit<'_, Heapwright>) -> (I, New<I>) {
    let object = init.custom_init(new, Arc::new(Unborn));
    (object.clone(), New::wrap(object))
}

/// Gives an object that a request creates no other task than to be destroyed.
fn inert<I: Resource + 'static>(new: New<I>, init: &mut DataInit<'_, Heapwright>) {
    init.custom_init(new, Arc::new(Unborn));
}

/// Data of an object between [`peek`] and Smithay, or of one that ignores whatever is asked of it.
struct Unborn;

impl ObjectData<Heapwright> for Unborn {
    fn request(
        self: Arc<Self>,
        _: &Handle,
        _: &mut Heapwright,
        _: ClientId,
        _: Message<ObjectId, OwnedFd>,
    ) -> Option<Arc<dyn ObjectData<Heapwright>>> {
        None
    }

    fn destroyed(self: Arc<Self>, _: &Handle, _: &mut Heapwright, _: ClientId, _: ObjectId) {}
}
