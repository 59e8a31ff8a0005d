//! `xdg_positioner`: places whose sums fit into 32 bits.

use smithay::{
    reexports::{
        wayland_protocols::xdg::shell::server::xdg_positioner::{self, XdgPositioner},
        wayland_server::{Client, DataInit, Resource as _, WEnum},
    },
    wayland::shell::xdg::{XdgPositionerUserData, XdgShellState},
};

use super::{
    Guard, guarded,
    limits::{FAR, place},
    records::records,
};
use crate::state::Heapwright;

impl Guard for XdgPositioner {
    fn check(
        _: &mut Heapwright,
        client: &Client,
        positioner: &Self,
        request: xdg_positioner::Request,
        _: &mut DataInit<'_, Heapwright>,
    ) -> Option<xdg_positioner::Request> {
        use xdg_positioner::Request::{
            Destroy, SetAnchor, SetAnchorRect, SetGravity, SetOffset, SetParentSize, SetSize,
        };
        let mut records = records(client);
        let id = positioner.id();
        Some(match request {
            SetSize { width, height } => {
                if width > 0 && height > 0 {
                    records.positioners.entry(id).or_default().size = true;
                }
                SetSize { width: width.min(FAR), height: height.min(FAR) }
            }
            // An empty rectangle is no error, but leaves the positioner incomplete.
            SetAnchorRect { width, height, .. }
                if width >= 0 && height >= 0 && (width == 0 || height == 0) =>
            {
                records.positioners.entry(id).or_default().anchor = false;
                return None;
            }
            SetAnchorRect { x, y, width, height } => {
                records.positioners.entry(id).or_default().anchor = true;
                SetAnchorRect { x: place(x), y: place(y), width: width.min(FAR), height: height.min(FAR) }
            }
            SetOffset { x, y } => SetOffset { x: place(x), y: place(y) },
            SetParentSize { parent_width, parent_height } => SetParentSize {
                parent_width: parent_width.clamp(0, FAR),
                parent_height: parent_height.clamp(0, FAR),
            },
            SetAnchor { anchor: WEnum::Unknown(anchor) } => {
                positioner.post_error(xdg_positioner::Error::InvalidInput, format!("anchor {anchor}"));
                return None;
            }
            SetGravity { gravity: WEnum::Unknown(gravity) } => {
                positioner.post_error(xdg_positioner::Error::InvalidInput, format!("gravity {gravity}"));
                return None;
            }
            Destroy => {
                records.positioners.remove(&id);
                Destroy
            }
            other => other,
        })
    }
}

guarded!(XdgPositioner, XdgPositionerUserData => XdgShellState);
