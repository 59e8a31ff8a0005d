//! What to change on a machine that has too little contiguous memory for its display.

use std::error::Error;

use heapwright_alloc::{constraints::Size, devices::MemoryRegion, solver::problem::HeapFacts};

use super::Memory;
use crate::explain::bytes;

/// Frames of an output that are there at once: one on the screen, one being drawn.
const FRAMES: u64 = 2;
/// Buffers of a fullscreen client that is shown without a copy: as many as most have in turn.
const OF_CLIENT: u64 = 3;
/// In full colour.
const BYTES_PER_PIXEL: u64 = 4;
/// `cma=` is rounded to this by kernels of most machines: their page blocks are no larger.
const STEP: u64 = 4 << 20;

/// Bytes to set aside for contiguous memory, of which `used` are taken by others.
fn enough(size: Size, used: u64) -> u64 {
    let frame = size.area().saturating_mul(BYTES_PER_PIXEL);
    let wanted = frame.saturating_mul(FRAMES + OF_CLIENT).saturating_add(used);
    wanted.checked_next_multiple_of(STEP).unwrap_or(wanted)
}

/// In words, for a display that can take only contiguous memory: from a region of its own, or from what all share.
fn in_words(size: Size, own: Option<&MemoryRegion>, heaps: &[HeapFacts]) -> String {
    // Lent to others while nobody needs it: what the kernel calls contiguous memory.
    if let Some(region) = own.filter(|region| !region.reusable) {
        return format!(
            "the devicetree ties this display to {}: make that region larger, or take memory-region out of the display's \
             node, and it takes the contiguous memory that all share",
            region.name
        );
    }
    let pools = heaps.iter().filter(|heap| heap.contiguous).filter_map(|heap| heap.capacity.zip(heap.free));
    let pool = pools.max();
    let there_is = match pool {
        Some((capacity, free)) => {
            format!("of {} of contiguous memory {} are free", bytes(capacity), bytes(free))
        }
        None => "no contiguous memory is set aside".to_owned(),
    };
    let used = pool.map_or(0, |(capacity, free)| capacity.saturating_sub(free));
    format!(
        "{there_is}; {FRAMES} frames of {size} and {OF_CLIENT} buffers of a fullscreen client take {}: start the kernel with \
         cma={}M, or make the display's region of the devicetree as large",
        bytes(size.area().saturating_mul(BYTES_PER_PIXEL * (FRAMES + OF_CLIENT))),
        enough(size, used) >> 20,
    )
}

impl Memory {
    /// What would give a display the memory for an output of this size; `None` for one that takes memory in pieces: then it
    /// is not contiguous memory that is short.
    #[must_use]
    pub fn advice(&self, device: &str, size: Size) -> Option<String> {
        let allocator = self.allocator();
        let display = allocator.devices().iter().find(|known| known.name() == device)?;
        if !allocator.wants_contiguous(display) {
            return None;
        }
        let tree = display.hardware().and_then(|hardware| hardware.devicetree.as_ref());
        let own = tree.and_then(|tree| tree.memory_regions.first());
        Some(in_words(size, own, &allocator.heap_facts()))
    }

    /// An error for lack of such memory, with the advice.
    #[must_use]
    pub fn advised(&self, error: &dyn Error, device: &str, size: Size) -> String {
        self.advice(device, size).map_or_else(|| error.to_string(), |advice| format!("{error}; {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_covers_what_is_needed_beside_what_is_taken() {
        let size = Size { width: 1024, height: 768 };
        assert_eq!(enough(size, 0), 16 << 20);
        assert_eq!(enough(size, 1 << 20), 16 << 20);
        assert_eq!(enough(size, (1 << 20) + 1), 20 << 20);
        assert_eq!(enough(Size { width: u32::MAX, height: u32::MAX }, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_display_with_video_memory_of_its_own_is_not_helped_by_the_shared_pool() {
        let size = Size { width: 1024, height: 768 };
        let heap = |contiguous, free| HeapFacts {
            contiguous,
            capacity: Some(64 << 20),
            free: Some(free),
            ..HeapFacts::default()
        };
        let heaps = [heap(true, 60 << 20), heap(false, 0)];
        let region =
            |reusable| MemoryRegion { name: "vram@18000000".to_owned(), reusable, no_map: !reusable };
        let tied = in_words(size, Some(&region(false)), &heaps);
        assert!(tied.contains("vram@18000000") && !tied.contains("cma="), "{tied}");
        for own in [None, Some(&region(true))] {
            let shared = in_words(size, own, &heaps);
            assert!(shared.contains("cma=20M") && shared.contains("of 64.0 MiB of contiguous"), "{shared}");
        }
        let none = in_words(size, None, &heaps[1..]);
        assert!(none.contains("cma=16M") && none.contains("no contiguous memory is set aside"), "{none}");
    }
}
