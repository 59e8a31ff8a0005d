//! Who wants it: devices and what their planes accept.
//!
//! 1. Planes stay apart: what one accepts is an alternative of its own, never merged with another's.
//! 2. Names of drivers and nodes are labels; nothing is decided by them.
//! 3. Looking changes nothing: no mode is set, no client capability of a descriptor that is not ours is touched
//!    beyond making all planes visible.
//!
//! # A compositor that draws with EGL
//!
//! What its GPU reads, what its screen shows, and what a client that draws with the same GPU can draw to are participants of
//! one want; the answer is memory for all of them, and the feedback tells the client what to allocate itself. Asking the
//! GPU loads its driver, which such a compositor has loaded anyway; ask once its own display is initialised.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use heapwright_alloc::buffers::{Allocator, Want};
//! use heapwright_alloc::constraints::Size;
//! use heapwright_alloc::devices::{KmsDevice, RenderApi, render_devices};
//! use heapwright_alloc::feedback::{Target, default_tranches};
//! use heapwright_alloc::heaps::{self, Root};
//! use heapwright_alloc::solver::problem::Role;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let root = Root::default();
//! let mut allocator = Allocator::new(heaps::list(&root));
//! let display = Arc::new(KmsDevice::open(Path::new("/dev/dri/card0"))?);
//! let crtc = display.crtcs().first().ok_or("a display without a CRTC")?.id;
//! allocator.with_device(Arc::clone(&display));
//!
//! let found = render_devices(&root);
//! let gpu = found.devices.iter().find(|device| !device.is_software()).ok_or("no GPU")?;
//! let node = Arc::new(gpu.open()?.ok_or("a GPU without a render node")?);
//! // From now on memory is tried with the GPU before it is taken, if it is not the display that was added.
//! allocator.with_renderer(Arc::clone(&node));
//!
//! let reads = gpu.participant(Role::Sample, Some(RenderApi::Egl), "compositor").ok_or("EGL imports nothing")?;
//! let draws = gpu.participant(Role::Render, Some(RenderApi::Egl), "client").ok_or("EGL imports nothing")?;
//! let want = Want {
//!     size: Size::new(1920, 1080),
//!     participants: vec![reads, draws, display.participant(crtc, "screen")],
//!     count: 3,
//!     name: "swapchain",
//!     dma_buf_only: true,
//!     ..Want::default()
//! };
//! let made = allocator.allocate(&want)?;
//! println!("{} in {}", made.buffers[0].modifier(), made.resolution.heap);
//!
//! let target = |participant: &str, device, scanout| Target { participant: participant.into(), device, scanout };
//! let targets = [target("screen", display.dev(), true), target("compositor", node.dev(), false)];
//! for tranche in default_tranches(&made.problem, &targets) {
//!     println!("device {:#x}: {:?}", tranche.target_device, tranche.pairs());
//! }
//! # Ok(())
//! # }
//! ```

mod blobs;
mod cpu;
mod devicetree;
mod egl;
mod error;
#[cfg(feature = "gbm")]
mod gbm;
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
mod render_list;
mod render_node;
mod scaling;
mod scattered;
mod uevent;
mod v4l2;
#[cfg(feature = "vulkan")]
mod vulkan;
#[cfg(feature = "vulkan")]
mod vulkan_formats;
mod whose;

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
pub use render::{RenderDevice, RenderDevices, RenderProblem, render_devices, render_nodes};
pub use render_list::{ImportList, ImportPair, RenderApi, Silence};
pub use render_node::RenderNode;
pub use scaling::{Scaling, probe_scaling};
pub(crate) use scattered::Scattered;
pub use uevent::{Change, Subject, SubjectKind};
pub(crate) use v4l2::ImportError;
pub use v4l2::{
    LeftOut, SizeRange, TriedFormat, V4l2Device, V4l2Error, V4l2Format, V4l2List, WhyLeftOut, drm_format,
    planes_apart, v4l2_devices,
};
#[cfg(feature = "vulkan")]
pub use vulkan::VulkanError;
