//! Plain memory from memfd: what is left on a machine without heaps, and the raw material of udmabuf.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::{AllocError, Allocation, Heap, HeapId, Request, Root};
use crate::solver::problem::HeapFacts;

/// The pool of ordinary memory: elastic, shared by memfd and udmabuf.
pub(super) const RAM: &str = "ram";

/// Sealed memfds. The CPU can map them; no device can import them, so they serve software rendering only.
#[derive(Debug)]
pub struct MemfdHeap {
    id: HeapId,
    max_bytes: Option<u64>,
}

impl MemfdHeap {
    /// Always possible; the limit per buffer is the machine's memory.
    pub fn new(root: &Root) -> Self {
        MemfdHeap { id: HeapId::new("memfd"), max_bytes: root.total_ram() }
    }
}

impl Heap for MemfdHeap {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        ram_facts(&self.id, "memfd", self.max_bytes)
    }

    fn makes_dma_bufs(&self) -> bool {
        false
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let bytes = page_rounded(&self.id, request.bytes)?;
        check_limit(&self.id, bytes, self.max_bytes, "the machine's memory")?;
        let fd = sealed(request.name, bytes)
            .map_err(|errno| AllocError::from_errno(&self.id, "make a memfd", bytes, errno))?;
        Ok(Allocation { fd, bytes, pitch_hint: None })
    }
}

/// What heaps made of ordinary memory have in common.
pub(super) fn ram_facts(id: &HeapId, name: &str, max_bytes: Option<u64>) -> HeapFacts {
    HeapFacts {
        id: id.as_str().to_owned(),
        names: vec![name.to_owned()],
        pool: Some(RAM.to_owned()),
        contiguous: false,
        cached: true,
        max_bytes,
        page_size: page_size(),
        ..HeapFacts::default()
    }
}

/// A memfd of exactly `bytes`, its pages present and zero, sealed against any change of size.
///
/// The pages are written here, so that a lack of memory is an error now and not a SIGBUS later; and written, not
/// reserved with `fallocate`, because reserved pages are not zero to udmabuf: see `populate.rs`.
pub(super) fn sealed(name: &str, bytes: u64) -> Result<OwnedFd, Errno> {
    let name = label(name);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know NOEXEC_SEAL; some later ones are set up to insist on it.
    let fd = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    rustix::fs::ftruncate(&fd, bytes)?;
    let mut at = 0;
    while at < bytes {
        let part = usize::try_from(bytes - at).map_or(ZEROES.len(), |left| left.min(ZEROES.len()));
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&fd, &ZEROES[..part], at))?;
        if written == 0 {
            return Err(Errno::NOSPC);
        }
        at += written as u64;
    }
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(fd)
}

/// What new memory is filled with: large enough that the calls do not count, small enough for a CPU's cache.
static ZEROES: [u8; 65536] = [0; 65536];

/// The name as memfd takes it: no zero byte, at most 249 bytes.
fn label(name: &str) -> &str {
    let name = name.split('\0').next().unwrap_or_default();
    let mut end = name.len().min(200);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// The kernel's page size in bytes.
pub(crate) fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Bytes rounded up to whole pages.
pub(crate) fn page_rounded(heap: &HeapId, bytes: u64) -> Result<u64, AllocError> {
    match bytes.checked_next_multiple_of(page_size()) {
        Some(rounded) if bytes > 0 => Ok(rounded),
        _ => Err(AllocError::BadRequest { heap: heap.clone(), what: format!("{bytes} bytes") }),
    }
}

/// Refuses what the heap is known to refuse, with the limit's origin.
pub(super) fn check_limit(
    heap: &HeapId,
    bytes: u64,
    max_bytes: Option<u64>,
    limit: &str,
) -> Result<(), AllocError> {
    match max_bytes {
        Some(max_bytes) if bytes > max_bytes => {
            Err(AllocError::TooLarge { heap: heap.clone(), bytes, max_bytes, limit: limit.to_owned() })
        }
        _ => Ok(()),
    }
}
