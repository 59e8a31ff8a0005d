//! The buffers in turn.

use wayland_client::protocol::wl_buffer::WlBuffer;

use crate::{buffers::BufferFailed, buffers::Canvas, picture};

/// One buffer of the turn.
pub struct Slot {
    /// As the compositor knows it.
    pub buffer: WlBuffer,
    /// As it is painted.
    pub canvas: Canvas,
    /// The compositor has it.
    pub busy: bool,
    /// The frame that is painted in it.
    pub painted: Option<u32>,
    /// The number of the commit that it was given away with.
    pub commit: u64,
}

impl Slot {
    /// Paints a frame, where it differs from what is there already. Rows that changed.
    pub fn paint(&mut self, style: picture::Style, frame: u32) -> Result<(), BufferFailed> {
        if self.painted == Some(frame) {
            return Ok(());
        }
        self.canvas.paint(style, self.painted, frame)?;
        self.painted = Some(frame);
        Ok(())
    }
}

/// All buffers of the window: those to paint in, and those that were replaced and not given back yet.
#[derive(Default)]
pub struct Slots {
    current: Vec<Slot>,
    retired: Vec<Slot>,
}

impl Slots {
    /// Paints in these from now on.
    pub fn replace(&mut self, new: Vec<Slot>) {
        self.retired.append(&mut self.current);
        self.current = new;
        self.sweep();
    }

    /// The compositor gave a buffer back: of which commit.
    pub fn released(&mut self, buffer: &WlBuffer) -> Option<u64> {
        let mut all = self.current.iter_mut().chain(&mut self.retired);
        let commit = all.find(|slot| slot.buffer == *buffer).map(|slot| {
            slot.busy = false;
            slot.commit
        });
        self.sweep();
        commit
    }

    /// A buffer to paint in.
    pub fn free(&mut self) -> Option<&mut Slot> {
        // The one painted last leaves the least to paint.
        self.current.iter_mut().filter(|slot| !slot.busy).max_by_key(|slot| slot.painted)
    }

    /// Size of the pictures, pixels.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.current.first().map(|slot| slot.canvas.size())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// What was replaced and given back goes.
    fn sweep(&mut self) {
        self.retired.retain(|slot| {
            if !slot.busy {
                slot.buffer.destroy();
            }
            slot.busy
        });
    }
}
