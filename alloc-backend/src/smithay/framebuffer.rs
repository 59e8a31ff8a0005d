//! Framebuffers from dma-bufs, without GBM: PRIME import, AddFB2 with the modifier as given.
//!
//! A driver from before modifiers (virtio-gpu) takes none, and means LINEAR: it is told nothing, and what it shows is
//! called INVALID, as its planes are.
//!
//! The GEM handle is closed as soon as the framebuffer exists, since the framebuffer keeps the memory. Two imports
//! of one dma-buf on one file give the same handle with no count of its own, so no handle may outlive the import.

use std::io;

use ::smithay::{
    backend::{
        allocator::{
            Buffer as _, Format, Fourcc, Modifier,
            dmabuf::Dmabuf,
            format::{get_opaque, has_alpha},
        },
        drm::{
            DrmDeviceFd, Framebuffer,
            exporter::{ExportBuffer, ExportFramebuffer},
        },
    },
    reexports::drm::{
        Device as _, DriverCapability,
        buffer::{Handle, PlanarBuffer},
        control::{Device as _, FbCmd2Flags, framebuffer},
    },
    wayland::dmabuf::get_dmabuf,
};
use tracing::{debug, trace};

/// Makes framebuffers of dma-bufs.
#[derive(Debug, Clone, Default)]
pub struct PrimeExporter;

/// Why a buffer became no framebuffer.
#[derive(Debug, thiserror::Error)]
pub enum FramebufferError {
    /// A modifier that is not known leaves the display nothing to go by.
    #[error(
        "the buffer's modifier is INVALID: the display cannot know its layout; allocate it with an explicit one"
    )]
    ImplicitModifier,
    /// A driver from before modifiers.
    #[error("the display's driver knows no modifiers, so it can only show LINEAR buffers, not {0:?}")]
    NoModifiers(Modifier),
    /// The display's driver does not take the memory.
    #[error(
        "PRIME import: {0}; the display cannot use this memory: allocate it from a heap that the display accepts"
    )]
    Import(#[source] io::Error),
    /// The display's driver does not take the format, modifier, pitch or size.
    #[error("AddFB2 of {width}x{height} {format} {modifier:?} pitch {pitch}: {source}")]
    AddFramebuffer {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Fourcc.
        format: Fourcc,
        /// Modifier.
        modifier: Modifier,
        /// Bytes a row of the first plane.
        pitch: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A framebuffer; removed when dropped.
#[derive(Debug)]
pub struct PrimeFramebuffer {
    handle: framebuffer::Handle,
    format: Format,
    drm: DrmDeviceFd,
}

impl AsRef<framebuffer::Handle> for PrimeFramebuffer {
    fn as_ref(&self) -> &framebuffer::Handle {
        &self.handle
    }
}

impl Framebuffer for PrimeFramebuffer {
    fn format(&self) -> Format {
        self.format
    }
}

impl Drop for PrimeFramebuffer {
    fn drop(&mut self) {
        if let Err(error) = self.drm.destroy_framebuffer(self.handle) {
            // A device that was unplugged has dropped it already.
            debug!(?self.handle, %error, "framebuffer was not removed");
        }
    }
}

/// The handles of one import; closed when dropped, each once.
struct Imported<'a> {
    drm: &'a DrmDeviceFd,
    handles: [Option<Handle>; 4],
}

impl<'a> Imported<'a> {
    fn new(drm: &'a DrmDeviceFd, dmabuf: &Dmabuf) -> io::Result<Self> {
        let mut imported = Imported { drm, handles: [None; 4] };
        for (slot, fd) in imported.handles.iter_mut().zip(dmabuf.handles()) {
            *slot = Some(drm.prime_fd_to_buffer(fd)?);
        }
        Ok(imported)
    }
}

impl Drop for Imported<'_> {
    fn drop(&mut self) {
        for (index, handle) in self.handles.iter().enumerate() {
            let Some(handle) = handle else { continue };
            if self.handles[..index].contains(&Some(*handle)) {
                continue;
            }
            if let Err(error) = self.drm.close_buffer(*handle) {
                debug!(?handle, %error, "GEM handle was not closed");
            }
        }
    }
}

