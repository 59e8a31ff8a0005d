//! Memory for the frames that we compose for a display.
//!
//! One frame is on the screen while the next is drawn: an output that has memory for one alone would show that for ever.
//! So the first two buffers of a kind are got together, or none is, and who asks takes another format or says what is
//! missing before the screen is lit.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use heapwright_alloc::{
    buffers::{AllocatorError, Buffer, Want},
    constraints::{Fourcc as Code, Modifier as Mod, Size},
    smithay::{DmabufError, dmabuf},
    solver::problem::{Participant, Role},
};
use smithay::backend::allocator::{Allocator, Fourcc, Modifier, dmabuf::Dmabuf};

use super::{Memory, canvas::renderer, takes};

/// Buffers without which no frame can follow another.
const LEAST: u32 = 2;

/// Smithay's allocator on our heaps, for one output. Clones share one state.
#[derive(Debug, Clone)]
pub struct ScreenAllocator {
    memory: Memory,
    output: String,
    device: String,
    stock: Arc<Mutex<Stock>>,
}

/// What buffers are like.
type Kind = (Size, Fourcc, Vec<Modifier>);

#[derive(Debug, Default)]
struct Stock {
    /// Of which there were enough.
    kind: Option<Kind>,
    /// Of this kind, not handed out yet.
    spare: Vec<Buffer>,
    /// The kind before that, while it is not certain that the display takes the new one.
    before: Option<Kind>,
    /// Why there was no memory the first time that it was asked for, and what would help.
    shortage: Option<String>,
}

/// No buffer for a frame.
#[derive(thiserror::Error)]
pub enum ScreenError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] AllocatorError),
    /// The buffer cannot be handed on to Smithay.
    #[error("a screen buffer: {0}")]
    Dmabuf(#[from] DmabufError),
}

/// As text: Smithay logs errors by their `Debug`, and a whole problem file is no line of a log.
impl fmt::Debug for ScreenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Memory {
    /// An allocator for the frames of one output of one device.
    #[must_use]
    pub fn screen_allocator(&self, device: &str, output: &str) -> ScreenAllocator {
        ScreenAllocator {
            memory: self.clone(),
            output: output.to_owned(),
            device: device.to_owned(),
            stock: Arc::default(),
        }
    }
}

impl ScreenAllocator {
    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets memory for frames of another kind, which the display will show in a mode set for them, while those on the screen
    /// are still there, so that a change of mode for which there is none can be refused. Frames of the same format that are
    /// no larger than the last ones find the room of those.
    ///
    /// # Errors
    /// [`ScreenError`]; nothing has changed then.
    pub fn reserve(&self, size: Size, format: Fourcc, modifiers: &[Modifier]) -> Result<(), ScreenError> {
        let kind = (size, format, modifiers.to_vec());
        let mut stock = self.stock();
        if stock.kind.as_ref() == Some(&kind) {
            stock.before = None;
            return Ok(());
        }
        let shrinks = stock
            .kind
            .as_ref()
            .is_some_and(|(old, as_now, _)| size.area() <= old.area() && format == *as_now);
        let least = self.allocate(&kind, LEAST, true);
        let spare = if shrinks { least.or_else(|_| self.allocate(&kind, 1, true)) } else { least };
        stock.spare = spare?;
        stock.before = stock.kind.replace(kind);
        Ok(())
    }

    /// Gives back what was got by [`ScreenAllocator::reserve`] for frames that will not be.
    pub fn release(&self) {
        let mut stock = self.stock();
        stock.spare.clear();
        if let Some(before) = stock.before.take() {
            stock.kind = Some(before);
        }
    }

    /// Why there was no memory for the best kind of frames, if there was none, and what would help.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.stock().shortage.clone()
    }

    fn allocate(
        &self,
        (size, format, modifiers): &Kind,
        count: u32,
        new_mode: bool,
    ) -> Result<Vec<Buffer>, ScreenError> {
        let format = Code(*format as u32);
        // A driver from before modifiers means LINEAR when it names none.
        let named = |modifier: &Modifier| match modifier {
            Modifier::Invalid => Mod::LINEAR,
            other => Mod(u64::from(*other)),
        };
        let pairs: Vec<_> = modifiers.iter().map(|modifier| (format, named(modifier))).collect();
        let display =
            Participant { device: Some(self.device.clone()), ..takes(&self.output, Role::Scanout, &pairs) };
        let name = format!("{} output", self.output);
        let participants = vec![renderer(format), display];
        let want = Want { size: *size, participants, count, name: &name, dma_buf_only: true, new_mode };
        Ok(self.memory.allocate_several(&want)?)
    }
}

impl Allocator for ScreenAllocator {
    type Buffer = Dmabuf;
    type Error = ScreenError;

    fn create_buffer(
        &mut self,
        width: u32,
        height: u32,
        fourcc: Fourcc,
        modifiers: &[Modifier],
    ) -> Result<Dmabuf, ScreenError> {
        let kind = (Size { width, height }, fourcc, modifiers.to_vec());
        let mut stock = self.stock();
        let known = stock.kind.as_ref() == Some(&kind);
        if !known || stock.spare.is_empty() {
            stock.spare.clear();
            match self.allocate(&kind, if known { 1 } else { LEAST }, false) {
                Ok(buffers) => stock.spare = buffers,
                Err(error) => {
                    // Now, while what is taken is taken by others.
                    let said = || self.memory.advised(&error, &self.device, kind.0);
                    stock.shortage.get_or_insert_with(said);
                    return Err(error);
                }
            }
            stock.kind = Some(kind);
        }
        let Some(buffer) = stock.spare.pop() else { return Err(AllocatorError::TooMany(0).into()) };
        Ok(dmabuf(&buffer)?)
    }
}
