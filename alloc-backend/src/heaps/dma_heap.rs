//! A dma-heap node: one of `/dev/dma_heap/*`, whatever it is called.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::cached_probe;
use super::cma::{self, CmaPool};
use super::memfd::{check_limit, page_rounded, page_size};
use super::{AllocError, Allocation, Heap, HeapError, HeapId, Request, Root, ioctl_dma_heap};
use crate::solver::problem::HeapFacts;

/// An open dma-heap.
#[derive(Debug)]
pub struct DmaHeap {
    id: HeapId,
    names: Vec<String>,
    node: OwnedFd,
    max_bytes: Option<u64>,
    cma: Option<CmaPool>,
    cached: Option<bool>,
}

impl DmaHeap {
    /// Opens a node and looks, by allocating a few pages, whether it draws on contiguous memory and whether the CPU
    /// reaches it through its caches.
    ///
    /// # Errors
    /// [`HeapError`] with advice when it is not there for us, or is no heap.
    pub fn open(path: &Path, root: &Root) -> Result<Self, HeapError> {
        let rule = r#"SUBSYSTEM=="dma_heap", GROUP="video", MODE="0660""#;
        let (node, id) = super::list::open_node(path, "dma-heap", OFlags::RDONLY, rule)?;
        // Zero bytes is EINVAL from a heap and ENOTTY from everything else: asking costs no memory.
        if let Err(Errno::NOTTY) = ioctl_dma_heap::allocate(node.as_fd(), 0) {
            return Err(HeapError::NotAHeap { path: path.to_owned(), kind: "dma-heap" });
        }
        let cma = cma::observe(root, |bytes| ioctl_dma_heap::allocate(node.as_fd(), bytes));
        let cached = cached_probe::observe(|bytes| ioctl_dma_heap::allocate(node.as_fd(), bytes));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let names = name.into_iter().collect();
        Ok(DmaHeap { id, names, node, max_bytes: root.total_ram(), cma, cached })
    }

    /// Whether the CPU reaches its memory through its caches, as measured when it was opened; `None`: not known.
    pub fn is_cached(&self) -> Option<bool> {
        self.cached
    }

    /// Another name for the same device number.
    pub(super) fn add_name(&mut self, name: String) {
        self.names.push(name);
    }
}

impl Heap for DmaHeap {
    fn id(&self) -> &HeapId {
        &self.id
    }

    fn facts(&self) -> HeapFacts {
        HeapFacts {
            id: self.id.as_str().to_owned(),
            names: self.names.clone(),
            // Without evidence of what lies behind it, a heap is a pool of its own.
            pool: self.cma.as_ref().map(CmaPool::id),
            contiguous: self.cma.is_some(),
            capacity: self.cma.as_ref().and_then(CmaPool::capacity),
            free: self.cma.as_ref().and_then(CmaPool::free),
            cached: self.cached == Some(true),
            max_bytes: self.max_bytes,
            page_size: page_size(),
            ..HeapFacts::default()
        }
    }

    fn only_as_dma_buf(&self) -> bool {
        true
    }

    fn allocate(&self, request: &Request<'_>) -> Result<Allocation, AllocError> {
        let bytes = page_rounded(&self.id, request.bytes)?;
        check_limit(&self.id, bytes, self.max_bytes, "the machine's memory")?;
        let fd = ioctl_dma_heap::allocate(self.node.as_fd(), bytes)
            .map_err(|errno| AllocError::from_errno(&self.id, "allocate a dma-buf", bytes, errno))?;
        Ok(Allocation { fd, bytes, pitch_hint: None })
    }
}
