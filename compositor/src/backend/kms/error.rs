//! Why there is no session on a KMS device.

use std::path::PathBuf;

use heapwright_alloc::devices::DeviceError;
use smithay::backend::drm::DrmError;

/// Why there is no session on a KMS device.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// No seat.
    #[error(
        "no seat: {0}; run inside a login session, start seatd, or set LIBSEAT_BACKEND=noop where you may open the \
         device yourself"
    )]
    Seat(#[source] smithay::backend::session::libseat::Error),
    /// The device node can't be opened.
    #[error("cannot open {path}: {source}; check that it exists and that the seat's user may open it")]
    Open {
        /// The node.
        path: PathBuf,
        /// What libseat said.
        source: smithay::backend::session::libseat::Error,
    },
    /// The node is no display.
    #[error(
        "{path} is no usable KMS device: {source}; `--device` takes a node under /dev/dri that drives a display, \
         and no other compositor may hold it"
    )]
    NotKms {
        /// The node.
        path: PathBuf,
        /// What the kernel said.
        source: DrmError,
    },
    /// The allocator can't read the device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// No device has a display.
    #[error("no display found: {tried}; connect one, or name its device with --device")]
    NoDisplay {
        /// Every node tried and why it was passed over.
        tried: String,
    },
    /// No CRTC, or no memory that the display takes.
    #[error("{connector} on {path} cannot be lit: {why}")]
    Output {
        /// The node.
        path: PathBuf,
        /// Connector name.
        connector: String,
        /// Reason.
        why: String,
    },
    /// The renderer did not start.
    #[error("software renderer: {0}")]
    Renderer(#[from] smithay::backend::renderer::pixman::PixmanError),
    /// The event loop refused a source.
    #[error("event loop: {0}")]
    Loop(String),
}

pub(super) fn loop_error(error: impl std::fmt::Display) -> KmsError {
    KmsError::Loop(error.to_string())
}
