//! udmabuf: a memfd's pages as a dma-buf. Scattered, cached, ordinary memory; usually open to users.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::memfd::{check_limit, page_rounded, page_size, ram_facts, sealed};
use super::populate::populate;
use super::{AllocError, Allocation, Heap, HeapError, HeapId, Request, Root, ioctl_udmabuf};
use crate::solver::problem::HeapFacts;

/// Where the kernel publishes the limits, below `/sys`.
const PARAMETERS: &str = "module/udmabuf/parameters";

/// The udmabuf device.
#[derive(Debug)]
pub struct UdmabufHeap {
    id: HeapId,
    node: OwnedFd,
    max_bytes: Option<u64>,
    limit: &'static str,
    max_ranges: Option<u64>,
}

impl UdmabufHeap {
    /// Opens the node and reads its limits.
    ///
    /// # Errors
    /// [`HeapError`] with advice when it is not there for us, or is something else.
    pub fn open(path: &Path, root: &Root) -> Result<Self, HeapError> {
        let rule = r#"SUBSYSTEM=="misc", KERNEL=="udmabuf", TAG+="uaccess""#;
        let (node, id) = super::list::open_node(path, "udmabuf", rustix::fs::OFlags::RDWR, rule)?;
        // An empty range is EINVAL from udmabuf and ENOTTY from everything else: asking costs no memory.
        if let Err(Errno::NOTTY) = ioctl_udmabuf::create(node.as_fd(), node.as_fd(), 0, 0) {
            return Err(HeapError::NotAHeap { path: path.to_owned(), kind: "udmabuf" });
        }
        // 64 MiB up to Linux 7.2, unlimited in 7.3: a limit that is not published does not exist.
        let megabytes = root.sys_number(&format!("{PARAMETERS}/size_limit_mb")).filter(|mb| *mb > 0);
        let size_limit = megabytes.and_then(|mb| mb.checked_mul(1 << 20));
        let (max_bytes, limit) = match (size_limit, root.total_ram()) {
            (Some(limit), Some(ram)) if limit > ram => (Some(ram), "the machine's memory"),
            (Some(limit), _) => (Some(limit), "udmabuf.size_limit_mb"),
            (None, ram) => (ram, "the machine's memory"),
        };
        let max_ranges = root.sys_number(&format!("{PARAMETERS}/list_limit"));
        Ok(UdmabufHeap { id, node, max_bytes, limit, max_ranges })
    }

    /// Wraps `bytes` at `offset` of somebody's memfd as a dma-buf, without a copy.
    ///
    /// The memfd must be sealed with `F_SEAL_SHRINK`, not sealed against writing; offset and bytes must be
    /// multiples of the page size. The dma-buf shares its pages: the memfd's owner goes on writing into them.
    /// Pages nobody has touched are made zero first, see `populate.rs`.
    /// Name it with [`set_name`](crate::buffers::dma_buf::set_name).
    ///
    /// # Errors
    /// [`AllocError::BadRequest`] when one of the conditions above does not hold.
    pub fn wrap(&self, memfd: impl AsFd, offset: u64, bytes: u64) -> Result<OwnedFd, AllocError> {
        check_limit(&self.id, bytes, self.max_bytes, self.limit)?;
        let memfd = memfd.as_fd();
        let bad = |why: &str| {
            Err(AllocError::BadRequest {
                heap: self.id.clone(),
                what: format!("{bytes} bytes at {offset} of a memfd: {why}"),
            })
        };
        // Only memory has seals, so a file of a slow or hostile file system is not even looked at.
        match rustix::fs::fcntl_get_seals(memfd) {
            Ok(seals) if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) => {
                return bad("it is sealed against writing");
            }
            Ok(seals) if !seals.contains(SealFlags::SHRINK) => {
                return bad("it is not sealed with F_SEAL_SHRINK");
            }
            Ok(_) => {}
            Err(_) => return bad("it is none"),
        }
        if bytes == 0 || bytes % page_size() != 0 || offset % page_size() != 0 {
            return bad("not whole pages");
        }
        let failed = |what| move |errno| AllocError::from_errno(&self.id, what, bytes, errno);
        let size = rustix::fs::fstat(memfd).map_err(failed("measure a memfd"))?.st_size;
        let size = u64::try_from(size).unwrap_or(0);
        if offset.checked_add(bytes).is_none_or(|end| end > size) {
            return bad(&format!("it ends at {size}"));
        }
        populate(memfd, offset, bytes).map_err(failed("populate a memfd"))?;
        self.create(memfd, offset, bytes)
    }

    fn create(&self, memfd: BorrowedFd<'_>, offset: u64, bytes: u64) -> Result<OwnedFd, AllocError> {
        ioctl_udmabuf::create(self.node.as_fd(), memfd, offset, bytes)
            .map_err(|errno| AllocError::from_errno(&self.id, "wrap a memfd", bytes, errno))
    }
}

impl Heap for UdmabufHeap {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts { max_ranges: self.max_ranges, ..ram_facts(&self.id, "udmabuf", self.max_bytes) }
    }

    fn only_as_dma_buf(&self) -> bool {
        // The memfd below is closed before anybody sees the dma-buf.
        true
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let bytes = page_rounded(&self.id, request.bytes)?;
        check_limit(&self.id, bytes, self.max_bytes, self.limit)?;
        let memfd = sealed(request.name, bytes)
            .map_err(|errno| AllocError::from_errno(&self.id, "make a memfd", bytes, errno))?;
        // The dma-buf pins the pages, so the memfd can go: nobody else can ever write to it.
        let fd = self.create(memfd.as_fd(), 0, bytes)?;
        Ok(Allocation { fd, bytes, pitch_hint: None })
    }

    fn wraps(&self) -> bool {
        true
    }

    fn wrap(&self, memfd: BorrowedFd<'_>, offset: u64, bytes: u64) -> Option<Result<OwnedFd, AllocError>> {
        Some(UdmabufHeap::wrap(self, memfd, offset, bytes))
    }

    fn in_pieces(&self, bytes: u64) -> Option<Result<OwnedFd, AllocError>> {
        let half = page_rounded(&self.id, bytes.div_ceil(2).max(1));
        Some(half.and_then(|half| {
            let made = sealed("heapwright-in-pieces", half)
                .and_then(|memfd| ioctl_udmabuf::create_twice(self.node.as_fd(), memfd.as_fd(), half));
            made.map_err(|errno| AllocError::from_errno(&self.id, "wrap a memfd twice", half, errno))
        }))
    }
}
