//! `linux_dmabuf_v1` in version 6: what `wayland-protocols` has, too, in releases that our oldest Rust does not build.

crate::generate::generate!("xml/linux-dmabuf-v1.xml");
