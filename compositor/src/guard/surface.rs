//! `wl_surface`: what is pending must make sense before it is committed.

use smithay::{
    backend::renderer::buffer_dimensions,
    reexports::{
        wayland_protocols::xdg::shell::server::{xdg_surface, xdg_toplevel, xdg_wm_base},
        wayland_server::{
            Client, DataInit, Resource as _, WEnum,
            protocol::wl_surface::{self, WlSurface},
        },
    },
    utils::{Logical, Size},
    wayland::{
        compositor::{BufferAssignment, CompositorState, SurfaceAttributes, SurfaceUserData, with_states},
        seat::CURSOR_IMAGE_ROLE,
        shell::xdg::{
            SurfaceCachedState, XDG_POPUP_ROLE, XDG_TOPLEVEL_ROLE, XdgPopupSurfaceData,
            XdgToplevelSurfaceData,
        },
        viewporter::ViewportCachedState,
    },
};

use super::{
    Guard, guarded,
    limits::{BUFFER_SIDE, DAMAGE_PARTS, OPAQUE_PARTS, SURFACE_SIDE, part, place},
    records::{XdgSurfaceRecord, records},
};
use crate::{explicit_sync, state::Heapwright};

impl Guard for WlSurface {
    fn check(
        state: &mut Heapwright,
        client: &Client,
        surface: &Self,
        request: wl_surface::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<wl_surface::Request> {
        use wl_surface::Request::{
            Attach, Commit, Damage, DamageBuffer, Destroy, Offset, SetBufferTransform, SetOpaqueRegion,
        };
        Some(match request {
            Attach { buffer, x, y } => Attach { buffer, x: place(x), y: place(y) },
            Offset { x, y } => Offset { x: place(x), y: place(y) },
            Damage { x, y, width, height } => {
                let (x, y, width, height) = part(x, y, width, height, i32::MAX)?;
                if x.saturating_add(width) > SURFACE_SIDE || y.saturating_add(height) > SURFACE_SIDE {
                    // Farther than surfaces go: what is meant is all of it.
                    damage(surface, everything())?
                } else {
                    damage(surface, Damage { x, y, width, height })?
                }
            }
            DamageBuffer { x, y, width, height } => {
                let (x, y, width, height) = part(x, y, width, height, BUFFER_SIDE)?;
                damage(surface, DamageBuffer { x, y, width, height })?
            }
            SetOpaqueRegion { region: Some(region) } => {
                let parts = records(client).regions.get(&region.id()).copied().unwrap_or(0);
                // It is a hint: a surface without one is drawn right as well.
                SetOpaqueRegion { region: (parts <= OPAQUE_PARTS).then_some(region) }
            }
            SetBufferTransform { transform: WEnum::Unknown(transform) } => {
                surface.post_error(wl_surface::Error::InvalidTransform, format!("transform {transform}"));
                return None;
            }
            Commit => {
                let shell = records(client).shell_of(surface).cloned();
                if !fits_its_scale(surface)
                    || shell.is_some_and(|shell| !is_sound(state, surface, &shell))
                    || !explicit_sync::is_sound(surface)
                {
                    return None;
                }
                Commit
            }
            Destroy => {
                if records(client).shell_of(surface).is_some_and(|shell| shell.constructed) {
                    surface.post_error(
                        wl_surface::Error::DefunctRoleObject,
                        "destroyed before its toplevel or popup",
                    );
                    return None;
                }
                Destroy
            }
            other => other,
        })
    }
}

/// Damage of the whole surface.
fn everything() -> wl_surface::Request {
    wl_surface::Request::DamageBuffer { x: 0, y: 0, width: BUFFER_SIDE, height: BUFFER_SIDE }
}

/// One more damaged rectangle, unless there are so many that everything counts as damaged.
fn damage(surface: &WlSurface, request: wl_surface::Request) -> Option<wl_surface::Request> {
    with_states(surface, |states| {
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        // What is committed without a buffer waits for the next buffer.
        let waiting = attributes.current().damage.len();
        let pending = &mut attributes.pending().damage;
        if waiting > DAMAGE_PARTS {
            return None;
        }
        if waiting + pending.len() < DAMAGE_PARTS {
            return Some(request);
        }
        pending.clear();
        Some(everything())
    })
}

/// Checks that a new buffer is a multiple of its scale.
fn fits_its_scale(surface: &WlSurface) -> bool {
    let misfit = with_states(surface, |states| {
        let (size, scale) = {
            let mut attributes = states.cached_state.get::<SurfaceAttributes>();
            let pending = attributes.pending();
            let Some(BufferAssignment::NewBuffer(buffer)) = &pending.buffer else { return None };
            (buffer_dimensions(buffer)?, pending.buffer_scale)
        };
        // Cursor themes are known for odd sizes, and a surface without a role may be a cursor's. With a source
        // rectangle the buffer's size is not the surface's.
        let exempt = matches!(states.role, None | Some(CURSOR_IMAGE_ROLE))
            || states.cached_state.get::<ViewportCachedState>().pending().src.is_some();
        (!exempt && (size.w % scale != 0 || size.h % scale != 0)).then_some((size, scale))
    });
    if let Some((size, scale)) = misfit {
        surface.post_error(
            wl_surface::Error::InvalidSize,
            format!("a buffer of {}x{} is no multiple of scale {scale}", size.w, size.h),
        );
    }
    misfit.is_none()
}

/// What is wrong with a commit of a window or popup.
enum Unsound {
    Unconfigured,
    Orphan,
    Limits { min: Size<i32, Logical>, max: Size<i32, Logical> },
}

/// Checks a commit of a surface that is, or is to be, a toplevel or popup.
fn is_sound(state: &Heapwright, surface: &WlSurface, shell: &XdgSurfaceRecord) -> bool {
    let unsound = with_states(surface, |states| {
        let with_buffer = {
            let mut attributes = states.cached_state.get::<SurfaceAttributes>();
            matches!(attributes.pending().buffer, Some(BufferAssignment::NewBuffer(_)))
        };
        let (configured, orphan) = match states.role {
            Some(XDG_TOPLEVEL_ROLE) => {
                let data = states.data_map.get::<XdgToplevelSurfaceData>()?.lock().ok()?;
                (data.configured && data.initial_configure_sent, false)
            }
            Some(XDG_POPUP_ROLE) => {
                let data = states.data_map.get::<XdgPopupSurfaceData>()?.lock().ok()?;
                (data.configured && data.initial_configure_sent, shell.constructed && data.parent.is_none())
            }
            _ => (false, false),
        };
        if orphan {
            return Some(Unsound::Orphan);
        }
        if with_buffer && !configured {
            return Some(Unsound::Unconfigured);
        }
        let mut limits = states.cached_state.get::<SurfaceCachedState>();
        let (min, max) = (limits.pending().min_size, limits.pending().max_size);
        ((max.w != 0 && min.w > max.w) || (max.h != 0 && min.h > max.h))
            .then_some(Unsound::Limits { min, max })
    });
    match unsound {
        None => return true,
        Some(Unsound::Unconfigured) => shell.xdg_surface.post_error(
            xdg_surface::Error::UnconfiguredBuffer,
            "a buffer before the first configure was acknowledged",
        ),
        Some(Unsound::Orphan) => {
            shell.wm_base.post_error(xdg_wm_base::Error::InvalidPopupParent, "a popup without a parent");
        }
        Some(Unsound::Limits { min, max }) => {
            let toplevels = state.protocols.xdg_shell.toplevel_surfaces();
            let Some(toplevel) = toplevels.iter().find(|toplevel| toplevel.wl_surface() == surface) else {
                return true;
            };
            toplevel.xdg_toplevel().post_error(
                xdg_toplevel::Error::InvalidSize,
                format!("a minimum of {}x{} above a maximum of {}x{}", min.w, min.h, max.w, max.h),
            );
        }
    }
    false
}

guarded!(WlSurface, SurfaceUserData => CompositorState);
