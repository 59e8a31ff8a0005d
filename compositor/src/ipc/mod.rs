//! Asking a running compositor: one request and one reply, each a line of JSON, over a socket beside the Wayland one.
//!
//! Who may open the user's runtime directory may ask, and change what the user may: modes of outputs.

mod ask;
mod message;
mod server;

pub use ask::{AskError, ask};
pub use message::{
    BufferNow, ClientNow, FrameNow, FrameSurface, FramesNow, ModeNow, OutputFrames, OutputNow, PlaneNow,
    Refusal, Reply, Request, Shown, SurfaceNow, SurfacePlane,
};
pub use server::{ServeError, Server};

use std::path::{Path, PathBuf};

/// The socket's place: beside the Wayland socket and named after it.
fn socket_path(runtime_dir: &Path, wayland: &str) -> PathBuf {
    runtime_dir.join(format!("{wayland}.heapwright"))
}
