//! What a display device consists of, as the kernel describes it.

use serde::Serialize;

use crate::constraints::{Fourcc, Modifier, Size};

/// What a plane is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// The main picture of a CRTC.
    Primary,
    /// Something beside or above it.
    Overlay,
    /// The pointer.
    Cursor,
}

/// One plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// The kernel's object id.
    pub id: u32,
    /// What it is made for.
    pub kind: PlaneKind,
    /// Ids of the CRTCs it can serve.
    pub possible_crtcs: Vec<u32>,
    /// What it scans out.
    pub options: Vec<(Fourcc, Modifier)>,
    /// What it scans out when a flip does not wait for the blank (tearing); `None` when the kernel does not say.
    pub async_options: Option<Vec<(Fourcc, Modifier)>>,
    /// The sizes in pixels that it likes for a pointer, best first; empty when the kernel does not say.
    pub size_hints: Vec<Size>,
    /// Whether the kernel named modifiers; if not, LINEAR is assumed, as everything before modifiers was.
    pub modifiers_declared: bool,
}

impl Plane {
    /// What answers and messages call it.
    pub fn name(&self) -> String {
        format!("plane-{}", self.id)
    }
}

/// One CRTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crtc {
    /// The kernel's object id.
    pub id: u32,
    /// The size of the mode it showed when the device was read.
    pub active: Option<Size>,
}

/// Whether a screen is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// It is.
    Connected,
    /// It is not.
    Disconnected,
    /// Nobody has looked, and only the DRM master may; or the hardware cannot tell.
    Unknown,
}

impl ConnectorState {
    /// The word in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectorState::Connected => "connected",
            ConnectorState::Disconnected => "disconnected",
            ConnectorState::Unknown => "unknown",
        }
    }
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The kernel's object id.
    pub id: u32,
    /// Its label, as in `HDMI-A-1`.
    pub name: String,
    /// Whether something was plugged in when the device was read.
    pub state: ConnectorState,
    /// Whether it writes to memory instead of a screen.
    pub writeback: bool,
    /// What it can write to memory; empty when it is no writeback connector.
    pub writeback_formats: Vec<Fourcc>,
    /// Ids of the CRTCs it can show.
    pub possible_crtcs: Vec<u32>,
    /// The size of the mode that its screen prefers, else of its largest; `None` when it offers none.
    pub mode: Option<Size>,
}

impl Connector {
    /// Whether a screen is known to be plugged in; not so for a connector whose state is unknown.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == ConnectorState::Connected
    }
}

/// Limits on framebuffers, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramebufferLimits {
    /// Smallest.
    pub min: Size,
    /// Largest.
    pub max: Size,
    /// Largest pointer.
    pub cursor: Size,
}

/// What the driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// AddFB2 takes modifiers.
    pub addfb2_modifiers: bool,
    /// Other devices' buffers can be imported.
    pub prime_import: bool,
    /// Its buffers can be exported.
    pub prime_export: bool,
    /// It makes dumb buffers.
    pub dumb: bool,
    /// Atomic commits are possible on this descriptor.
    pub atomic: bool,
    /// There is a writeback connector (only looked for on descriptors of our own).
    pub writeback: bool,
}
