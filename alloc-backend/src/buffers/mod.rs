//! The thing: an allocated buffer, its planes, its CPU mapping; pools that recycle buffers, and what each may hold.

mod allocator;
mod books;
mod buffer;
pub mod dma_buf;
mod error;
mod ioctl_dma_buf;
mod layout;
mod ledger;
mod mapping;
mod metrics;
mod owner;
mod pool;
mod pooled;
mod quota;
mod shelf;
mod sole;
mod want;

pub use allocator::Allocator;
pub use buffer::{Buffer, Memory};
pub use error::{BufferError, MapError};
pub use layout::{Layout, LayoutError};
pub use mapping::{Mapping, ReadGuard, WriteGuard};
pub use metrics::{Metrics, PoolMetrics};
pub use owner::Owner;
pub use pool::{BufferPool, PoolError, PoolLimits};
pub use pooled::{PooledBuffer, PooledMapping};
pub use quota::{Amount, Limit, Overdrawn, Quotas, Unit};
pub use shelf::IdleLimits;
pub use want::{Allocated, AllocatorError, FailureReason, HeapFailure, Want};
