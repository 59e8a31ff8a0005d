//! Dumb buffers of a display: memory that this display can scan out, by the kernel's definition of them.

use std::os::fd::AsFd;
use std::sync::Arc;

use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::Device as _;
use rustix::io::Errno;

use super::cma::{self, CmaPool};
use super::memfd::{page_rounded, page_size};
use super::{AllocError, Allocation, Heap, HeapId, Request, Root};
use crate::devices::KmsDevice;
use crate::solver::problem::HeapFacts;

/// Dumb buffers are asked for in pixels of 4 bytes, whatever will be in them.
const BYTES_PER_PIXEL: u64 = 4;
/// Bytes of a row when the request has none.
const DEFAULT_PITCH: u64 = 4096;
/// `DRM_CLOEXEC | DRM_RDWR`, which have the values of the open flags.
pub(super) const EXPORT_FLAGS: u32 = rustix::fs::OFlags::CLOEXEC.union(rustix::fs::OFlags::RDWR).bits();

/// The dumb buffers of one device.
#[derive(Debug)]
pub struct DumbHeap {
    id: HeapId,
    device: Arc<KmsDevice>,
    cma: Option<CmaPool>,
}

impl DumbHeap {
    /// Looks, by making a few small ones, whether they come out of contiguous memory that other heaps draw on too. `None`
    /// when the device makes no dumb buffers or does not export them.
    pub fn new(device: Arc<KmsDevice>) -> Option<Self> {
        let caps = device.caps();
        if !caps.dumb || !caps.prime_export {
            return None;
        }
        let number = device.dev();
        let id = HeapId::new(format!("dumb:{}:{}", rustix::fs::major(number), rustix::fs::minor(number)));
        let cma = cma::observe(&Root::default(), |bytes| {
            allocate(&device, &id, &Request::bytes(bytes, "heapwright-probe")).map(|made| made.fd)
        });
        Some(DumbHeap { id, device, cma })
    }

    /// Whose buffers these are.
    pub fn device(&self) -> &Arc<KmsDevice> {
        &self.device
    }
}

impl Heap for DumbHeap {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts {
            id: self.id.as_str().to_owned(),
            names: vec![format!("dumb buffers of {}", self.device.name())],
            // A device that was seen to refuse memory in pieces scans out its own dumb buffers all the same, so they
            // are in one piece; behind an IOMMU only as the device sees them.
            contiguous: self.cma.is_some() || self.device.refuses_pieces(),
            // Without evidence of what lies behind them, a pool of their own.
            pool: self.cma.as_ref().map(CmaPool::id),
            capacity: self.cma.as_ref().and_then(CmaPool::capacity),
            free: self.cma.as_ref().and_then(CmaPool::free),
            page_size: page_size(),
            ..HeapFacts::default()
        }
    }

    fn of_device(&self) -> Option<&str> {
        Some(self.device.name())
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        allocate(&self.device, &self.id, request)
    }
}

/// A dumb buffer of `device`, exported.
pub(crate) fn allocate(
    device: &KmsDevice,
    id: &HeapId,
    request: &Request<'_>,
) -> Result<Allocation, AllocError> {
    let bytes = page_rounded(id, request.bytes)?;
    let (width, height) = geometry(bytes, request.pitch).ok_or_else(|| AllocError::BadRequest {
        heap: id.clone(),
        what: format!("{bytes} bytes in rows of {} bytes", request.pitch),
    })?;
    let refused = |what| {
        move |error: std::io::Error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            AllocError::from_errno(id, what, bytes, errno)
        }
    };
    // The format only names the caller's wish; the kernel is told bits per pixel.
    let dumb = device
        .create_dumb_buffer((width, height), DrmFourcc::Xrgb8888, 32)
        .map_err(refused("make a dumb buffer"))?;
    let pitch_hint = (request.pitch > 0).then_some(u64::from(dumb.pitch()));
    let exported = device.buffer_to_prime_fd(dumb.handle(), EXPORT_FLAGS);
    // The exported dma-buf keeps the memory; the handle would keep it for as long as the device is open.
    if let Err(error) = device.destroy_dumb_buffer(dumb) {
        tracing::warn!(heap = %id, %error, "could not close the handle of a dumb buffer");
    }
    let fd = exported.map_err(refused("export a dumb buffer"))?;
    let real = crate::buffers::dma_buf::byte_size(fd.as_fd())
        .map_err(|errno| AllocError::from_errno(id, "measure a dumb buffer", bytes, errno))?;
    if real < request.bytes {
        return Err(AllocError::from_errno(id, "get a large enough dumb buffer", bytes, Errno::OVERFLOW));
    }
    Ok(Allocation { fd, bytes: real, pitch_hint })
}

/// Width in pixels and height in rows of a dumb buffer that holds `bytes` in rows of `pitch`.
pub(super) fn geometry(bytes: u64, pitch: u64) -> Option<(u32, u32)> {
    let pitch = if pitch == 0 { DEFAULT_PITCH } else { pitch };
    let width = pitch.div_ceil(BYTES_PER_PIXEL);
    let height = bytes.div_ceil(width.checked_mul(BYTES_PER_PIXEL)?);
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumb_buffer_covers_the_bytes_asked() {
        assert_eq!(geometry(1024 * 768 * 4, 4096), Some((1024, 768)));
        assert_eq!(geometry(4097, 0), Some((1024, 2)));
        // Rows of an odd pitch are rounded up to whole pixels, never down.
        assert_eq!(geometry(1000, 999), Some((250, 1)));
        assert_eq!(geometry(u64::MAX, 4), None);
        assert_eq!(geometry(4096, u64::MAX), None);
    }
}
