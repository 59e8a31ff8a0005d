//! A buffer: memory from a heap, and the picture that lies in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::dma_buf::{self, FdKind};
use super::ledger::{Lease, Ledger};
use super::{BufferError, Layout, MapError, Mapping};
use crate::constraints::{Fourcc, Modifier, Size};
use crate::heaps::{Heap, HeapId, Request};
use crate::solver::PlaneLayout;

/// What kind of memory a buffer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// A dma-buf: devices can import it.
    DmaBuf,
    /// A memfd: for the CPU, and for `wl_shm`.
    Memfd,
}

/// An allocated buffer. Dropping it gives the memory back once nobody else holds it.
#[derive(Debug)]
pub struct Buffer {
    fd: OwnedFd,
    memory: Memory,
    layout: Layout,
    heap: Option<HeapId>,
    pitch_hint: Option<u64>,
    /// As last given here.
    name: String,
    // After the descriptor: the entry ends when the memory has gone.
    lease: Option<Lease>,
}

impl Buffer {
    /// Allocates from one heap, zeroed. `name` is what debugfs will show; an empty one saves a system call.
    ///
    /// # Errors
    /// [`BufferError::Alloc`]; nothing is leaked.
    pub fn allocate(heap: &dyn Heap, layout: &Layout, name: &str) -> Result<Self, BufferError> {
        let pitch = layout.planes().first().map_or(0, |plane| plane.pitch);
        let allocation = heap.allocate(&Request { bytes: layout.bytes(), pitch, name })?;
        let memory = if heap.makes_dma_bufs() { Memory::DmaBuf } else { Memory::Memfd };
        if memory == Memory::DmaBuf && !name.is_empty() {
            if let Err(errno) = dma_buf::set_name(allocation.fd.as_fd(), name) {
                tracing::debug!(heap = %heap.id(), %errno, "buffer keeps no name");
            }
        }
        // What the heap returned is checked like anybody's: a heap may be a third party's.
        let layout = Layout::new(
            layout.size(),
            layout.format(),
            layout.modifier(),
            layout.planes().to_vec(),
            allocation.bytes,
        )?;
        let heap = Some(heap.id().clone());
        Ok(Buffer {
            fd: allocation.fd,
            memory,
            layout,
            heap,
            pitch_hint: allocation.pitch_hint,
            name: name.to_owned(),
            lease: None,
        })
    }

    /// As [`Buffer::allocate`], entered in a ledger.
    pub(super) fn entered(
        heap: &dyn Heap,
        layout: &Layout,
        name: &str,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, BufferError> {
        let mut buffer = Buffer::allocate(heap, layout, name)?;
        buffer.lease = Some(ledger.lease(heap, buffer.bytes()));
        Ok(buffer)
    }

    /// Makes all bytes zero, for the CPU and for devices, before somebody else may see them.
    pub(super) fn scrub(&self) -> Result<(), MapError> {
        let mut mapping = self.map()?;
        let mut access = mapping.write()?;
        access.fill(0);
        access.finish()
    }

    /// Takes somebody else's dma-buf (or sealed memfd), after checking that it is one and that the planes lie in it.
    ///
    /// # Errors
    /// [`BufferError`] saying what was wrong; the descriptor is closed then.
    pub fn import(
        fd: OwnedFd,
        size: Size,
        format: Fourcc,
        modifier: Modifier,
        planes: Vec<PlaneLayout>,
    ) -> Result<Self, BufferError> {
        let memory = match dma_buf::kind(fd.as_fd()) {
            FdKind::DmaBuf => Memory::DmaBuf,
            FdKind::Memfd { no_shrink: true } => Memory::Memfd,
            FdKind::Memfd { no_shrink: false } => return Err(BufferError::Unsealed),
            FdKind::Other => return Err(BufferError::NotADmaBuf),
        };
        let bytes = dma_buf::byte_size(fd.as_fd()).map_err(BufferError::Size)?;
        let layout = Layout::new(size, format, modifier, planes, bytes)?;
        Ok(Buffer { fd, memory, layout, heap: None, pitch_hint: None, name: String::new(), lease: None })
    }

    /// A dma-buf that `heap` has just made of somebody's memory.
    pub(super) fn wrapped(fd: OwnedFd, layout: Layout, heap: HeapId) -> Self {
        let (memory, heap) = (Memory::DmaBuf, Some(heap));
        Buffer { fd, memory, layout, heap, pitch_hint: None, name: String::new(), lease: None }
    }

    /// The descriptor: for importing, or for passing on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The descriptor, without the picture. To the counts of an allocator, the buffer is freed with that.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Dma-buf or memfd.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// How the picture lies in the memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Size {
        self.layout.size()
    }

    /// The pixel format.
    pub fn format(&self) -> Fourcc {
        self.layout.format()
    }

    /// The format modifier.
    pub fn modifier(&self) -> Modifier {
        self.layout.modifier()
    }

    /// Offset, pitch and size of each plane, in bytes.
    pub fn planes(&self) -> &[PlaneLayout] {
        self.layout.planes()
    }

    /// Bytes of the whole allocation.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes()
    }

    /// Where the memory came from; `None` for an imported buffer.
    pub fn heap(&self) -> Option<&HeapId> {
        self.heap.as_ref()
    }

    /// The pitch in bytes the driver would have liked (dumb buffers only).
    pub fn pitch_hint(&self) -> Option<u64> {
        self.pitch_hint
    }

    /// Maps the whole buffer for reading and writing.
    ///
    /// # Errors
    /// [`MapError`]; some memory is not for the CPU.
    pub fn map(&self) -> Result<Mapping, MapError> {
        Mapping::new(self.fd(), self.bytes(), true)
    }

    /// Maps the whole buffer for reading.
    ///
    /// # Errors
    /// As [`Buffer::map`].
    pub fn map_read_only(&self) -> Result<Mapping, MapError> {
        Mapping::new(self.fd(), self.bytes(), false)
    }

    /// Renames a buffer that is used again; a name that it has already costs nothing.
    pub(super) fn rename(&mut self, name: &str) {
        if self.name == name {
            return;
        }
        if let Err(errno) = self.set_name(name) {
            tracing::debug!(name, %errno, "buffer keeps its old name");
        }
        name.clone_into(&mut self.name);
    }

    /// Renames the buffer in debugfs: at most 31 bytes are kept. A memfd keeps its first name.
    ///
    /// # Errors
    /// The kernel's errno.
    pub fn set_name(&self, name: &str) -> rustix::io::Result<()> {
        match self.memory {
            Memory::DmaBuf => dma_buf::set_name(self.fd(), name),
            Memory::Memfd => Ok(()),
        }
    }
}

impl AsRef<Buffer> for Buffer {
    fn as_ref(&self) -> &Buffer {
        self
    }
}

impl AsFd for Buffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
