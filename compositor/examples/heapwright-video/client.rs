//! What is known of the window, and why the program gives up.

use std::{os::fd::OwnedFd, time::Duration};

use heapwright_client::Inexpressible;
use rustix::io::Errno;
use wayland_client::{
    DispatchError,
    backend::WaylandError,
    globals::{BindError, GlobalError},
    protocol::{wl_buffer::WlBuffer, wl_pointer::WlPointer},
};

use crate::part::{BufferFailed, Part};

/// Why the program gave up.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No compositor.
    #[error("no compositor: {0}; is WAYLAND_DISPLAY set?")]
    Connect(#[from] wayland_client::ConnectError),
    /// Registry.
    #[error("the compositor does not list its globals: {0}")]
    Globals(#[from] GlobalError),
    /// A global is missing.
    #[error("the compositor lacks something this client needs: {0}")]
    Bind(#[from] BindError),
    /// The connection broke, for instance by a protocol error.
    #[error("the connection ended: {0}")]
    Dispatch(#[from] DispatchError),
    /// The connection broke while writing or reading.
    #[error("the connection ended: {0}")]
    Io(#[from] WaylandError),
    /// poll failed.
    #[error("waiting for the compositor: {0}")]
    Poll(#[from] Errno),
    /// The report could not be printed.
    #[error("printing the report: {0}")]
    Report(#[from] std::io::Error),
    /// No memory.
    #[error(transparent)]
    Buffer(#[from] BufferFailed),
    /// The protocol has no words for what we want.
    #[error(transparent)]
    Inexpressible(#[from] Inexpressible),
    /// Nothing happens.
    #[error("no answer within {0:?} while waiting for {1}")]
    Patience(Duration, &'static str),
}

/// Which of the two surfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The window.
    Video,
    /// The subsurface above it.
    Controls,
}

/// What is known of the window.
#[derive(Default)]
pub struct Client {
    /// As configured; nothing while the choice is ours.
    pub size: Option<(u32, u32)>,
    /// The first configure came.
    pub configured: bool,
    /// The user wants it to end.
    pub closed: bool,
    /// The window.
    pub video: Part,
    /// The subsurface.
    pub controls: Part,
    /// The allocation that belongs to the controls: the others are the video's.
    pub of_controls: Option<heapwright_client::Allocation>,
    /// What came of the last parameters.
    pub created: Option<Result<WlBuffer, ()>>,
    /// The presentation clock.
    pub clock: Option<u32>,
    /// Hidden above our window.
    pub pointer: Option<WlPointer>,
}

impl Client {
    /// Nothing is awaited beside the compositor's words.
    pub fn awaited(&self) -> impl Iterator<Item = &OwnedFd> {
        std::iter::empty()
    }

    /// So nothing else comes.
    pub fn came(&mut self, _: &[bool]) {}

    /// One of the two.
    pub fn part(&mut self, which: Which) -> &mut Part {
        match which {
            Which::Video => &mut self.video,
            Which::Controls => &mut self.controls,
        }
    }
}
