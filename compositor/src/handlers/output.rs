//! Outputs and the times at which frames reached them.

use smithay::{
    delegate_presentation,
    reexports::{
        wayland_protocols::xdg::xdg_output::zv1::server::{
            zxdg_output_manager_v1::ZxdgOutputManagerV1, zxdg_output_v1::ZxdgOutputV1,
        },
        wayland_server::{delegate_dispatch, delegate_global_dispatch, protocol::wl_output::WlOutput},
    },
    wayland::output::{OutputHandler, OutputManagerState, OutputUserData, WlOutputData, XdgOutputUserData},
};

use crate::state::Heapwright;

impl OutputHandler for Heapwright {}

// Requests of `zxdg_output_manager_v1` go through `crate::guard`.
delegate_global_dispatch!(Heapwright: [WlOutput: WlOutputData] => OutputManagerState);
delegate_global_dispatch!(Heapwright: [ZxdgOutputManagerV1: ()] => OutputManagerState);
delegate_dispatch!(Heapwright: [WlOutput: OutputUserData] => OutputManagerState);
delegate_dispatch!(Heapwright: [ZxdgOutputV1: XdgOutputUserData] => OutputManagerState);
delegate_presentation!(Heapwright);
