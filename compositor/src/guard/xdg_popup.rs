//! `xdg_popup`: closed from the top, placed by complete positioners.

use smithay::{
    reexports::{
        wayland_protocols::xdg::shell::server::{
            xdg_popup::{self, XdgPopup},
            xdg_wm_base,
        },
        wayland_server::{Client, DataInit, Resource as _},
    },
    wayland::{
        compositor::with_states,
        shell::xdg::{XdgPopupSurfaceData, XdgShellState, XdgShellSurfaceUserData},
    },
};

use super::{Guard, guarded, records::records};
use crate::state::Heapwright;

impl Guard for XdgPopup {
    fn check(
        state: &mut Heapwright,
        client: &Client,
        popup: &Self,
        request: xdg_popup::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<xdg_popup::Request> {
        let mut records = records(client);
        let Some(record) = records.shell_of_role(&popup.id()).cloned() else { return Some(request) };
        match &request {
            xdg_popup::Request::Destroy => {
                let popups = state.protocols.xdg_shell.popup_surfaces();
                let has_child = popups
                    .iter()
                    .any(|other| other.get_parent_surface().as_ref() == Some(&record.wl_surface));
                if has_child {
                    record.wm_base.post_error(
                        xdg_wm_base::Error::NotTheTopmostPopup,
                        "popups are destroyed from the topmost down",
                    );
                    return None;
                }
                records.deconstruct(&popup.id());
            }
            xdg_popup::Request::Reposition { positioner, .. } if !records.is_complete(positioner) => {
                record.wm_base.post_error(
                    xdg_wm_base::Error::InvalidPositioner,
                    "the positioner needs a size and an anchor rectangle",
                );
                return None;
            }
            xdg_popup::Request::Grab { .. } => {
                let committed = with_states(&record.wl_surface, |states| {
                    let data = states.data_map.get::<XdgPopupSurfaceData>()?;
                    Some(data.lock().ok()?.committed)
                });
                if committed == Some(true) {
                    popup.post_error(xdg_popup::Error::InvalidGrab, "a grab comes before the first commit");
                    return None;
                }
            }
            _ => {}
        }
        Some(request)
    }
}

guarded!(XdgPopup, XdgShellSurfaceUserData => XdgShellState);
