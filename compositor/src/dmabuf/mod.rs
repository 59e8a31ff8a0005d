//! linux-dmabuf, version 6 and what older clients expect of it.
//!
//! Ours, because Smithay 0.7's module takes planes in the order of their requests instead of by their index, checks
//! neither modifiers nor the bounds of later planes, and drops flags that it does not know. The buffers made here carry
//! Smithay's [`Dmabuf`] as their user data, so that `get_dmabuf`, the renderers and the KMS compositor see no difference.
//!
//! | file | what it holds |
//! |---|---|
//! | [`feedback`] | devices, tranches and the format table, checked and ready to send |
//! | [`validate`] | whether a buffer is what its client says: pure |
//! | [`mod@file`] | what the kernel says of a client's file |
//! | [`quota`] | how many files each client makes us hold |
//! | `params` | `zwp_linux_buffer_params_v1`, and the `wl_buffer` it makes |
//! | [`global`] | the global, the feedback objects and who has been told what |
//!
//! Invariants:
//! 1. Every refusal is the specification's error code, or `failed` where the client could not have known better.
//! 2. A pair that was advertised once is never the client's fault later: news and requests cross on the wire.
//! 3. A client makes us hold at most its share of file descriptors.
//! 4. Feedback is sent only when it differs from what its object was told last.

use std::sync::Arc;

use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::buffer::BufferHandler;

pub mod feedback;
pub mod file;
pub mod global;
mod params;
pub mod quota;
pub mod validate;

pub use feedback::{Feedback, FeedbackError, Tranche};
pub use global::{DmabufGlobalData, DmabufGlobalState, FeedbackObjectData};
pub use params::ParamsData;

/// No device here can use a buffer; the text goes to the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(pub String);

/// What linux-dmabuf asks of the compositor's state.
pub trait DmabufHandler: BufferHandler {
    /// The state made by [`DmabufGlobalState::new`].
    fn dmabuf_state(&mut self) -> &mut DmabufGlobalState;

    /// Tries whether the compositor can use a buffer that is well formed, commonly by importing it into the renderer:
    /// into that of the device (a `dev_t`) that the client names for sampling, if it names one, else into any.
    ///
    /// # Errors
    /// Why not. `create` is answered by `failed`, `create_immed` by the error `invalid_wl_buffer`.
    fn dmabuf_imported(
        &mut self,
        client: &Client,
        dmabuf: &Dmabuf,
        sampling_device: Option<u64>,
    ) -> Result<(), ImportError>;

    /// A `wl_buffer` was made of an imported buffer. Its end comes through [`BufferHandler::buffer_destroyed`].
    fn dmabuf_created(&mut self, _buffer: &WlBuffer, _dmabuf: &Dmabuf) {}

    /// The feedback that a surface starts with when its client first asks and none was set: `None` is the default one.
    fn surface_feedback(&mut self, _surface: &WlSurface) -> Option<Arc<Feedback>> {
        None
    }
}

/// Routes the requests of linux-dmabuf objects, and of the buffers made by them, to this module.
#[macro_export]
macro_rules! delegate_heapwright_dmabuf {
    ($state:ty) => {
        const _: () = {
            use ::heapwright_protocols::linux_dmabuf::server::{
                zwp_linux_buffer_params_v1::ZwpLinuxBufferParamsV1,
                zwp_linux_dmabuf_feedback_v1::ZwpLinuxDmabufFeedbackV1,
                zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
            };
            use ::smithay::reexports::wayland_server::{
                delegate_dispatch, delegate_global_dispatch, protocol::wl_buffer::WlBuffer,
            };
            use $crate::dmabuf::{DmabufGlobalData, DmabufGlobalState, FeedbackObjectData, ParamsData};

    delegate_global_dispatch!($state: [ZwpLinuxDmabufV1: DmabufGlobalData] => DmabufGlobalState);
    delegate_dispatch!($state: [ZwpLinuxDmabufV1: DmabufGlobalData] => DmabufGlobalState);
    delegate_dispatch!($state: [ZwpLinuxBufferParamsV1: ParamsData] => DmabufGlobalState);
    delegate_dispatch!($state: [ZwpLinuxDmabufFeedbackV1: FeedbackObjectData] => DmabufGlobalState);
            delegate_dispatch!(
                $state: [WlBuffer: ::smithay::backend::allocator::dmabuf::Dmabuf] => DmabufGlobalState
            );
        };
    };
}
