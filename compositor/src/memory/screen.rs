//! Memory for the frames that we compose for a display.

use heapwright_alloc::{
    buffers::AllocatorError,
    constraints::{Fourcc as Code, Modifier as Mod, Size},
    smithay::{DmabufError, dmabuf},
    solver::problem::{Participant, Role},
};
use smithay::backend::allocator::{Allocator, Fourcc, Modifier, dmabuf::Dmabuf};

use super::{Memory, canvas::renderer, takes};

/// Smithay's allocator on our heaps, for one output.
#[derive(Debug, Clone)]
pub struct ScreenAllocator {
    memory: Memory,
    output: String,
    device: String,
}

/// No buffer for a frame.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] AllocatorError),
    /// The buffer cannot be handed on to Smithay.
    #[error("a screen buffer: {0}")]
    Dmabuf(#[from] DmabufError),
}

impl Memory {
    /// An allocator for the frames of one output of one device.
    #[must_use]
    pub fn screen_allocator(&self, device: &str, output: &str) -> ScreenAllocator {
        ScreenAllocator { memory: self.clone(), output: output.to_owned(), device: device.to_owned() }
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
        let format = Code(fourcc as u32);
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
        let buffer = self.memory.allocate(&name, Size { width, height }, participants, true)?;
        Ok(dmabuf(&buffer)?)
    }
}
