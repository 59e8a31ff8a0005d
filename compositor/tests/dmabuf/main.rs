//! linux-dmabuf as a client sees it: one process holds the server and raw clients, with memfds passing for dma-bufs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations,
    reason = "a helper of a test that finds its own set-up broken has nothing better to do than stop"
)]

mod buffers;
mod feedback;
mod fixture;
mod refusals;
mod validate;
