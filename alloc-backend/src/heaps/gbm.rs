//! A GPU's own memory, through GBM (feature `gbm`, which links libgbm).
//!
//! A driver's library keeps freed buffers and hands them out again with what was in them, so every buffer is filled with
//! zeroes here before it leaves; one that the CPU cannot reach is refused.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use drm::control::Device as _;
use gbm::{BufferObject, BufferObjectFlags, Device, Format};
use rustix::io::Errno;

use super::dumb::{EXPORT_FLAGS, geometry};
use super::memfd::{page_rounded, page_size};
use super::{AllocError, Allocation, Heap, HeapId, Request};
use crate::buffers::{Buffer, Mapping, dma_buf};
use crate::constraints::{Fourcc, Modifier, Size};
use crate::solver::PlaneLayout;
use crate::solver::problem::HeapFacts;

/// A node that can be asked.
struct Node(OwnedFd);

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

/// The buffers of one GPU, from its render or primary node.
pub struct GbmHeap {
    id: HeapId,
    names: Vec<String>,
    // A driver's library makes no promise to threads.
    device: Mutex<Device<Node>>,
}

impl fmt::Debug for GbmHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GbmHeap").field("id", &self.id).finish_non_exhaustive()
    }
}

impl GbmHeap {
    /// Loads the driver of a node that is open; `name` is what links call the device.
    ///
    /// # Errors
    /// [`AllocError::Refused`] when no driver is there for it.
    pub fn new(node: OwnedFd, name: &str) -> Result<Self, AllocError> {
        let id = HeapId::new(format!("gbm:{name}"));
        match Device::new(Node(node)) {
            Ok(device) => {
                let names = vec![format!("GBM ({}) of {name}", device.backend_name())];
                Ok(GbmHeap { id, names, device: Mutex::new(device) })
            }
            Err(error) => Err(refused(&id, "load a GBM driver for buffers", 0, &error)),
        }
    }

    /// A picture in one of these modifiers, the driver choosing which, and the layout. With none, the driver chooses
    /// freely, and the modifier may be [`Modifier::INVALID`].
    ///
    /// # Errors
    /// [`AllocError`]; also when the driver spreads the planes over several buffers, or the CPU cannot reach the memory to
    /// clear it.
    pub fn allocate_picture(
        &self,
        size: Size,
        format: Fourcc,
        modifiers: &[Modifier],
    ) -> Result<Buffer, AllocError> {
        let bad = |what: &str| AllocError::BadRequest {
            heap: self.id.clone(),
            what: format!("{size} {format}: {what}"),
        };
        let known = Format::try_from(format.0).map_err(|_| bad("GBM does not know the format"))?;
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let object: BufferObject<()> = if modifiers.is_empty() {
            device.create_buffer_object(size.width, size.height, known, BufferObjectFlags::RENDERING)
        } else {
            let modifiers = modifiers.iter().map(|modifier| modifier.0.into());
            device.create_buffer_object_with_modifiers(size.width, size.height, known, modifiers)
        }
        .map_err(|error| refused(&self.id, "make a picture", size.area(), &error))?;
        // Asked by handle: the first export decides for all who may write.
        let handles: Vec<_> = drm::buffer::PlanarBuffer::handles(&object).into_iter().flatten().collect();
        let count = i32::try_from(object.plane_count()).unwrap_or(0);
        if handles.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(bad("its planes lie in several buffers"));
        }
        let (fd, bytes) = self.clean(&device, &object)?;
        let plane = |index: i32| (u64::from(object.offset(index)), u64::from(object.stride_for_plane(index)));
        let starts: Vec<(u64, u64)> = (0..count).map(plane).collect();
        let end = |offset: u64| starts.iter().map(|(at, _)| *at).filter(|at| *at > offset).min();
        let planes = starts.iter().map(|(offset, pitch)| PlaneLayout {
            offset: *offset,
            pitch: *pitch,
            size: end(*offset).unwrap_or(bytes).saturating_sub(*offset),
        });
        let modifier = match Modifier(object.modifier().into()) {
            // Drivers without modifiers do as they are told, but have no word for it.
            Modifier::INVALID if modifiers == [Modifier::LINEAR] => Modifier::LINEAR,
            other if modifiers.is_empty() || modifiers.contains(&other) => other,
            other => return Err(bad(&format!("the driver made {other}, which was not asked for"))),
        };
        Buffer::import(fd, size, format, modifier, planes.collect()).map_err(|error| bad(&error.to_string()))
    }

    /// Exports a buffer and fills it with zeroes.
    fn clean(&self, device: &Device<Node>, object: &BufferObject<()>) -> Result<(OwnedFd, u64), AllocError> {
        let fail = |what, errno| AllocError::from_errno(&self.id, what, 0, errno);
        // Not by GBM, which exports for reading only with some drivers: nobody could paint into the buffer.
        let handle = drm::buffer::Buffer::handle(object);
        let fd = device
            .buffer_to_prime_fd(handle, EXPORT_FLAGS)
            .map_err(|error| refused(&self.id, "export a buffer", 0, &error))?;
        let bytes = dma_buf::byte_size(fd.as_fd()).map_err(|errno| fail("measure a buffer", errno))?;
        let cleared = Mapping::new(fd.as_fd(), bytes, true).and_then(|mut mapping| {
            mapping.write()?.fill(0);
            Ok(())
        });
        cleared.map_err(|error| AllocError::BadRequest {
            heap: self.id.clone(),
            what: format!("{bytes} bytes that can be cleared: {error}"),
        })?;
        Ok((fd, bytes))
    }
}

impl Heap for GbmHeap {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts {
            id: self.id.as_str().to_owned(),
            names: self.names.clone(),
            page_size: page_size(),
            ..HeapFacts::default()
        }
    }

    /// Memory for LINEAR pictures of any format: their layout is the solver's.
    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let bytes = page_rounded(&self.id, request.bytes)?;
        let (width, height) = geometry(bytes, request.pitch).ok_or_else(|| AllocError::BadRequest {
            heap: self.id.clone(),
            what: format!("{bytes} bytes in rows of {} bytes", request.pitch),
        })?;
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = BufferObjectFlags::LINEAR | BufferObjectFlags::RENDERING;
        let object: BufferObject<()> = device
            .create_buffer_object(width, height, Format::Xrgb8888, usage)
            .map_err(|error| refused(&self.id, "make a buffer", bytes, &error))?;
        let pitch_hint = (request.pitch > 0).then(|| u64::from(object.stride()));
        let (fd, real) = self.clean(&device, &object)?;
        if real < request.bytes {
            return Err(AllocError::from_errno(
                &self.id,
                "get a large enough buffer",
                bytes,
                Errno::OVERFLOW,
            ));
        }
        Ok(Allocation { fd, bytes: real, pitch_hint })
    }
}

fn refused(id: &HeapId, what: &'static str, bytes: u64, error: &std::io::Error) -> AllocError {
    AllocError::from_errno(id, what, bytes, Errno::from_io_error(error).unwrap_or(Errno::IO))
}
