//! What is asked and answered.

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use serde::{Deserialize, Serialize};

/// A question to the compositor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which surfaces there are, in what memory they lie and how they are shown: [`Reply::Surfaces`].
    Surfaces,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Every surface with a buffer, front to back.
    Surfaces(Vec<SurfaceNow>),
    /// The request was not understood.
    Error(String),
}

/// A surface as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurfaceNow {
    /// The client's process and the surface's number there, as in `WAYLAND_DEBUG`: `4711.23`.
    pub id: String,
    /// `window`, `popup`, `subsurface` or `pointer`.
    pub role: String,
    /// Application id of the window that it belongs to.
    pub app_id: Option<String>,
    /// Title of that window.
    pub title: Option<String>,
    /// Its buffer.
    pub buffer: BufferNow,
    /// On which outputs it is visible, and how.
    pub shown: Vec<Shown>,
}

/// A client's buffer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BufferNow {
    /// Pixels.
    pub size: Size,
    /// Format.
    pub format: Fourcc,
    /// Modifier.
    pub modifier: Modifier,
    /// Where each plane begins and how long its rows are.
    pub planes: Vec<SurfacePlane>,
    /// Whose memory: the kernel's name of the exporter, or `wl_shm`.
    pub memory: String,
    /// The name that its maker gave it.
    pub name: Option<String>,
}

/// One plane of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurfacePlane {
    /// Bytes from the beginning.
    pub offset: u64,
    /// Bytes a row.
    pub pitch: u64,
}

/// How an output shows a surface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The output.
    pub output: String,
    /// Whether a plane reads the client's own buffer.
    pub zero_copy: bool,
    /// If not, why it is copied.
    pub why: Option<String>,
}

impl SurfaceNow {
    /// Whether people mean this surface by `name`: its id, or its window's application id or title.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.app_id.as_deref() == Some(name) || self.title.as_deref() == Some(name)
    }
}
