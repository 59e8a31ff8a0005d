//! The client's buffers: negotiated, or allocated where the feedback's answers lie, or in shared memory with the reason
//! why.

use std::os::fd::BorrowedFd;

use heapwright_alloc::{
    buffers::{Buffer, BufferError, Layout, LayoutError, MapError, Mapping},
    constraints::{Counts, CpuAccess, Fourcc, Frequency, LayoutLimits, MemoryLimits, Modifier, Size},
    heaps::{self, Heap, Root},
    solver::{
        self, Answer, Problem, Resolution,
        problem::{Match, OptionSpec, Participant, Role},
    },
};
use heapwright_client::TrancheTarget;

use crate::{
    Args,
    feedback::{Feedback, Tranche},
    picture::{self, Style},
    report::Report,
};

/// What a frame that can't be scanned out costs us: one more copy than we want.
const SCANOUT_WEIGHT: u32 = 100;

/// Why there are no buffers.
#[derive(Debug, thiserror::Error)]
pub enum BufferFailed {
    /// The feedback and this client have no pair in common, or no heap serves it.
    #[error("no buffer fits this client and the compositor's feedback: {0}")]
    NoAnswer(String),
    /// A heap failed.
    #[error(transparent)]
    Allocate(#[from] BufferError),
    /// The layout is out of range.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The buffer can't be mapped.
    #[error("a buffer cannot be painted: {0}")]
    Map(#[from] MapError),
}

/// A buffer with its mapping.
pub struct Canvas {
    mapping: Mapping,
    buffer: Buffer,
    dma_buf: bool,
}

/// All buffers, and what is to be said of them.
pub struct Canvases {
    /// The buffers.
    pub canvases: Vec<Canvas>,
    /// Where they lie and why.
    pub report: Report,
}

impl Canvas {
    /// Whether this can go through linux-dmabuf.
    pub fn is_dma_buf(&self) -> bool {
        self.dma_buf
    }

    /// The descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.buffer.fd()
    }

    /// Where the picture begins, bytes.
    pub fn offset(&self) -> u64 {
        self.buffer.planes().first().map_or(0, |plane| plane.offset)
    }

    /// Bytes a row.
    pub fn pitch(&self) -> u64 {
        self.buffer.planes().first().map_or(0, |plane| plane.pitch)
    }

    /// The modifier.
    pub fn modifier(&self) -> Modifier {
        self.buffer.modifier()
    }

    /// The format.
    pub fn format(&self) -> Fourcc {
        self.buffer.format()
    }

    /// Pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.buffer.size().width, self.buffer.size().height)
    }

    /// A buffer that came from elsewhere.
    pub fn of(buffer: Buffer) -> Result<Self, BufferFailed> {
        Ok(Canvas { mapping: buffer.map()?, buffer, dma_buf: true })
    }

    /// Paints a frame over another one.
    pub fn paint(&mut self, style: Style, before: Option<u32>, frame: u32) -> Result<(), BufferFailed> {
        let (size, pitch) = (self.size(), self.pitch() as usize);
        picture::paint(&mut self.mapping.write()?, size, pitch, style, (before, frame));
        Ok(())
    }
}

/// Buffers without which there is no painting one while another is shown.
pub fn least(args: &Args) -> u32 {
    args.buffers.min(2)
}

/// This client: it writes every pixel with the CPU, 32 bits each, row by row.
pub fn painter(args: &Args) -> Participant {
    let option = |rank, format| OptionSpec {
        format: Match::Is(format),
        modifier: Match::Is(Modifier::LINEAR),
        rank: Some(rank),
        limits: LayoutLimits { pitch_align: args.pitch_align, ..LayoutLimits::NONE },
    };
    Participant {
        name: "paint".to_owned(),
        role: Role::Cpu,
        options: Some(vec![option(0, Fourcc::XRGB8888), option(1, Fourcc::ARGB8888)]),
        memory: MemoryLimits {
            cpu_access: CpuAccess { read: Frequency::None, write: Frequency::Often },
            ..MemoryLimits::default()
        },
        counts: Counts {
            camping: Some(least(args)),
            shared_slack: Some(args.buffers - least(args)),
            ..Counts::default()
        },
        ..Participant::default()
    }
}

