//! Cameras and codecs: which formats the video nodes of the kernel take, and how they lay them out.

mod error;
mod fourcc;
mod ioctl;
mod node;
mod queue;

pub use error::V4l2Error;
pub use fourcc::drm_format;
pub use node::{V4l2Device, V4l2List, v4l2_devices};
pub use queue::{SizeRange, TriedFormat, V4l2Format};