struct Layout<'a> {
    dmabuf: &'a Dmabuf,
    format: Fourcc,
    /// Where the driver takes one.
    modifier: Option<Modifier>,
    handles: [Option<Handle>; 4],
}

fn four(values: impl Iterator<Item = u32>) -> [u32; 4] {
    let mut four = [0; 4];
    for (slot, value) in four.iter_mut().zip(values) {
        *slot = value;
    }
    four
}

impl PlanarBuffer for Layout<'_> {
    fn size(&self) -> (u32, u32) {
        // Dmabuf sizes come from checked, positive numbers.
        (self.dmabuf.width(), self.dmabuf.height())
    }

    fn format(&self) -> Fourcc {
        self.format
    }

    fn modifier(&self) -> Option<Modifier> {
        self.modifier
    }

    fn pitches(&self) -> [u32; 4] {
        four(self.dmabuf.strides())
    }

    fn handles(&self) -> [Option<Handle>; 4] {
        self.handles
    }

    fn offsets(&self) -> [u32; 4] {
        four(self.dmabuf.offsets())
    }
}

/// Makes a framebuffer of a dma-buf.
///
/// `opaque` takes the format's twin without alpha, for planes that cannot blend or need not.
///
/// # Errors
/// [`FramebufferError`] names the step at which the display refused, and what the buffer was.
pub fn framebuffer_of(
    drm: &DrmDeviceFd,
    dmabuf: &Dmabuf,
    opaque: bool,
) -> Result<PrimeFramebuffer, FramebufferError> {
    let modifier = dmabuf.format().modifier;
    if modifier == Modifier::Invalid {
        return Err(FramebufferError::ImplicitModifier);
    }
    let explicit = drm.get_driver_capability(DriverCapability::AddFB2Modifiers).is_ok_and(|takes| takes == 1);
    if !explicit && modifier != Modifier::Linear {
        return Err(FramebufferError::NoModifiers(modifier));
    }
    let code = dmabuf.format().code;
    let format = if opaque && has_alpha(code) { get_opaque(code).unwrap_or(code) } else { code };
    let imported = Imported::new(drm, dmabuf).map_err(FramebufferError::Import)?;
    let layout = Layout { dmabuf, format, modifier: explicit.then_some(modifier), handles: imported.handles };
    let flags = if explicit { FbCmd2Flags::MODIFIERS } else { FbCmd2Flags::empty() };
    let handle =
        drm.add_planar_framebuffer(&layout, flags).map_err(|source| FramebufferError::AddFramebuffer {
            width: dmabuf.width(),
            height: dmabuf.height(),
            format,
            modifier,
            pitch: dmabuf.strides().next().unwrap_or(0),
            source,
        })?;
    trace!(?handle, %format, "framebuffer made");
    let modifier = if explicit { modifier } else { Modifier::Invalid };
    Ok(PrimeFramebuffer { handle, format: Format { code: format, modifier }, drm: drm.clone() })
}

impl ExportFramebuffer<Dmabuf> for PrimeExporter {
    type Framebuffer = PrimeFramebuffer;
    type Error = FramebufferError;

    fn add_framebuffer(
        &self,
        drm: &DrmDeviceFd,
        buffer: ExportBuffer<'_, Dmabuf>,
        use_opaque: bool,
    ) -> Result<Option<PrimeFramebuffer>, FramebufferError> {
        match buffer {
            ExportBuffer::Wayland(buffer) => match get_dmabuf(buffer) {
                Ok(dmabuf) => framebuffer_of(drm, dmabuf, use_opaque).map(Some),
                Err(_) => Ok(None),
            },
            ExportBuffer::Allocator(dmabuf) => framebuffer_of(drm, dmabuf, use_opaque).map(Some),
        }
    }

    fn can_add_framebuffer(&self, buffer: &ExportBuffer<'_, Dmabuf>) -> bool {
        match buffer {
            ExportBuffer::Wayland(buffer) => {
                get_dmabuf(buffer).is_ok_and(|dmabuf| dmabuf.format().modifier != Modifier::Invalid)
            }
            ExportBuffer::Allocator(_) => true,
        }
    }
}
