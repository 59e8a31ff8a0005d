//! `wl_shm` without a copy: a client's pool in a sealed memfd, lent to the display where it takes such memory.
//!
//! The memory stays the client's: it is wrapped as it is, when a buffer is shown for the second time (one that is shown
//! once is not worth its pages being pinned), and lent for as long as the `wl_buffer` lives. What is not lent is composed,
//! as ever, and the reason is told.

mod exporter;
mod ledger;
mod refusal;

pub use exporter::{ScreenExporter, ScreenFramebuffer};
pub use ledger::SharedMemory;
pub use refusal::Refusal;
