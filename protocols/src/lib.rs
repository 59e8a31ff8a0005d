//! The Wayland protocol extension of Heapwright and its generated code.
