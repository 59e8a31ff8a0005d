//! The reference compositor: how heapwright-alloc is meant to be used, and good enough to live in.
//!
//! | module | what it holds |
//! |---|---|
//! | [`state`] | the one state that every Wayland request and device event works on |
//! | [`mod@events`] | the event loop |
//! | [`backend`] | where frames go: a KMS device, or memory alone |
//! | [`handlers`] | what the protocols call back |
//! | [`guard`] | requests that would take the server down, answered before Smithay sees them |
//! | [`dmabuf`] | linux-dmabuf, fed by solver answers |
//! | [`explicit_sync`] | linux-drm-syncobj, and what waits for what |
//! | [`shell`] | windows: placement, focus, move, resize, maximise, fullscreen |
//! | [`input`] | keyboard and pointer events on their way to clients |
//! | [`render`], [`tree`] | from windows to elements, and the news of it back to clients |
//! | [`video`] | pictures of luma and chroma: read by planes as they are, converted where they are composed |
//! | [`shape`] | whether a commit changes more of a window than pixels |
//! | [`waiting`] | whose clients may wait for news of a frame |
//! | [`hidden`] | clients of which nothing is seen |
//! | [`mod@aim`], [`aims`] | for which plane each surface's client is told to allocate |
//! | [`frames`] | what became of each surface in the last frames, and why |
//! | [`mod@counted`] | how many bytes a frame copies |
//! | [`mod@picture`], [`own_buffers`] | what is drawn by itself before it is placed, and how planes come to show it |
//! | [`stand_ins`] | what Smithay holds of clients' buffers on planes, so that it does not hold them |
//! | [`memory`] | every buffer of our own and of clients: where it lies and why |
//! | [`shared_memory`] | `wl_shm` without a copy, where the display takes it |
//! | [`mod@explain`] | where buffers go on this machine, and why |
//! | [`kiosk`] | a page for who builds a kiosk on a board: no code |
//!
//! Invariants:
//! 1. A client can end only itself: nothing a client sends reaches a panic.
//! 2. A frame is drawn only when something changed; an idle screen costs nothing.
//! 3. `zero_copy` is said of a frame only when the display read the client's own buffer.

pub mod aim;
pub mod aims;
pub mod app;
pub mod arrow;
pub mod backend;
pub mod callbacks;
pub mod cli;
pub mod client;
pub mod counted;
pub mod cursor;
pub mod descriptors;
pub mod dmabuf;
pub mod events;
pub mod explain;
pub mod explicit_sync;
pub mod feedback;
pub mod frames;
pub mod guard;
pub mod handlers;
pub mod hidden;
pub mod input;
pub mod ipc;
#[doc = include_str!("kiosk.md")]
pub mod kiosk {}
pub mod logging;
pub mod memory;
pub mod msg;
pub mod negotiation;
pub mod outputs;
pub mod own_buffers;
pub mod picture;
pub mod quirks;
pub mod render;
pub mod run;
pub mod runtime_dir;
pub mod screenshot;
pub mod shape;
pub mod shared_memory;
pub mod shell;
pub mod stand_ins;
pub mod state;
pub mod surfaces;
pub mod top;
pub mod tree;
pub mod video;
pub mod waiting;
