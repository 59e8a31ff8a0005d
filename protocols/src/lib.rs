//! The Wayland protocol extension of Heapwright and its generated code.
//!
//! [`allocation`] lets a client state what its side needs of a buffer, and get dma-bufs that everybody who touches them
//! can use. [`linux_dmabuf`] is the widely used protocol for showing them. The XML under `xml/` is the specification; `README.md` shows how the parts play together.
//!
//! The features `client` and `server` each bring one side; without either there is nothing here.

#[cfg(any(feature = "client", feature = "server"))]
pub mod allocation;
#[cfg(any(feature = "client", feature = "server"))]
mod generate;
#[cfg(any(feature = "client", feature = "server"))]
pub mod linux_dmabuf;
