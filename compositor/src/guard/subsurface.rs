//! `wl_subcompositor`, `wl_subsurface`: trees neither deep nor endless.
//!
//! Smithay and every renderer walk the tree by recursion, so its height is checked where it grows, with loops.

use smithay::{
    reexports::wayland_server::{
        Client, DataInit, Dispatch, DisplayHandle, Resource as _,
        backend::ClientId,
        protocol::{
            wl_subcompositor::{self, WlSubcompositor},
            wl_subsurface::{self, WlSubsurface},
            wl_surface::WlSurface,
        },
    },
    utils::IsAlive as _,
    wayland::compositor::{CompositorState, SubsurfaceUserData, get_children, get_parent},
};

use super::{
    Guard, guarded,
    limits::{DEPTH, SUBSURFACES, place},
    records::records,
};
use crate::state::Heapwright;

/// Levels above `surface`, and whether `other` is one of them or `surface` itself.
fn above(surface: &WlSurface, other: &WlSurface) -> (usize, bool) {
    let (mut levels, mut found) = (0, surface == other);
    let mut next = get_parent(surface);
    while let Some(parent) = next {
        levels += 1;
        found |= parent == *other;
        // Not reached: a tree never grows beyond.
        if levels > DEPTH {
            break;
        }
        next = get_parent(&parent);
    }
    (levels, found)
}

/// Levels below `surface`, counted no further than `limit`.
fn below(surface: &WlSurface, limit: usize) -> usize {
    let mut level = get_children(surface);
    let mut levels = 0;
    while !level.is_empty() && levels <= limit {
        levels += 1;
        level = level.iter().flat_map(get_children).collect();
    }
    levels
}

impl Guard for WlSubcompositor {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        subcompositor: &Self,
        request: wl_subcompositor::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_subcompositor::Request> {
        let wl_subcompositor::Request::GetSubsurface { surface, parent, .. } = &request else {
            return Some(request);
        };
        let (levels, cycle) = above(parent, surface);
        if cycle {
            subcompositor.post_error(
                wl_subcompositor::Error::BadParent,
                "a surface can be neither its own parent nor that of its ancestors",
            );
            return None;
        }
        if levels + 1 + below(surface, DEPTH) > DEPTH {
            subcompositor.post_error(
                wl_subcompositor::Error::BadParent,
                format!("subsurfaces more than {DEPTH} levels deep"),
            );
            return None;
        }
        let count = {
            let mut records = records(client);
            records.subsurfaces += 1;
            records.subsurfaces
        };
        if count > SUBSURFACES {
            subcompositor.post_error(
                wl_subcompositor::Error::BadParent,
                format!("more than {SUBSURFACES} subsurfaces"),
            );
            return None;
        }
        Some(request)
    }
}

guarded!(WlSubcompositor, () => CompositorState);

impl Dispatch<WlSubsurface, SubsurfaceUserData> for Heapwright {
    fn request(
        state: &mut Self,
        client: &Client,
        subsurface: &WlSubsurface,
        request: wl_subsurface::Request,
        data: &SubsurfaceUserData,
        display: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        use wl_subsurface::Request::{Destroy, PlaceAbove, PlaceBelow, SetPosition};
        let request = match request {
            SetPosition { x, y } => SetPosition { x: place(x), y: place(y) },
            Destroy => {
                let mut records = records(client);
                records.subsurfaces = records.subsurfaces.saturating_sub(1);
                Destroy
            }
            // Without its surface it is inert.
            _ if !data.surface().alive() => return,
            PlaceAbove { sibling } | PlaceBelow { sibling } if sibling == *data.surface() => {
                subsurface
                    .post_error(wl_subsurface::Error::BadSurface, "a subsurface is no sibling of its own");
                return;
            }
            other => other,
        };
        <CompositorState as Dispatch<WlSubsurface, SubsurfaceUserData, Self>>::request(
            state, client, subsurface, request, data, display, init,
        );
    }

    fn destroyed(state: &mut Self, client: ClientId, subsurface: &WlSubsurface, data: &SubsurfaceUserData) {
        <CompositorState as Dispatch<WlSubsurface, SubsurfaceUserData, Self>>::destroyed(
            state, client, subsurface, data,
        );
        // It is seen no more, without a commit.
        state.backend.schedule_all(&state.events);
    }
}
