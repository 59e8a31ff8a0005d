//! Windows: placement, focus, move, resize, maximise, fullscreen, popups.

pub mod grabs;
pub mod popup;
pub mod window;
