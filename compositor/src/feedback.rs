//! linux-dmabuf feedback made of solver answers.
//!
//! A pair is offered only if the solver finds memory for it that the client's CPU, the renderer and, in a scan-out
//! tranche, the plane can all use.

use std::{os::unix::fs::MetadataExt as _, sync::Arc};

use heapwright_alloc::{
    constraints::{Fourcc, Modifier},
    solver::problem::{Match, OptionSpec, Participant, Role},
};
use smithay::{
    backend::{
        allocator::Format,
        renderer::{ImportDma as _, pixman::PixmanRenderer},
    },
    desktop::Window,
    output::Output,
};
use tracing::{debug, info, warn};

use crate::{
    backend::Backend,
    dmabuf::{Feedback, FeedbackError, Tranche},
    memory::Memory,
    shell::window::{Mode, mode_of},
    state::Heapwright,
};

/// The device that clients without a better word should open, and the pairs that the renderer takes.
#[derive(Debug, Clone)]
pub struct Source {
    /// dev_t of the device.
    pub device: u64,
    /// Pairs of the renderer, best first.
    pub formats: Vec<(Fourcc, Modifier)>,
}

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

/// A participant that takes exactly one pair.
fn takes(name: &str, device: Option<&str>, role: Role, pair: (Fourcc, Modifier)) -> Participant {
    Participant {
        name: name.to_owned(),
        device: device.map(str::to_owned),
        role,
        options: Some(vec![OptionSpec {
            format: Match::Is(pair.0),
            modifier: Match::Is(pair.1),
            ..OptionSpec::default()
        }]),
        ..Participant::default()
    }
}

/// The pairs of `formats` for which there is memory that all can use; `plane` names a display device that must too.
fn solvable(memory: &Memory, formats: &[(Fourcc, Modifier)], plane: Option<&str>) -> Vec<(Fourcc, Modifier)> {
    formats
        .iter()
        .copied()
        .filter(|pair| {
            let mut participants =
                vec![takes("client", None, Role::Cpu, *pair), takes("renderer", None, Role::Sample, *pair)];
            participants.extend(plane.map(|device| takes("plane", Some(device), Role::Scanout, *pair)));
            memory.could_serve(participants)
        })
        .collect()
}

/// Everything that the renderer takes, whether or not there is memory for it.
///
/// # Errors
/// [`FeedbackError`] when the format table cannot be made.
pub fn unsolved(renderer: &PixmanRenderer) -> Result<Feedback, FeedbackError> {
    let device = device_without_display();
    let formats = renderer_pairs(renderer);
    Feedback::new(device, vec![Tranche { target_device: device, scanout: false, formats }])
}

/// Feedback for surfaces that are composed.
///
/// # Errors
/// [`FeedbackError`] when no pair is left, or the format table cannot be made.
pub fn default(memory: &Memory, source: &Source) -> Result<Feedback, FeedbackError> {
    let formats = solvable(memory, &source.formats, None);
    Feedback::new(source.device, vec![Tranche { target_device: source.device, scanout: false, formats }])
}

/// Feedback for a surface that a plane with `plane_formats` of display `name` would take.
///
/// # Errors
/// As [`default`].
pub fn scanout(
    memory: &Memory,
    source: &Source,
    name: &str,
    plane_formats: &[(Fourcc, Modifier)],
) -> Result<Feedback, FeedbackError> {
    // What the renderer does not take can't be shown on a frame that must be composed.
    let both: Vec<_> = plane_formats.iter().copied().filter(|pair| source.formats.contains(pair)).collect();
    let direct = solvable(memory, &both, Some(name));
    let formats = solvable(memory, &source.formats, None);
    let mut tranches = Vec::new();
    if !direct.is_empty() {
        tranches.push(Tranche { target_device: source.device, scanout: true, formats: direct });
    }
    tranches.push(Tranche { target_device: source.device, scanout: false, formats });
    Feedback::new(source.device, tranches)
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
        let Some(source) = self.backend.feedback_source() else { return };
        match default(&self.memory, &source) {
            Ok(feedback) => self.dmabuf.set_default_feedback(feedback),
            Err(error) => warn!(%error, "linux-dmabuf feedback stays as it was"),
        }
    }

    /// Tells a window's surface the pairs of the plane that would take it, or takes that back.
    pub fn update_feedback(&mut self, window: &Window) {
        let Some(toplevel) = window.toplevel() else { return };
        let wanted = match mode_of(window) {
            Mode::Fullscreen => self.output_of(window).and_then(|output| self.scanout_feedback(&output)),
            Mode::Floating | Mode::Maximized => None,
        };
        self.dmabuf.set_surface_feedback(toplevel.wl_surface(), wanted);
    }

    fn scanout_feedback(&self, output: &Output) -> Option<Arc<Feedback>> {
        let source = self.backend.feedback_source()?;
        let Backend::Kms(kms) = &self.backend else { return None };
        let (device, formats) = kms.plane_formats(output)?;
        match scanout(&self.memory, &source, &device, &formats) {
            Ok(feedback) => Some(Arc::new(feedback)),
            Err(error) => {
                debug!(%error, "no scan-out feedback");
                None
            }
        }
    }
}

/// The pairs of the software renderer.
#[must_use]
pub fn renderer_pairs(renderer: &PixmanRenderer) -> Vec<(Fourcc, Modifier)> {
    pairs(renderer.dmabuf_formats())
}
