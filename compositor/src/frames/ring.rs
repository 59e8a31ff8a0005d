//! The last frames of one output. Once full it allocates nothing: each frame takes the place of the oldest.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{Verdict, known::Known};

/// Frames kept for each output: a second and more at 60 Hz.
pub const KEPT: usize = 96;

/// Surfaces written down for one frame: what is beyond is only counted.
pub const MOST_SURFACES: usize = 128;

/// What a surface is to its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A window's main surface.
    Window,
    /// A popup's.
    Popup,
    /// A part of another.
    Subsurface,
    /// The pointer's image.
    Pointer,
}

impl Role {
    /// As `msg` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Window => "window",
            Role::Popup => "popup",
            Role::Subsurface => "subsurface",
            Role::Pointer => "pointer",
        }
    }
}

/// The plane that read a client's buffer, or a copy of it made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// The output's primary plane, by the kernel's id.
    Primary(u32),
    /// The output's cursor plane, by the kernel's id: it reads our copy of the client's buffer.
    Cursor(u32),
    /// An overlay plane, by the kernel's id; none where it could not be told which.
    Overlay(Option<u32>),
}

/// How one frame showed one surface.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The surface's number at its client.
    pub surface: u32,
    /// What it is.
    pub role: Role,
    /// Its buffer in that frame.
    pub buffer: Arc<Known>,
    /// How it was shown.
    pub verdict: Verdict,
    /// The plane, if it was read from one.
    pub plane: Option<Plane>,
    /// Pixels of the buffer that the client said it changed since the output's frame before; overlapping damage counts
    /// each time.
    pub damage: u64,
}

/// One frame of an output.
#[derive(Debug, Default)]
pub struct Frame {
    /// Counted from 1, for each output.
    pub number: u64,
    /// When it was given to the display, in the time of presentation feedback.
    pub drawn: Duration,
    /// When it was on the screen.
    pub presented: Option<Duration>,
    /// Every surface that it could have shown, front to back within its window.
    pub surfaces: Vec<Seen>,
    /// Bytes that were drawn into the output's own buffer.
    pub copied: u64,
    /// Whether it is the frame before but for the buffers that planes read, and was given as that.
    pub flipped: bool,
    /// Surfaces beyond [`MOST_SURFACES`].
    pub unlisted: u32,
}

impl Frame {
    /// Writes a surface down; whether there was room for it.
    pub fn push(&mut self, seen: Seen) -> bool {
        let room = self.surfaces.len() < MOST_SURFACES;
        if room {
            self.surfaces.push(seen);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
        room
    }
}

/// The last frames of one output.
#[derive(Debug, Default)]
pub struct Ring {
    frames: VecDeque<Frame>,
    number: u64,
    /// An empty frame with room from an earlier one.
    spare: Frame,
}

impl Ring {
    /// An empty frame to write into.
    #[must_use]
    pub fn begin(&mut self) -> Frame {
        std::mem::take(&mut self.spare)
    }

    /// A frame with what the last one shows, none of it damaged: to be flipped.
    #[must_use]
    pub fn again(&mut self) -> Frame {
        let mut frame = self.begin();
        if let Some(last) = self.frames.back() {
            frame.surfaces.extend(last.surfaces.iter().map(|seen| Seen { damage: 0, ..seen.clone() }));
            frame.unlisted = last.unlisted;
        }
        frame.flipped = true;
        frame
    }

    /// The frame went to the display at `now`.
    pub fn keep(&mut self, mut frame: Frame, now: Duration) {
        self.number += 1;
        (frame.number, frame.drawn, frame.presented) = (self.number, now, None);
        if self.frames.len() >= KEPT {
            if let Some(oldest) = self.frames.pop_front() {
                self.discard(oldest);
            }
        }
        self.frames.push_back(frame);
    }

    /// The frame went nowhere.
    pub fn discard(&mut self, mut frame: Frame) {
        frame.surfaces.clear();
        (frame.unlisted, frame.copied, frame.flipped) = (0, 0, false);
        self.spare = frame;
    }

    /// The frame given last came on the screen.
    pub fn presented(&mut self, at: Duration) {
        if let Some(frame) = self.frames.back_mut().filter(|frame| frame.presented.is_none()) {
            frame.presented = Some(at);
        }
    }

    /// The last frames, oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = &Frame> {
        self.frames.iter().skip(self.frames.len().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Kind;
    use heapwright_alloc::constraints::{Fourcc, Modifier, Size};

    fn seen(surface: u32) -> Seen {
        let known = Known {
            pid: 1,
            kind: Kind::DmaBuf,
            size: Size::new(8, 8),
            format: Fourcc::XRGB8888,
            modifier: Modifier::LINEAR,
            planes: Vec::new(),
            memory: "system".to_owned(),
            name: None,
            bytes: 256,
        };
        let (verdict, role) = (Verdict::ZeroCopy, Role::Window);
        Seen { surface, role, buffer: Arc::new(known), verdict, plane: None, damage: 0 }
    }

    #[test]
    fn the_oldest_frame_makes_room_and_leaves_its_memory() {
        let mut ring = Ring::default();
        for number in 0..KEPT as u64 + 3 {
            let mut frame = ring.begin();
            assert!(frame.surfaces.is_empty(), "frame {number} begins empty");
            frame.push(seen(7));
            ring.keep(frame, Duration::from_millis(number));
        }
        let numbers: Vec<_> = ring.last(usize::MAX).map(|frame| frame.number).collect();
        assert_eq!(numbers, (4..KEPT as u64 + 4).collect::<Vec<_>>());
        assert!(ring.begin().surfaces.capacity() > 0, "the next frame need not allocate");
    }

    #[test]
    fn only_the_frame_on_its_way_is_presented_and_once() {
        let mut ring = Ring::default();
        let shown = |ring: &Ring| ring.last(9).map(|frame| frame.presented).collect::<Vec<_>>();
        ring.presented(Duration::from_millis(1));
        for at in [10, 20] {
            let frame = ring.begin();
            ring.keep(frame, Duration::from_millis(at));
        }
        ring.presented(Duration::from_millis(25));
        ring.presented(Duration::from_millis(35));
        assert_eq!(shown(&ring), [None, Some(Duration::from_millis(25))]);
        let refused = ring.begin();
        ring.discard(refused);
        assert_eq!(ring.last(9).count(), 2);
    }

    #[test]
    fn a_flipped_frame_shows_what_the_last_did() {
        let mut ring = Ring::default();
        let mut frame = ring.begin();
        frame.push(Seen { damage: 9, ..seen(1) });
        frame.copied = 7;
        ring.keep(frame, Duration::ZERO);
        let again = ring.again();
        assert_eq!(
            again.surfaces.iter().map(|seen| (seen.surface, seen.damage)).collect::<Vec<_>>(),
            [(1, 0)]
        );
        assert_eq!((again.flipped, again.copied), (true, 0));
        ring.discard(again);
        let next = ring.begin();
        assert!(!next.flipped && next.surfaces.is_empty(), "a drawn one begins empty");
    }

    #[test]
    fn a_client_with_very_many_surfaces_costs_no_more_than_with_many() {
        let mut frame = Frame::default();
        for surface in 0..MOST_SURFACES as u32 + 5 {
            frame.push(seen(surface));
        }
        assert_eq!((frame.surfaces.len(), frame.unlisted), (MOST_SURFACES, 5));
    }
}
