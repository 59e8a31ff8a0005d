//! linux-dmabuf feedback made of solver answers.
//!
//! A pair is offered only if the solver finds memory for it that the client's CPU, the renderer and, in a scan-out
//! tranche, the plane can all use.

use std::{os::unix::fs::MetadataExt as _, sync::Arc};

use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use smithay::{
    backend::{
        allocator::Format,
        renderer::{ImportDma as _, pixman::PixmanRenderer},
    },
    output::Output,
};
use tracing::{debug, info, warn};

use crate::{
    dmabuf::{Feedback, FeedbackError, Tranche},
    memory::{Memory, PlaneOf},
    state::Heapwright,
    video,
};

/// The device that clients without a better word should open, and the pairs that the renderer takes.
#[derive(Debug, Clone)]
pub struct Source {
    /// dev_t of the device.
    pub device: u64,
    /// Size that buffers are asked for at, in pixels.
    pub size: Size,
    /// Pairs of the renderer, best first.
    pub formats: Vec<(Fourcc, Modifier)>,
}

/// A picture that every heap can be asked about, for surfaces whose size is not known.
pub const USUAL: Size = Size { width: 640, height: 480 };

/// Pairs in our own words, sorted so that the common formats come first.
pub fn pairs(formats: impl IntoIterator<Item = Format>) -> Vec<(Fourcc, Modifier)> {
    let mut pairs: Vec<_> = formats
        .into_iter()
        .map(|format| (Fourcc(format.code as u32), Modifier(u64::from(format.modifier))))
        .collect();
    let rank =
        |format: Fourcc| [Fourcc::XRGB8888, Fourcc::ARGB8888].iter().position(|first| *first == format);
    pairs.sort_by_key(|(format, modifier)| (rank(*format).unwrap_or(usize::MAX), *format, *modifier));
    pairs.dedup();
    pairs
}

/// Everything that the renderer takes, whether or not there is memory for it.
///
/// # Errors
/// [`FeedbackError`] when the format table cannot be made.
pub fn unsolved(renderer: &PixmanRenderer) -> Result<Feedback, FeedbackError> {
    let device = device_without_display();
    let formats = renderer_pairs(renderer);
    Feedback::new(device, vec![Tranche { target_device: device, scanout: false, sampling: true, formats }])
}

/// Feedback for surfaces that are composed.
///
/// # Errors
/// [`FeedbackError`] when no pair is left, or the format table cannot be made.
pub fn default(memory: &Memory, source: &Source) -> Result<Feedback, FeedbackError> {
    let formats = memory.sampled(source.size, &source.formats);
    Feedback::new(
        source.device,
        vec![Tranche { target_device: source.device, scanout: false, sampling: true, formats }],
    )
}

/// Feedback for a surface that covers an output, so that `plane` would take it.
///
/// # Errors
/// As [`default`].
pub fn scanout(memory: &Memory, source: &Source, plane: PlaneOf<'_>) -> Result<Feedback, FeedbackError> {
    let target_device = source.device;
    let direct = memory.scanned_out(source.size, &source.formats, plane);
    let formats = memory.sampled(source.size, &source.formats);
    let mut tranches = Vec::new();
    if !direct.is_empty() {
        tranches.push(Tranche { target_device, scanout: true, sampling: true, formats: direct });
    }
    tranches.push(Tranche { target_device, scanout: false, sampling: true, formats });
    Feedback::new(target_device, tranches)
}

/// The device number to tell clients on a machine where we drive no display: a DRM node if there is one, because
/// clients try to open it, else a heap's node.
#[must_use]
pub fn device_without_display() -> u64 {
    let under = |directory: &str| {
        let mut nodes: Vec<_> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.rdev())
            .filter(|rdev| *rdev != 0)
            .collect();
        nodes.sort_unstable();
        // Render nodes have the higher numbers, and are what a client may open.
        nodes.pop()
    };
    let udmabuf = || std::fs::metadata("/dev/udmabuf").ok().map(|metadata| metadata.rdev());
    under("/dev/dri").or_else(|| under("/dev/dma_heap")).or_else(udmabuf).unwrap_or(0)
}

impl Heapwright {
    /// Offers linux-dmabuf with what the backend, now attached, can take.
    pub fn advertise_dmabuf(&mut self) {
        if !self.memory.makes_dma_bufs() {
            info!("no heap here makes dma-bufs: linux-dmabuf is not offered");
            self.display.remove_global::<Self>(self.dmabuf.global());
            return;
        }
        self.renew_default_feedback();
    }

    /// The device is another: clients without a better word are told of it.
    pub(crate) fn renew_default_feedback(&mut self) {
        let Some(source) = self.backend.feedback_source() else { return };
        match default(&self.memory, &source) {
            Ok(feedback) => self.dmabuf.set_default_feedback(feedback),
            Err(error) => warn!(%error, "linux-dmabuf feedback stays as it was"),
        }
    }

    /// Feedback for a surface of so many pixels that this plane would take.
    pub(crate) fn scanout_feedback(&self, plane: PlaneOf<'_>, size: Size) -> Option<Arc<Feedback>> {
        let source = Source { size, ..self.backend.feedback_source()? };
        match scanout(&self.memory, &source, plane) {
            Ok(feedback) => Some(Arc::new(feedback)),
            Err(error) => {
                debug!(%error, "no scan-out feedback");
                None
            }
        }
    }
}

/// Pixels of an output's mode.
#[must_use]
pub fn size_of(output: &Output) -> Option<Size> {
    let size = output.current_mode()?.size;
    Some(Size { width: u32::try_from(size.w).ok()?, height: u32::try_from(size.h).ok()? })
}

/// The pairs of the software renderer, and those that are converted for it.
#[must_use]
pub fn renderer_pairs(renderer: &PixmanRenderer) -> Vec<(Fourcc, Modifier)> {
    let mut pairs = pairs(renderer.dmabuf_formats());
    // Last: a plane shows them as they are, the renderer makes a copy more of them.
    pairs.extend(video::pairs());
    pairs
}
