//! What is wanted: the vocabulary of the constraint solver. Pure: no I/O.
//!
//! | module | noun |
//! |---|---|
//! | [`fourcc`] | a pixel format's code, written as its text (`XR24`) |
//! | [`mod@format`] | what the bytes of a format look like: planes, blocks, subsampling |
//! | [`modifier`] | the tiling or compression of a buffer, written by name |
//! | [`size`] | width and height in pixels |
//! | [`layout`] | limits on size, pitch and layout |
//! | [`memory`] | limits on where the memory lies and how it is touched |
//! | [`counts`] | how many buffers a participant needs |
//! | [`divisor`] | checked arithmetic on alignments |

pub mod counts;
pub mod divisor;
pub mod format;
pub mod fourcc;
pub mod layout;
pub mod memory;
pub mod modifier;
mod modifier_family;
pub mod size;

pub use counts::Counts;
pub use format::{Format, FormatPlane};
pub use fourcc::{Fourcc, ParseFourccError};
pub use layout::{ChromaPitch, ExactPitch, LayoutLimits};
pub use memory::{Coherency, CpuAccess, Frequency, MemoryLimits, Sync};
pub use modifier::{Modifier, ParseModifierError};
pub use size::{ParseSizeError, Size};
