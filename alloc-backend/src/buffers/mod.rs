//! The thing: an allocated buffer, its planes, its CPU mapping.

mod allocator;
mod buffer;
pub mod dma_buf;
mod error;
mod ioctl_dma_buf;
mod layout;
mod mapping;
mod want;

pub use allocator::Allocator;
pub use buffer::{Buffer, Memory};
pub use error::{BufferError, MapError};
pub use layout::{Layout, LayoutError};
pub use mapping::{Mapping, ReadGuard, WriteGuard};
pub use want::{Allocated, AllocatorError, FailureReason, HeapFailure, Want};
