//! What one API says of one renderer.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::constraints::{Fourcc, LayoutLimits, Modifier, Size};
use crate::solver::problem::OptionSpec;

/// The interface that was asked, and that imports when a renderer uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RenderApi {
    /// `EGL_EXT_image_dma_buf_import_modifiers`: OpenGL and GLES.
    Egl,
    /// `VK_EXT_image_drm_format_modifier`.
    Vulkan,
    /// What GBM allocates; it imports the same.
    Gbm,
}

impl RenderApi {
    /// `EGL`, `Vulkan` or `GBM`.
    pub fn as_str(self) -> &'static str {
        match self {
            RenderApi::Egl => "EGL",
            RenderApi::Vulkan => "Vulkan",
            RenderApi::Gbm => "GBM",
        }
    }
}

impl fmt::Display for RenderApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for RenderApi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One (format, modifier) that a renderer imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportPair {
    /// The format.
    pub format: Fourcc,
    /// The modifier.
    pub modifier: Modifier,
    /// It can be read from, but not drawn to.
    pub sample_only: bool,
    /// Planes of memory, where the API says: a modifier with compression has more than the format.
    pub planes: Option<u32>,
    /// The largest picture in pixels, where the API says.
    pub max_size: Option<Size>,
    /// The most bytes of a buffer, where the API says.
    pub max_bytes: Option<u64>,
}

impl ImportPair {
    /// A pair of which nothing more is known.
    pub fn new(format: Fourcc, modifier: Modifier, sample_only: bool) -> Self {
        ImportPair { format, modifier, sample_only, planes: None, max_size: None, max_bytes: None }
    }

    /// As an option of a participant, with the limits that were told.
    pub fn option(&self) -> OptionSpec {
        OptionSpec {
            format: self.format.into(),
            modifier: self.modifier.into(),
            limits: LayoutLimits {
                max_size: self.max_size,
                max_size_bytes: self.max_bytes,
                ..LayoutLimits::default()
            },
            ..OptionSpec::default()
        }
    }
}

/// Why an API does not say what a device imports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Silence {
    /// Its driver did not start.
    #[error("its driver did not start")]
    NotStarted,
    /// Its driver cannot be asked, or cannot import.
    #[error("its driver has no {0}")]
    Lacks(&'static str),
    /// Its driver fails when it is asked.
    #[error("its driver fails when asked")]
    Failed,
}

/// What one API says of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportList {
    /// Which API.
    pub api: RenderApi,
    /// What the API calls the driver or the device: a label.
    pub driver: String,
    /// What it imports, in the driver's order.
    pub pairs: Result<Vec<ImportPair>, Silence>,
}
