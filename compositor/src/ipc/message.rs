//! What is asked and answered.

use std::path::PathBuf;

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use serde::{Deserialize, Serialize};

use crate::backend::mode::WantedMode;

/// A question to the compositor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which surfaces there are, in what memory they lie and how they are shown: [`Reply::Surfaces`].
    Surfaces,
    /// What became of each surface in the last frames: [`Reply::Frames`].
    Frames {
        /// Only this output.
        output: Option<String>,
        /// At most so many of each.
        last: u32,
    },
    /// Which outputs there are: [`Reply::Outputs`].
    Outputs,
    /// Gives an output another mode: [`Reply::Outputs`] as they are then, or [`Reply::Refused`].
    SetMode {
        /// The output.
        output: String,
        /// Its mode.
        mode: WantedMode,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Every surface with a buffer, front to back.
    Surfaces(Vec<SurfaceNow>),
    /// The last frames of outputs.
    Frames(FramesNow),
    /// Every output, from left to right.
    Outputs(Vec<OutputNow>),
    /// The request was understood, and nothing was changed.
    Refused(Refusal),
    /// The request was not understood.
    Error(String),
}

/// Why an output does not get another mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such output.
    #[error("there is no output {name:?}; it has {}", list(.known))]
    NoOutput {
        /// As it was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Its display does not offer the mode.
    #[error("{output} does not offer the mode {wanted}; it has {}", list(.offered))]
    NoMode {
        /// The output.
        output: String,
        /// As it was asked for.
        wanted: WantedMode,
        /// What there is.
        offered: Vec<String>,
    },
    /// The device does not take it now.
    #[error("{output} does not take the mode {wanted} now: {why}")]
    Display {
        /// The output.
        output: String,
        /// As it was asked for.
        wanted: WantedMode,
        /// What the device says.
        why: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Refusal {
    /// There is no output of this name, but these.
    #[must_use]
    pub fn no_output(name: &str, mut known: Vec<String>) -> Self {
        known.sort();
        Refusal::NoOutput { name: name.to_owned(), known }
    }
}

/// An output as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputNow {
    /// Its connector's name, as `Virtual-1`.
    pub name: String,
    /// The node of the device that drives it; none for a screen of memory.
    pub device: Option<PathBuf>,
    /// The mode that it has.
    pub mode: Option<ModeNow>,
    /// Those that it offers.
    pub modes: Vec<ModeNow>,
    /// Where its upper left corner is in the layout, logical pixels.
    pub place: (i32, i32),
    /// Physical pixels for one logical one.
    pub scale: f64,
    /// The planes that can show something on it, by the kernel's ids.
    pub planes: Vec<PlaneNow>,
}

/// A mode of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeNow {
    /// Pixels.
    pub size: (u16, u16),
    /// Frames in a thousand seconds.
    pub refresh_millihertz: u32,
    /// Whether the display prefers it.
    pub preferred: bool,
}

/// A plane of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneNow {
    /// The kernel's id.
    pub id: u32,
    /// `primary`, `overlay` or `cursor`.
    pub kind: String,
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

/// The last frames of outputs, and what clients hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FramesNow {
    /// By name.
    pub outputs: Vec<OutputFrames>,
    /// Clients with buffers that were on a surface, by process.
    pub clients: Vec<ClientNow>,
}

/// What one client's buffers take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientNow {
    /// Its process.
    pub pid: i32,
    /// Living buffers that were on a surface.
    pub buffers: u64,
    /// Their memory, bytes; one that is shared by several buffers counts for each.
    pub bytes: u64,
}

/// The last frames of one output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputFrames {
    /// The output.
    pub output: String,
    /// Frames in a thousand seconds that it can show.
    pub refresh_millihertz: u32,
    /// Oldest first.
    pub frames: Vec<FrameNow>,
}

/// One frame of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameNow {
    /// Counted from 1 on its output.
    pub number: u64,
    /// When it was given to the display: microseconds of the clock of presentation feedback.
    pub drawn_us: u64,
    /// When it was on the screen, on the same clock; none while it is on its way.
    pub presented_us: Option<u64>,
    /// What became of each surface.
    pub surfaces: Vec<FrameSurface>,
    /// Bytes of pictures that were drawn into the output's own buffer; 0 where planes read all.
    pub copied_bytes: u64,
    /// Whether it is the frame before but for the buffers that planes read, and was given as that: nothing was drawn for it.
    pub flipped: bool,
    /// Surfaces beyond what is kept of one frame.
    pub unlisted: u32,
}

/// What became of a surface in a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameSurface {
    /// As in [`SurfaceNow::id`].
    pub id: String,
    /// As in [`SurfaceNow::role`].
    pub role: String,
    /// The plane that read the client's own buffer: `primary 31`, `overlay 40`.
    pub plane: Option<String>,
    /// Whether there was one.
    pub zero_copy: bool,
    /// Whether anything of it was to be seen.
    pub visible: bool,
    /// Why it was copied.
    pub why: Option<String>,
    /// Whether its picture of luma and chroma was converted to be copied: one copy more.
    pub converted: bool,
    /// Its buffer.
    pub buffer: BufferNow,
    /// Memory of that buffer, bytes.
    pub bytes: u64,
    /// Pixels that the client said it changed since the output's frame before.
    pub damage_pixels: u64,
}

impl SurfaceNow {
    /// Whether people mean this surface by `name`: its id, or its window's application id or title.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.app_id.as_deref() == Some(name) || self.title.as_deref() == Some(name)
    }
}