/// What the compositor said, as one participant.
fn participant(name: &str, role: Role, required: bool, tranches: &[&Tranche]) -> Participant {
    let pairs = tranches.iter().flat_map(|tranche| &tranche.formats);
    let options = (0..).zip(pairs).map(|(rank, (format, modifier))| OptionSpec {
        format: Match::Is(*format),
        modifier: Match::Is(*modifier),
        rank: Some(rank),
        ..OptionSpec::default()
    });
    Participant {
        name: name.to_owned(),
        role,
        required,
        weight: SCANOUT_WEIGHT,
        options: Some(options.collect()),
        ..Participant::default()
    }
}

/// Allocates the buffers of the window.
pub fn allocate(
    args: &Args,
    size: (u32, u32),
    dmabuf_offered: bool,
    feedback: &Feedback,
) -> Result<Canvases, BufferFailed> {
    let all = heaps::list(&Root::default());
    let size = Size { width: size.0, height: size.1 };
    let shareable: Vec<&dyn Heap> =
        all.heaps.iter().map(|heap| &**heap).filter(|heap| heap.makes_dma_bufs()).collect();
    let plain: Vec<&dyn Heap> =
        all.heaps.iter().map(|heap| &**heap).filter(|heap| !heap.makes_dma_bufs()).collect();
    let (dma_buf, heaps, why) = match (args.shm, dmabuf_offered, shareable.is_empty()) {
        (true, ..) => (false, plain, "asked for with --shm".to_owned()),
        (_, false, _) => (false, plain, "the compositor offers no linux-dmabuf with feedback".to_owned()),
        (_, _, true) => {
            let problems: Vec<_> = all.problems.iter().map(ToString::to_string).collect();
            (false, plain, format!("no heap makes dma-bufs here: {}", problems.join("; ")))
        }
        _ => (true, shareable, String::new()),
    };
    let facts: Vec<_> = heaps.iter().map(|heap| heap.facts()).collect();
    let mut links = Vec::new();
    let mut participants = vec![painter(args)];
    if dma_buf {
        let (scanout, sampled): (Vec<_>, Vec<_>) =
            feedback.tranches.iter().partition(|tranche| tranche.scanout);
        participants.push(participant("compositor", Role::Sample, true, &sampled));
        if !scanout.is_empty() {
            let mut plane = participant("plane", Role::Scanout, false, &scanout);
            // Feedback does not say where memory must lie for the display.
            let device = scanout.iter().find_map(|tranche| tranche.device);
            if let Some(target) = device.and_then(TrancheTarget::look) {
                target.narrow(&mut plane, &all);
                links = target.links(&facts);
            }
            participants.push(plane);
        }
    }
    let problem =
        Problem { size, count: least(args), participants, heaps: facts, links, ..Problem::default() };
    let resolution = match solver::solve(&problem) {
        Answer::Solved(resolution) => resolution,
        answer => return Err(BufferFailed::NoAnswer(answer.to_json())),
    };
    let heap = heaps
        .iter()
        .find(|heap| heap.id().as_str() == resolution.heap)
        .ok_or_else(|| BufferFailed::NoAnswer(format!("heap {} is gone", resolution.heap)))?;
    let layout = Layout::of(&resolution, size)?;
    let canvases = (0..resolution.count)
        .map(|_| {
            let buffer = Buffer::allocate(*heap, &layout, "heapwright-paint")?;
            Ok(Canvas { mapping: buffer.map()?, buffer, dma_buf })
        })
        .collect::<Result<Vec<_>, BufferFailed>>()?;
    let report = describe(&resolution, size, dma_buf, why, canvases.len(), *heap);
    Ok(Canvases { canvases, report })
}

fn describe(
    resolution: &Resolution,
    size: Size,
    dma_buf: bool,
    why: String,
    buffers: usize,
    heap: &dyn Heap,
) -> Report {
    let names = heap.facts().names.join(", ");
    Report {
        path: if dma_buf { "linux-dmabuf" } else { "wl_shm" }.to_owned(),
        why: if why.is_empty() { format!("serves {}", resolution.satisfied.join(", ")) } else { why },
        heap: format!("{} ({names})", resolution.heap),
        format: resolution.format.to_string(),
        modifier: resolution.modifier.to_string(),
        pitch: resolution.planes.first().map_or(0, |plane| plane.pitch),
        size: size.to_string(),
        buffers,
        ..Report::default()
    }
}
