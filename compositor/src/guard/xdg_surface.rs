//! `xdg_surface`: one role, a size above nothing, and answers to configures that were sent.

use smithay::{
    reexports::{
        wayland_protocols::xdg::shell::server::{
            xdg_surface::{self, XdgSurface},
            xdg_wm_base,
        },
        wayland_server::{Client, DataInit, Resource as _, protocol::wl_surface::WlSurface},
    },
    utils::{IsAlive as _, Serial},
    wayland::{
        compositor::{get_role, with_states},
        shell::xdg::{
            XDG_POPUP_ROLE, XDG_TOPLEVEL_ROLE, XdgPopupSurfaceData, XdgShellState, XdgSurfaceUserData,
            XdgToplevelSurfaceData,
        },
    },
};

use super::{
    Guard, guarded,
    limits::{DEPTH, FAR, place},
    peek,
    records::records,
};
use crate::state::Heapwright;

impl Guard for XdgSurface {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        xdg_surface: &Self,
        request: xdg_surface::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<xdg_surface::Request> {
        use xdg_surface::Request::{AckConfigure, Destroy, GetPopup, GetToplevel, SetWindowGeometry};
        let mut records = records(client);
        let Some(record) = records.xdg_surface(xdg_surface).cloned() else { return Some(request) };
        let surface = &record.wl_surface;
        let twice = || {
            xdg_surface.post_error(
                xdg_surface::Error::AlreadyConstructed,
                "the surface has a toplevel or popup already",
            );
        };
        // Smithay answers the rest of these.
        let takes = |role| get_role(surface).is_none_or(|has| has == role);
        Some(match request {
            GetToplevel { .. } | GetPopup { .. } if record.constructed => {
                twice();
                return None;
            }
            GetToplevel { id } if takes(XDG_TOPLEVEL_ROLE) => {
                let (toplevel, id) = peek(id, init);
                records.construct(xdg_surface, toplevel.id());
                GetToplevel { id }
            }
            GetPopup { id, parent, positioner } if takes(XDG_POPUP_ROLE) => {
                if !records.is_complete(&positioner) {
                    record.wm_base.post_error(
                        xdg_wm_base::Error::InvalidPositioner,
                        "the positioner needs a size and an anchor rectangle",
                    );
                    return None;
                }
                let above = parent.as_ref().and_then(|parent| records.xdg_surface(parent));
                let place = above.map_or(Ok(()), |above| may_be_below(&above.wl_surface, surface));
                if let Err(why) = place {
                    record.wm_base.post_error(xdg_wm_base::Error::InvalidPopupParent, why);
                    return None;
                }
                let (popup, id) = peek(id, init);
                records.construct(xdg_surface, popup.id());
                GetPopup { id, parent, positioner }
            }
            SetWindowGeometry { width, height, .. } if width <= 0 || height <= 0 => {
                xdg_surface
                    .post_error(xdg_surface::Error::InvalidSize, format!("a window of {width}x{height}"));
                return None;
            }
            SetWindowGeometry { x, y, width, height } => {
                if !record.constructed {
                    xdg_surface.post_error(
                        xdg_surface::Error::NotConstructed,
                        "geometry of a surface that is neither toplevel nor popup",
                    );
                    return None;
                }
                SetWindowGeometry { x: place(x), y: place(y), width: width.min(FAR), height: height.min(FAR) }
            }
            AckConfigure { serial } if record.constructed && !was_sent(surface, serial.into()) => {
                xdg_surface.post_error(
                    xdg_surface::Error::InvalidSerial,
                    format!("configure {serial} was not sent, or a newer one is acknowledged already"),
                );
                return None;
            }
            Destroy => {
                if record.constructed && surface.alive() {
                    xdg_surface.post_error(
                        xdg_surface::Error::DefunctRoleObject,
                        "destroyed before its toplevel or popup",
                    );
                    return None;
                }
                records.remove_xdg_surface(xdg_surface);
                Destroy
            }
            other => other,
        })
    }
}

/// Whether a popup of `surface` may have `parent` as its parent.
fn may_be_below(parent: &WlSurface, surface: &WlSurface) -> Result<(), String> {
    let mut next = Some(parent.clone());
    for _ in 0..DEPTH {
        let Some(ancestor) = next else { return Ok(()) };
        if ancestor == *surface {
            return Err("a popup can be neither its own parent nor that of its ancestors".to_owned());
        }
        next = with_states(&ancestor, |states| {
            let popup = states.data_map.get::<XdgPopupSurfaceData>()?;
            popup.lock().ok()?.parent.clone()
        });
    }
    Err(format!("popups more than {DEPTH} levels deep"))
}

/// Whether a configure with this serial waits for its answer.
fn was_sent(surface: &WlSurface, serial: Serial) -> bool {
    with_states(surface, |states| {
        if let Some(toplevel) = states.data_map.get::<XdgToplevelSurfaceData>() {
            toplevel.lock().is_ok_and(|toplevel| {
                toplevel.pending_configures().iter().any(|configure| configure.serial == serial)
            })
        } else if let Some(popup) = states.data_map.get::<XdgPopupSurfaceData>() {
            popup.lock().is_ok_and(|popup| {
                popup.pending_configures().iter().any(|configure| configure.serial == serial)
            })
        } else {
            false
        }
    })
}

guarded!(XdgSurface, XdgSurfaceUserData => XdgShellState);
