//! What a node can do that no buffer of ours can be used for, and why: nothing is lost silently.

use std::fmt;

use crate::constraints::{Fourcc, Size};

/// A format that is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// V4L2's code.
    pub v4l2: Fourcc,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a format is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyLeftOut {
    /// It holds no picture that others could read.
    Compressed,
    /// No format of DRM is known to have the same bytes.
    UnknownToDrm,
    /// Each plane must be a buffer of its own; all planes of a buffer here lie in one.
    PlanesApart,
    /// The driver would use another size than the one asked for.
    OtherSize(Size),
    /// The driver would use another format at that size.
    OtherFormat(Fourcc),
    /// The driver does not say how it lays the picture out.
    NoPitch,
    /// The driver refused to say what it would do.
    NotTold,
}

impl fmt::Display for WhyLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyLeftOut::Compressed => f.write_str("compressed"),
            WhyLeftOut::UnknownToDrm => f.write_str("no DRM format is known to have these bytes"),
            WhyLeftOut::PlanesApart => f.write_str("each plane is a buffer of its own"),
            WhyLeftOut::OtherSize(size) => write!(f, "would be {size}"),
            WhyLeftOut::OtherFormat(format) => write!(f, "would be {format}"),
            WhyLeftOut::NoPitch => f.write_str("no pitch is told"),
            WhyLeftOut::NotTold => f.write_str("the driver does not say what it would do"),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.v4l2, self.why)
    }
}
