//! Constraints, solver, heaps and buffers: finds memory that every device touching a buffer can use.
//!
//! A folder is a step of the way a buffer goes; data goes forward, nothing reaches back:
//!
//! | module | step |
//! |---|---|
//! | [`constraints`] | what is wanted: formats, modifiers, sizes, pitches, placement (pure) |
//! | [`devices`] | who wants it: KMS planes, the CPU |
//! | [`heaps`] | where memory is: dma-heap, udmabuf, dumb buffers, memfd |
//! | [`links`] | which device can use which heap, and how we know |
//! | [`solver`] | the decision (pure): problem in, answer with reasons out |
//! | [`buffers`] | the thing: allocation, CPU mapping, names |
//! | [`feedback`] | telling others: tranches of linux-dmabuf feedback |
//! | `smithay` | the bridge to compositors on Smithay, behind the feature of that name |
//! | [`explain`] | all of it for this machine, for people and programs |

pub mod buffers;
pub mod constraints;
pub mod devices;
pub mod explain;
pub mod feedback;
pub mod heaps;
pub mod links;
#[cfg(feature = "smithay")]
pub mod smithay;
pub mod solver;
