//! `zxdg_output_manager_v1`: outputs that have just gone.

use smithay::{
    output::Output,
    reexports::{
        wayland_protocols::xdg::xdg_output::zv1::server::zxdg_output_manager_v1::{
            self, ZxdgOutputManagerV1,
        },
        wayland_server::{Client, DataInit},
    },
    wayland::output::OutputManagerState,
};

use super::{Guard, guarded, inert};
use crate::state::Heapwright;

impl Guard for ZxdgOutputManagerV1 {
    fn check(
        _: &mut Heapwright,
        _: &Client,
        _: &Self,
        request: zxdg_output_manager_v1::Request,
        init: &mut DataInit<'_, Heapwright>,
    ) -> Option<zxdg_output_manager_v1::Request> {
        use zxdg_output_manager_v1::Request::GetXdgOutput;
        match request {
            GetXdgOutput { id, output } if Output::from_resource(&output).is_none() => {
                inert(id, init);
                None
            }
            other => Some(other),
        }
    }
}

guarded!(ZxdgOutputManagerV1, () => OutputManagerState);
