//! Where memory is: every source of shareable memory, behind one trait.
//!
//! 1. Heaps are found by listing ([`list`]), never by name: a name is a label for people.
//! 2. A heap says of itself only what the kernel says or what was tried here; what is not known stays unknown.
//! 3. All memory is zeroed when it leaves a heap.
//! 4. A new kind of heap is one implementation of [`Heap`].

mod cached_probe;
mod cma;
mod dma_heap;
pub(crate) mod dumb;
mod error;
#[cfg(feature = "gbm")]
mod gbm;
mod heap;
mod ioctl_dma_heap;
mod ioctl_udmabuf;
mod list;
mod memfd;
mod populate;
mod root;
mod udmabuf;

pub use dma_heap::DmaHeap;
pub use dumb::DumbHeap;
pub use error::{AllocError, HeapError};
#[cfg(feature = "gbm")]
pub use gbm::GbmHeap;
pub use heap::{Allocation, Heap, HeapId, Request};
pub use list::{HeapList, HeapProblem, list};
pub use memfd::MemfdHeap;
pub use root::Root;
pub use udmabuf::UdmabufHeap;
