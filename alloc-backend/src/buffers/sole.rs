//! Does the kernel's count of references to a dma-buf prove that nobody else can reach its memory?
//!
//! It does when there is no way around the dma-buf, and there are three to look for: another kind of handle to the same
//! memory (the heap says so), a kernel that counts otherwise than we think (a fresh buffer must count one), and pages
//! that somebody pinned through a mapping and kept after unmapping (io_uring's registered buffers, `vmsplice`). The
//! last is impossible where mappings have no pages to pin: `VM_PFNMAP` or `VM_IO`, which smaps shows as `pf` and `io`.
//! In Linux 7.3 that holds for the system heap, CMA and udmabuf; earlier kernels gave the latter two pages.

use super::{Buffer, dma_buf};
use crate::heaps::Heap;

/// To be asked with a buffer fresh from `heap`, which nobody else has seen.
pub(super) fn count_proves(heap: &dyn Heap, fresh: &Buffer) -> bool {
    heap.only_as_dma_buf() && dma_buf::references(fresh.fd()) == Some(1) && !can_be_pinned(fresh)
}

fn can_be_pinned(buffer: &Buffer) -> bool {
    // What cannot be mapped cannot be pinned through a mapping.
    let Ok(mapping) = buffer.map_read_only() else { return false };
    let start = mapping.as_ptr() as usize;
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    !has_no_pages(&smaps, start)
}

/// Whether the mapping at this address is of a kind without pages.
fn has_no_pages(smaps: &str, start: usize) -> bool {
    let head = format!("{start:08x}-");
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&head));
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "pf" || flag == "io"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_right_mapping_are_read() {
        let smaps = "00400000-00452000 r-xp 00000000 08:02 173521 /bin/x\nSize: 4 kB\nVmFlags: rd mr mw me io\n\
            7f0000000000-7f0000400000 rw-s 00000000 00:0c 9 /dmabuf:\nVmFlags: rd wr sh pf de\n\
            7f0000400000-7f0000401000 rw-p 00000000 00:00 0\nVmFlags: rd wr mr mw me ac pfx\n";
        assert!(has_no_pages(smaps, 0x7f00_0000_0000));
        assert!(!has_no_pages(smaps, 0x7f00_0040_0000));
        assert!(has_no_pages(smaps, 0x40_0000));
        assert!(!has_no_pages(smaps, 0x7f00_0000_1000));
        assert!(!has_no_pages("", 0));
    }
}
