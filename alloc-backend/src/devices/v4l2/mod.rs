//! Cameras and codecs: which formats the video nodes of the kernel take, and how they lay them out.

mod error;
mod fourcc;
mod import;
mod ioctl;
mod left_out;
mod node;
mod queue;

pub use error::V4l2Error;
pub use fourcc::{drm_format, planes_apart};
pub(crate) use import::ImportError;
pub use left_out::{LeftOut, WhyLeftOut};
pub use node::{V4l2Device, V4l2List, v4l2_devices};
pub use queue::{SizeRange, TriedFormat, V4l2Format};
