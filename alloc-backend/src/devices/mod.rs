//! Who wants it: devices and what their planes accept.
//!
//! 1. Planes stay apart: what one accepts is an alternative of its own, never merged with another's.
//! 2. Names of drivers and nodes are labels; nothing is decided by them.
//! 3. Looking changes nothing: no mode is set, no client capability of a descriptor that is not ours is touched
//!    beyond making all planes visible.

mod blobs;
mod cpu;
mod devicetree;
mod egl;
mod error;
mod hardware;
mod in_formats;
mod kms;
mod list;
mod monitor;
mod nodes;
mod objects;
mod participants;
mod read;
mod render;
mod scaling;
mod scattered;
mod uevent;
mod v4l2;

pub use cpu::{cpu_participant, renderer_participant};
pub use devicetree::{Devicetree, MemoryRegion};
pub use egl::EglError;
pub use error::DeviceError;
pub(crate) use error::errno;
pub use hardware::{Hardware, Iommu};
pub use in_formats::{InFormatsError, parse_in_formats};
pub use kms::KmsDevice;
pub use list::{DeviceList, DeviceProblem, list};
pub use monitor::{Monitor, MonitorError};
pub use nodes::{DrmNodes, drm_nodes};
pub use objects::{Caps, Connector, ConnectorState, Crtc, FramebufferLimits, Plane, PlaneKind};
pub(crate) use read::properties;
pub use render::{ImportPair, RenderDevice, render_devices};
pub use scaling::{Scaling, probe_scaling};
pub(crate) use scattered::Scattered;
pub use uevent::{Change, Subject, SubjectKind};
pub(crate) use v4l2::ImportError;
pub use v4l2::{
    LeftOut, SizeRange, TriedFormat, V4l2Device, V4l2Error, V4l2Format, V4l2List, WhyLeftOut, drm_format,
    planes_apart, v4l2_devices,
};
