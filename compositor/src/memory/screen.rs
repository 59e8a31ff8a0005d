//! Memory for the frames that we compose for a display.

use heapwright_alloc::{
    buffers::{AllocatorError, Buffer},
    constraints::{Fourcc as Code, Modifier as Mod, Size},
    solver::problem::{Participant, Role},
};
use smithay::backend::allocator::{
    Allocator, Fourcc, Modifier,
    dmabuf::{Dmabuf, DmabufFlags},
};

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
    /// The descriptor could not be handed on.
    #[error("a screen buffer's descriptor: {0}")]
    Descriptor(#[from] std::io::Error),
    /// A plane lies beyond what a framebuffer can say (32 bits).
    #[error("a plane of a screen buffer lies beyond 4 GiB")]
    TooLarge,
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
        let pairs: Vec<_> = modifiers.iter().map(|modifier| (format, Mod(u64::from(*modifier)))).collect();
        let display =
            Participant { device: Some(self.device.clone()), ..takes(&self.output, Role::Scanout, &pairs) };
        let name = format!("{} output", self.output);
        let participants = vec![renderer(format), display];
        let buffer = self.memory.allocate(&name, Size { width, height }, participants, true)?;
        dmabuf_of(&buffer, fourcc)
    }
}

/// Smithay's view of a buffer.
fn dmabuf_of(buffer: &Buffer, fourcc: Fourcc) -> Result<Dmabuf, ScreenError> {
    let size = (buffer.size().width as i32, buffer.size().height as i32);
    let modifier = Modifier::from(buffer.modifier().0);
    let mut builder = Dmabuf::builder(size, fourcc, modifier, DmabufFlags::empty());
    for (index, plane) in (0..).zip(buffer.planes()) {
        let word = |value: u64| u32::try_from(value).map_err(|_| ScreenError::TooLarge);
        let fd = buffer.fd().try_clone_to_owned()?;
        builder.add_plane(fd, index, word(plane.offset)?, word(plane.pitch)?);
    }
    builder.build().ok_or(ScreenError::TooLarge)
}
