//! `heapwright_allocation_unstable_v1`: buffers that everybody who touches them can use.

crate::generate::generate!("xml/heapwright-allocation-unstable-v1.xml");
