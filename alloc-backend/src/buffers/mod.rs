//! The thing: an allocated buffer, its planes, its CPU mapping; pools that recycle buffers, and what each may hold.

mod allocator;
mod books;
mod buffer;
mod carry_out;
mod degradation;
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
mod shortage;
mod sole;
mod trying;
mod videos;
mod want;

pub use allocator::Allocator;
pub use buffer::{Buffer, Memory};
pub use degradation::Degradation;
pub use error::{BufferError, MapError};
pub use layout::{Layout, LayoutError};
pub use mapping::{Mapping, ReadGuard, WriteGuard};
pub use metrics::{Metrics, PoolMetrics};
pub use owner::Owner;
pub use pool::{BufferPool, PoolError, PoolLimits, Wipe};
pub use pooled::{PooledBuffer, PooledMapping};
pub use quota::{Amount, Limit, Overdrawn, Quotas, Unit};
pub use shelf::IdleLimits;
pub use shortage::Shortage;
pub use want::{Allocated, AllocatorError, FailureReason, HeapFailure, Want};
