//! Smithay's linux-dmabuf feedback from tranches of solver answers.

use std::collections::HashSet;
use std::io;

use ::smithay::backend::allocator::Format;
use ::smithay::reexports::wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_feedback_v1::TrancheFlags;
use ::smithay::wayland::dmabuf::{DmabufFeedback, DmabufFeedbackBuilder};

use super::smithay_format;
use crate::feedback::Tranche;

/// Most pairs in a format table: indices have 16 bits.
const MOST_PAIRS: usize = 1 << 16;

/// Why a feedback could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// The specification wants a tranche for the main device, and Smithay wants it without scan-out.
    #[error("no tranche without scan-out targets the main device {0:#x}; add the formats that it can import")]
    NoMainTranche(u64),
    /// Smithay would cut the indices.
    #[error("{0} format and modifier pairs, but the table holds at most 65536")]
    TooManyPairs(usize),
    /// The format table's file could not be made.
    #[error("cannot create the format table: {0}")]
    Table(#[from] io::Error),
}

/// Smithay's feedback with these tranches, best first. `main_device` is the `dev_t` of the device that imports what is
/// not scanned out. Smithay sends the main device's tranche last, wherever it stands; formats that Smithay has no name
/// for are left out.
///
/// # Errors
/// [`FeedbackError`]
///
/// ```
/// use heapwright_alloc::constraints::{Fourcc, Modifier};
/// use heapwright_alloc::feedback::{Tranche, TrancheFormat};
/// use heapwright_alloc::smithay::dmabuf_feedback;
///
/// let linear = TrancheFormat { format: Fourcc::XRGB8888, modifier: Modifier::LINEAR, pitch: 7680 };
/// let tranche = |scanout| Tranche { target_device: 0xe201, scanout, formats: vec![linear] };
/// assert!(dmabuf_feedback(0xe201, &[tranche(true), tranche(false)]).is_ok());
/// let error = dmabuf_feedback(0xe201, &[tranche(true)]).unwrap_err();
/// assert!(error.to_string().contains("no tranche without scan-out targets the main device 0xe201"));
/// ```
pub fn dmabuf_feedback(main_device: u64, tranches: &[Tranche]) -> Result<DmabufFeedback, FeedbackError> {
    let is_main = |tranche: &&Tranche| !tranche.scanout && tranche.target_device == main_device;
    let formats = |tranche: &Tranche| -> Vec<Format> {
        tranche.pairs().into_iter().filter_map(smithay_format).collect()
    };
    let main: Vec<Format> = tranches.iter().filter(is_main).flat_map(formats).collect();
    if main.is_empty() {
        return Err(FeedbackError::NoMainTranche(main_device));
    }
    let pairs: HashSet<Format> = tranches.iter().flat_map(formats).collect();
    if pairs.len() > MOST_PAIRS {
        return Err(FeedbackError::TooManyPairs(pairs.len()));
    }
    let mut builder = DmabufFeedbackBuilder::new(main_device, main);
    for tranche in tranches.iter().filter(|tranche| !is_main(tranche)) {
        let flags = tranche.scanout.then_some(TrancheFlags::Scanout);
        builder = builder.add_preference_tranche(tranche.target_device, flags, formats(tranche));
    }
    Ok(builder.build()?)
}
