//! Handles that give themselves back: an imported buffer, a framebuffer made of it.

use std::os::fd::AsFd;

use drm::buffer::{DrmFourcc, DrmModifier, Handle, PlanarBuffer};
use drm::control::{Device as _, FbCmd2Flags, framebuffer};
use rustix::io::Errno;

use super::count;
use crate::buffers::Layout;
use crate::constraints::Modifier;
use crate::devices::KmsDevice;

/// An imported buffer. One import of a dma-buf per file must be alive at a time: the kernel gives the same handle for
/// each and counts none of them, so closing one closes all. Probes import only buffers that nobody else has seen yet.
#[derive(Debug)]
pub(super) struct Import<'a, D: drm::control::Device = KmsDevice> {
    device: &'a D,
    name: &'a str,
    handle: Handle,
}

impl<'a> Import<'a> {
    pub(super) fn new(device: &'a KmsDevice, fd: impl AsFd) -> Result<Self, Errno> {
        Import::of(device, device.name(), fd)
    }
}

impl<'a, D: drm::control::Device> Import<'a, D> {
    /// By any device; `name` is for messages.
    pub(super) fn of(device: &'a D, name: &'a str, fd: impl AsFd) -> Result<Self, Errno> {
        count::import();
        let handle = device.prime_fd_to_buffer(fd.as_fd()).map_err(errno)?;
        Ok(Import { device, name, handle })
    }
}

impl<D: drm::control::Device> Drop for Import<'_, D> {
    fn drop(&mut self) {
        if let Err(error) = self.device.close_buffer(self.handle) {
            tracing::warn!(device = self.name, %error, "could not close a GEM handle");
        }
    }
}

/// A framebuffer that is not on any screen.
#[derive(Debug)]
pub(super) struct Framebuffer<'a> {
    device: &'a KmsDevice,
    pub(super) handle: framebuffer::Handle,
}

/// Why no framebuffer could even be asked for, or what the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FramebufferError {
    /// The kernel interface has no room for it, or our copy of the format list does not know it.
    NotExpressible(&'static str),
    /// The kernel refused.
    Refused(Errno),
}

impl<'a> Framebuffer<'a> {
    pub(super) fn new(
        device: &'a KmsDevice,
        import: &Import<'a>,
        layout: &Layout,
    ) -> Result<Self, FramebufferError> {
        let planes = Planes::new(import.handle, layout)?;
        let modifiers = device.caps().addfb2_modifiers && layout.modifier() != Modifier::INVALID;
        let flags = if modifiers { FbCmd2Flags::MODIFIERS } else { FbCmd2Flags::empty() };
        if !modifiers && !matches!(layout.modifier(), Modifier::LINEAR | Modifier::INVALID) {
            return Err(FramebufferError::NotExpressible("the driver takes no modifiers"));
        }
        let planes = if modifiers { planes } else { Planes { modifier: None, ..planes } };
        count::framebuffer();
        let handle = device
            .add_planar_framebuffer(&planes, flags)
            .map_err(|error| FramebufferError::Refused(errno(error)))?;
        Ok(Framebuffer { device, handle })
    }
}

impl Drop for Framebuffer<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.device.destroy_framebuffer(self.handle) {
            tracing::warn!(device = self.device.name(), %error, "could not remove a framebuffer");
        }
    }
}

/// A layout as AddFB2 wants it.
struct Planes {
    size: (u32, u32),
    format: DrmFourcc,
    modifier: Option<DrmModifier>,
    handles: [Option<Handle>; 4],
    pitches: [u32; 4],
    offsets: [u32; 4],
}

impl Planes {
    fn new(handle: Handle, layout: &Layout) -> Result<Self, FramebufferError> {
        let format = DrmFourcc::try_from(layout.format())
            .map_err(|_| FramebufferError::NotExpressible("the drm crate does not know the format"))?;
        let mut planes = Planes {
            size: (layout.size().width, layout.size().height),
            format,
            modifier: Some(DrmModifier::from(layout.modifier().0)),
            handles: [None; 4],
            pitches: [0; 4],
            offsets: [0; 4],
        };
        let wide = |_| FramebufferError::NotExpressible("pitch or offset beyond 32 bits");
        for (index, plane) in layout.planes().iter().enumerate().take(4) {
            planes.handles[index] = Some(handle);
            planes.pitches[index] = u32::try_from(plane.pitch).map_err(wide)?;
            planes.offsets[index] = u32::try_from(plane.offset).map_err(wide)?;
        }
        Ok(planes)
    }
}

impl PlanarBuffer for Planes {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn format(&self) -> DrmFourcc {
        self.format
    }

    fn modifier(&self) -> Option<DrmModifier> {
        self.modifier
    }

    fn pitches(&self) -> [u32; 4] {
        self.pitches
    }

    fn handles(&self) -> [Option<Handle>; 4] {
        self.handles
    }

    fn offsets(&self) -> [u32; 4] {
        self.offsets
    }
}

#[allow(clippy::needless_pass_by_value)] // The shape that map_err wants.
pub(super) fn errno(error: std::io::Error) -> Errno {
    crate::devices::errno(&error)
}
