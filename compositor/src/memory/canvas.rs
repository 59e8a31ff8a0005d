//! Memory to draw a screen in, where there is no display.

use heapwright_alloc::{
    buffers::{AllocatorError, Buffer, MapError, Mapping},
    constraints::{CpuAccess, Fourcc, Frequency, MemoryLimits, Size},
    solver::problem::{Participant, Role},
};
use smithay::reexports::pixman::{FormatCode, Image};

use super::{Memory, linear};

/// A buffer that the software renderer draws in.
#[derive(Debug)]
pub struct Canvas {
    // Before the buffer: it must go first.
    mapping: Mapping,
    buffer: Buffer,
}

/// No canvas, or no access to it.
#[derive(Debug, thiserror::Error)]
pub enum CanvasError {
    /// No memory.
    #[error(transparent)]
    Memory(#[from] AllocatorError),
    /// The memory cannot be mapped.
    #[error("a screen buffer cannot be mapped: {0}")]
    Map(#[from] MapError),
    /// Pixman does not take the layout.
    #[error("a screen buffer of {width}x{height} with pitch {pitch} is more than the renderer can draw in")]
    Layout {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Bytes a row.
        pitch: usize,
    },
}

/// The software renderer, as a participant.
#[must_use]
pub fn renderer(format: Fourcc) -> Participant {
    Participant {
        memory: MemoryLimits {
            cpu_access: CpuAccess { read: Frequency::Often, write: Frequency::Often },
            ..MemoryLimits::default()
        },
        ..linear("renderer", Role::Cpu, [format])
    }
}

impl Memory {
    /// Allocates and maps a canvas of `width` x `height` pixels, XRGB8888.
    ///
    /// # Errors
    /// [`CanvasError`] when no heap gives the memory, or it can't be mapped.
    pub fn canvas(&self, width: u32, height: u32, name: &str) -> Result<Canvas, CanvasError> {
        let participants = vec![renderer(Fourcc::XRGB8888)];
        let buffer = self.allocate(name, Size { width, height }, participants, false)?;
        let mapping = buffer.map()?;
        Ok(Canvas { mapping, buffer })
    }
}

impl Canvas {
    /// Pixels a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.buffer.size().width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.buffer.size().height
    }

    /// Bytes a row.
    #[must_use]
    pub fn pitch(&self) -> usize {
        self.buffer.planes().first().map_or(0, |plane| plane.pitch as usize)
    }

    /// A copy of the pixels.
    ///
    /// # Errors
    /// [`CanvasError::Map`] when the kernel refuses the access.
    pub fn copy(&self) -> Result<Vec<u8>, CanvasError> {
        Ok(self.mapping.read()?.to_vec())
    }

    /// Draws: `draw` gets the canvas as an image of the renderer.
    ///
    /// # Errors
    /// [`CanvasError`] when the kernel refuses the access, or the layout is beyond the renderer.
    pub fn draw<T>(
        &mut self,
        draw: impl FnOnce(&mut Image<'static, 'static>) -> T,
    ) -> Result<T, CanvasError> {
        let (width, height, pitch) = (self.width(), self.height(), self.pitch());
        let mut access = self.mapping.write()?;
        // SAFETY: the pixels lie in the mapping, whose length was checked when it was made; the image lives only
        // for this call, within the access that the guard holds open.
        let image = unsafe {
            Image::from_raw_mut(
                FormatCode::X8R8G8B8,
                width as usize,
                height as usize,
                access.as_mut_ptr().cast(),
                pitch,
                false,
            )
        };
        let mut image = image.map_err(|_| CanvasError::Layout { width, height, pitch })?;
        Ok(draw(&mut image))
    }
}
