//! One surface: its buffers in turn, and what became of what it showed.

use std::time::{Duration, Instant};

use heapwright_alloc::{
    buffers::{Buffer, BufferError, Layout, LayoutError, MapError, Mapping},
    constraints::{Fourcc, Modifier, Size},
    heaps::{MemfdHeap, Root},
    solver::PlaneLayout,
};
use heapwright_client::Answer;
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_protocols::wp::presentation_time::client::wp_presentation_feedback::WpPresentationFeedback;

use crate::{
    given_back::GivenBack,
    picture::{self, Plane},
    report::Report,
};

/// There are no buffers.
#[derive(Debug, thiserror::Error)]
pub enum BufferFailed {
    /// No memory.
    #[error(transparent)]
    Allocate(#[from] BufferError),
    /// The layout is out of range.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It cannot be painted.
    #[error("a buffer cannot be painted: {0}")]
    Map(#[from] MapError),
}

/// Memory to paint in.
pub struct Canvas {
    mapping: Mapping,
    /// Its memory and layout.
    pub buffer: Buffer,
}

impl Canvas {
    /// Maps it.
    pub fn of(buffer: Buffer) -> Result<Self, BufferFailed> {
        Ok(Canvas { mapping: buffer.map()?, buffer })
    }

    /// Shared memory, 32 bits a pixel.
    pub fn shared(size: Size, format: Fourcc) -> Result<Self, BufferFailed> {
        let pitch = u64::from(size.width) * 4;
        let bytes = pitch * u64::from(size.height);
        let planes = vec![PlaneLayout { offset: 0, pitch, size: bytes }];
        let layout = Layout::new(size, format, Modifier::LINEAR, planes, bytes)?;
        let buffer = Buffer::allocate(&MemfdHeap::new(&Root::default()), &layout, "heapwright-video")?;
        Canvas::of(buffer)
    }

    fn paint(&mut self, paint: impl FnOnce(&mut [u8], &[PlaneLayout])) -> Result<(), BufferFailed> {
        let mut pixels = self.mapping.write()?;
        paint(&mut pixels, self.buffer.planes());
        Ok(pixels.finish()?)
    }

    /// Paints a frame of the video, in the format that it has.
    pub fn paint_video(&mut self, frame: u32) -> Result<(), BufferFailed> {
        let size = (self.buffer.size().width, self.buffer.size().height);
        self.paint(|pixels, planes| match planes {
            [luma, chroma, ..] if chroma.offset >= luma.offset => {
                let (above, below) = pixels.split_at_mut((chroma.offset as usize).min(pixels.len()));
                let above = above.get_mut(luma.offset as usize..).unwrap_or_default();
                let luma = Plane { bytes: above, pitch: luma.pitch as usize };
                let chroma = Plane { bytes: below, pitch: chroma.pitch as usize };
                picture::paint_nv12(luma, chroma, size, frame);
            }
            [plane, ..] => picture::paint_rgb(rows(pixels, plane), size, frame),
            [] => {}
        })
    }

    /// Paints the controls.
    pub fn paint_controls(&mut self, change: u32) -> Result<(), BufferFailed> {
        let size = (self.buffer.size().width, self.buffer.size().height);
        self.paint(|pixels, planes| {
            if let [plane, ..] = planes {
                picture::paint_controls(rows(pixels, plane), size, change);
            }
        })
    }
}

fn rows<'a>(pixels: &'a mut [u8], plane: &PlaneLayout) -> Plane<'a> {
    let bytes = pixels.get_mut(plane.offset as usize..).unwrap_or_default();
    Plane { bytes, pitch: plane.pitch as usize }
}

/// One buffer of the turn.
pub struct Slot {
    /// As the compositor knows it.
    pub wl: WlBuffer,
    /// As it is painted.
    pub canvas: Canvas,
    /// The compositor has it.
    pub busy: bool,
    /// The picture in it.
    pub painted: Option<u32>,
    /// The commit that it was given away with.
    pub commit: u64,
}

/// A picture on its way.
pub struct Sent {
    /// Says what became of it.
    pub feedback: WpPresentationFeedback,
    /// When it was committed.
    pub at: Instant,
    /// Its number, from 1.
    pub commit: u64,
}

/// One surface.
#[derive(Default)]
pub struct Part {
    /// What the compositor answered last, unless it was taken.
    pub answer: Option<Answer>,
    current: Vec<Slot>,
    retired: Vec<Slot>,
    /// On their way.
    pub sent: Vec<Sent>,
    /// What came back when.
    pub given_back: GivenBack,
    /// What there is to tell.
    pub report: Report,
    /// It is time for the next picture.
    pub due: bool,
    /// Times at which there should have been a new picture, and was none.
    pub late: u64,
    /// From one picture to the next, as they are meant to come.
    pub period: Duration,
    latencies: Vec<Duration>,
    last: Option<Duration>,
}

impl Part {
    /// Paints in these from now on.
    pub fn replace(&mut self, slots: Vec<Slot>) {
        self.retired.append(&mut self.current);
        self.current = slots;
        self.sweep();
    }

    /// Whether there is nothing to paint in.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// A buffer to paint in; one that has this picture already, if there is one.
    pub fn free(&mut self, picture: u32) -> Option<&mut Slot> {
        let free = self.current.iter_mut().filter(|slot| !slot.busy);
        free.max_by_key(|slot| slot.painted == Some(picture))
    }

    /// The compositor gave a buffer back.
    pub fn released(&mut self, buffer: &WlBuffer) {
        let mut all = self.current.iter_mut().chain(&mut self.retired);
        if let Some(slot) = all.find(|slot| slot.wl == *buffer) {
            slot.busy = false;
            self.given_back.released(slot.commit);
        }
        self.sweep();
    }

    fn sweep(&mut self) {
        self.retired.retain(|slot| {
            if !slot.busy {
                slot.wl.destroy();
            }
            slot.busy
        });
    }

    /// A picture is on the screen since `at`, on a display that shows one each `refresh`.
    pub fn presented(
        &mut self,
        feedback: &WpPresentationFeedback,
        zero_copy: bool,
        at: Duration,
        refresh: Duration,
    ) {
        if let Some(index) = self.sent.iter().position(|sent| sent.feedback == *feedback) {
            let sent = self.sent.swap_remove(index);
            self.latencies.push(sent.at.elapsed());
            self.given_back.presented(sent.commit, zero_copy);
        }
        // A display that is slower shows what it can.
        let period = self.period.max(refresh);
        if let (Some(last), false) = (self.last, period.is_zero()) {
            let periods = (at.saturating_sub(last).as_secs_f64() / period.as_secs_f64()).round();
            self.late += (periods as u64).saturating_sub(1);
        }
        self.last = Some(at);
        self.report.frame(zero_copy, at);
    }

    /// A picture was never shown.
    pub fn discarded(&mut self, feedback: &WpPresentationFeedback) {
        self.sent.retain(|sent| sent.feedback != *feedback);
        self.report.discarded += 1;
    }

    /// What there is to tell in the end.
    pub fn told(&mut self) -> Report {
        self.report.released_early = self.given_back.early();
        let latencies = std::mem::take(&mut self.latencies);
        self.report.latencies(latencies);
        std::mem::take(&mut self.report)
    }
}
