//! The reference compositor: how heapwright-alloc is meant to be used.
