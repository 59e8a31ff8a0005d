//! Explicit sync as clients see it: one process holds the real compositor and raw clients, with memfds passing for dma-bufs
//! and for timelines. What real devices make of it is tried in the lab.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations,
    reason = "a helper of a test that finds its own set-up broken has nothing better to do than stop"
)]

mod client;
mod device;
mod misuse;
mod points;
mod server;
