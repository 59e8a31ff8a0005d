//! The bridge to compositors on Smithay 0.7, behind the feature `smithay`: the only place of this crate that knows any.
//!
//! | item | for |
//! |---|---|
//! | [`DmabufAllocator`] | Smithay's `Allocator`: swapchains and `DrmCompositor` on kernel heaps, without GBM |
//! | [`PrimeExporter`] | Smithay's `ExportFramebuffer<Dmabuf>`: framebuffers by PRIME import and AddFB2 |
//! | [`dmabuf_feedback`] | Smithay's `DmabufFeedback` from tranches of solver answers |
//! | [`dmabuf`], [`pair`], [`smithay_format`] | single values, both ways |

mod allocator;
mod feedback;
mod framebuffer;

pub use allocator::{DmabufAllocator, DmabufError, dmabuf};
pub use feedback::{FeedbackError, dmabuf_feedback};
pub use framebuffer::{FramebufferError, PrimeExporter, PrimeFramebuffer, framebuffer_of};

use ::smithay::backend::allocator as smithay_allocator;

use crate::constraints::{Fourcc, Modifier};

/// Smithay's format as a pair.
pub fn pair(format: smithay_allocator::Format) -> (Fourcc, Modifier) {
    (Fourcc(format.code as u32), Modifier(u64::from(format.modifier)))
}

/// A pair as Smithay's format; `None` for a fourcc that Smithay has no name for.
pub fn smithay_format((format, modifier): (Fourcc, Modifier)) -> Option<smithay_allocator::Format> {
    let code = smithay_allocator::Fourcc::try_from(format).ok()?;
    Some(smithay_allocator::Format { code, modifier: smithay_allocator::Modifier::from(modifier.0) })
}
