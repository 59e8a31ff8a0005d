//! The lab, conformance and hostile-client tests of Heapwright.

pub mod displays;
pub mod endurance;
pub mod lab;
pub mod photograph;
pub mod report;
pub mod vkms;
