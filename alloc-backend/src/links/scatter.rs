//! Does a device take memory in pieces? Asked so that luck cannot answer.
//!
//! Importing a buffer of a heap that allocates in pieces proves little: fresh memory often lies together, so it passes
//! at boot and fails next week. Here the buffer is one page of memory *twice*: whatever page that is, its successor is
//! not itself, so no device can see it as contiguous unless an IOMMU makes it so, which is what the question is about.
//! A refusal alone would not tell either (a device may refuse all foreign memory), so a single page, which is always
//! contiguous, must pass first.

use rustix::io::Errno;

use super::gem::Import;
use crate::devices::{KmsDevice, Scattered};
use crate::heaps::{Heap, HeapList, Request};

/// Tries it, once per device, and keeps the finding in [`KmsDevice::takes_scattered`].
///
/// `None`: no heap here can make such a buffer, or the device refuses even one page, or memory ran out.
pub fn probe_scattered(device: &KmsDevice, heaps: &HeapList) -> Option<bool> {
    if device.scattered().is_none() {
        if let Some(found) = heaps.heaps.iter().find_map(|heap| ask(device, &**heap)) {
            tracing::debug!(device = device.name(), ?found, "memory in pieces");
            device.learn_scattered(found);
        }
    }
    device.takes_scattered()
}

fn ask(device: &KmsDevice, heap: &dyn Heap) -> Option<Scattered> {
    let in_pieces = heap.in_pieces(2 * rustix::param::page_size() as u64)?.ok()?;
    let single = heap.allocate(&Request::bytes(1, "heapwright-one-page")).ok()?;
    match Import::new(device, &single.fd) {
        Ok(_) => {}
        // What a device says that has gone is no answer, and that it takes none is one for good.
        Err(Errno::NODEV) if device.has_vanished() => return None,
        Err(Errno::NODEV | Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => return Some(Scattered::NoAnswer),
        Err(_) => return None,
    }
    match Import::new(device, &in_pieces) {
        Ok(_) => Some(Scattered::Taken),
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NXIO | Errno::RANGE) => Some(Scattered::Refused),
        Err(_) => None,
    }
}
