//! `xdg_wm_base`: only fresh surfaces become windows.

use smithay::{
    backend::renderer::utils::with_renderer_surface_state,
    reexports::{
        wayland_protocols::xdg::shell::server::xdg_wm_base::{self, XdgWmBase},
        wayland_server::{Client, DataInit, Resource as _, protocol::wl_surface::WlSurface},
    },
    wayland::{
        compositor::{BufferAssignment, SurfaceAttributes, get_role, with_states},
        shell::xdg::{XDG_POPUP_ROLE, XDG_TOPLEVEL_ROLE, XdgShellState, XdgWmBaseUserData},
    },
};

use super::{
    Guard, guarded, peek,
    records::{XdgSurfaceRecord, records},
};
use crate::state::Heapwright;

impl Guard for XdgWmBase {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        wm_base: &Self,
        request: xdg_wm_base::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<xdg_wm_base::Request> {
        let xdg_wm_base::Request::GetXdgSurface { id, surface } = request else { return Some(request) };
        let mut records = records(client);
        // A surface that was a window, and is none now, may become one again.
        let other_role =
            get_role(&surface).is_some_and(|role| role != XDG_TOPLEVEL_ROLE && role != XDG_POPUP_ROLE);
        if other_role || records.shell_of(&surface).is_some() {
            wm_base.post_error(xdg_wm_base::Error::Role, "the surface has a role");
            return None;
        }
        if has_buffer(&surface) {
            wm_base.post_error(xdg_wm_base::Error::InvalidSurfaceState, "the surface has a buffer");
            return None;
        }
        let (xdg_surface, id) = peek(id, init);
        records.add_xdg_surface(XdgSurfaceRecord {
            xdg_surface,
            wl_surface: surface.clone(),
            wm_base: wm_base.clone(),
            constructed: false,
        });
        Some(xdg_wm_base::Request::GetXdgSurface { id, surface })
    }
}

/// Whether a buffer is attached or committed.
fn has_buffer(surface: &WlSurface) -> bool {
    let attached = with_states(surface, |states| {
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        matches!(attributes.pending().buffer, Some(BufferAssignment::NewBuffer(_)))
    });
    attached || with_renderer_surface_state(surface, |state| state.buffer().is_some()).unwrap_or(false)
}

guarded!(XdgWmBase, XdgWmBaseUserData => XdgShellState);
