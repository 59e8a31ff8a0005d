//! What an explanation says. Serialises to the JSON of `heapwright explain --json`.

use std::path::PathBuf;

use serde::Serialize;

use super::renderers::{Chosen, Renderer};
use super::videos::Video;
use crate::constraints::{Fourcc, Modifier, Size};
use crate::devices::ConnectorState;
use crate::links::Probe;
use crate::links::quirks::Rule;
use crate::solver::problem::{Evidence, HeapFacts, Verdict};
use crate::solver::{Answer, Culprit, Problem};

/// A machine, and where on it a buffer would lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// The picture that was asked about, in pixels.
    pub size: Size,
    /// Whether heaps were tried with devices; if not, links hold what is declared only.
    pub tried: bool,
    /// The displays.
    pub displays: Vec<Display>,
    /// The renderers.
    pub renderers: Vec<Renderer>,
    /// Which renderer takes part in the answers.
    pub renderer: Chosen,
    /// The video nodes: cameras, codecs and others.
    pub videos: Vec<Video>,
    /// The heaps.
    pub heaps: Vec<HeapFacts>,
    /// The physical memory behind the heaps.
    pub pools: Vec<Pool>,
    /// Every device with every heap: displays, GPUs that are none, and cameras and codecs that take part.
    pub links: Vec<LinkCell>,
    /// Where the buffer would lie, for each display that is connected; without any, for a buffer that no display shows.
    pub answers: Vec<Where>,
    /// What could not be seen, and what would help.
    pub unseen: Vec<Unseen>,
}

/// A device with displays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Display {
    /// What links and answers call it.
    pub name: String,
    /// Its node.
    pub path: PathBuf,
    /// Its driver: a label.
    pub driver: String,
    /// Whether it is behind an IOMMU.
    pub iommu: bool,
    /// Whether it takes memory in pieces: tried, or not known.
    pub takes_scattered: Option<bool>,
    /// Whether framebuffers may name a modifier.
    pub modifiers: bool,
    /// Smallest framebuffer, pixels.
    pub min_size: Size,
    /// Largest framebuffer, pixels.
    pub max_size: Size,
    /// Largest pointer, pixels.
    pub cursor_size: Size,
    /// What reads planes.
    pub crtcs: Vec<Crtc>,
    /// Where screens are plugged in.
    pub connectors: Vec<Connector>,
    /// What buffers are shown on.
    pub planes: Vec<Plane>,
    /// What the quirk table says of its driver on this kernel.
    pub quirks: Vec<Rule>,
}

/// A CRTC.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crtc {
    /// The kernel's object id.
    pub id: u32,
    /// The size of the mode it shows.
    pub active: Option<Size>,
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connector {
    /// Its label.
    pub name: String,
    /// Whether a screen is plugged in.
    pub state: ConnectorState,
    /// Whether it writes to memory instead of a screen.
    pub writeback: bool,
    /// Ids of the CRTCs that it can show.
    pub crtcs: Vec<u32>,
}

/// A plane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plane {
    /// What answers call it.
    pub name: String,
    /// `primary`, `overlay` or `cursor`.
    pub kind: &'static str,
    /// Ids of the CRTCs that it can serve.
    pub crtcs: Vec<u32>,
    /// What it scans out.
    pub formats: Vec<FormatLine>,
}

/// A format with its modifiers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormatLine {
    /// The format.
    pub format: Fourcc,
    /// The modifiers that it can have.
    pub modifiers: Vec<Modifier>,
}

/// Physical memory, however many heaps draw from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// Ids of the heaps that draw from it.
    pub heaps: Vec<String>,
    /// Bytes in all; without it, the pool is elastic.
    pub capacity: Option<u64>,
    /// Bytes that are free now.
    pub free: Option<u64>,
}

/// One device with one heap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkCell {
    /// The display or GPU.
    pub device: String,
    /// The heap.
    pub heap: String,
    /// What is known.
    pub verdict: Verdict,
    /// How it is known.
    pub evidence: Evidence,
    /// Bytes of the buffer that was tried.
    pub bytes: Option<u64>,
    /// What was tried, step by step.
    pub steps: Vec<Tried>,
    /// Whether the solver would put a buffer for this device there, if there were no other heap.
    pub usable: bool,
    /// If not: who is against it.
    pub against: Vec<Culprit>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What.
    pub what: &'static str,
    /// How it went.
    pub outcome: String,
}

impl Tried {
    pub(super) fn all(probe: &Probe) -> Vec<Tried> {
        probe.steps.iter().map(|step| Tried { what: step.what, outcome: step.outcome.to_string() }).collect()
    }
}

/// Where a buffer would lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Where {
    /// The display that would show it; none for a buffer that is only composited.
    pub device: Option<String>,
    /// The CRTC.
    pub crtc: Option<u32>,
    /// Labels of the connected connectors of this CRTC.
    pub connectors: Vec<String>,
    /// The question: a problem file.
    pub problem: Problem,
    /// The answer, with everything that was rejected.
    pub answer: Answer,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unseen {
    /// Where it was looked for.
    pub path: PathBuf,
    /// Why it could not be seen, and what would help.
    pub why: String,
}
