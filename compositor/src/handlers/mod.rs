//! What the protocols call back.

mod compositor;
mod dmabuf;
mod output;
mod seat;
mod selection;
mod xdg_shell;
