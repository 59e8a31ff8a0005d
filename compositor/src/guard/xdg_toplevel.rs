//! `xdg_toplevel`: sizes and edges that exist.

use smithay::{
    reexports::{
        wayland_protocols::xdg::shell::server::xdg_toplevel::{self, XdgToplevel},
        wayland_server::{Client, DataInit, Resource as _, WEnum},
    },
    wayland::shell::xdg::{XdgShellState, XdgShellSurfaceUserData},
};

use super::{Guard, guarded, limits::FAR, records::records};
use crate::state::Heapwright;

impl Guard for XdgToplevel {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        toplevel: &Self,
        request: xdg_toplevel::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<xdg_toplevel::Request> {
        use xdg_toplevel::Request::{Destroy, Resize, SetMaxSize, SetMinSize};
        Some(match request {
            SetMinSize { width, height } | SetMaxSize { width, height } if width < 0 || height < 0 => {
                toplevel.post_error(xdg_toplevel::Error::InvalidSize, format!("a limit of {width}x{height}"));
                return None;
            }
            SetMinSize { width, height } => SetMinSize { width: width.min(FAR), height: height.min(FAR) },
            SetMaxSize { width, height } => SetMaxSize { width: width.min(FAR), height: height.min(FAR) },
            Resize { edges: WEnum::Unknown(edges), .. } => {
                toplevel.post_error(xdg_toplevel::Error::InvalidResizeEdge, format!("edge {edges}"));
                return None;
            }
            Destroy => {
                records(client).deconstruct(&toplevel.id());
                Destroy
            }
            other => other,
        })
    }
}

guarded!(XdgToplevel, XdgShellSurfaceUserData => XdgShellState);
