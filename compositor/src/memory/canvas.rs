//! Memory to draw in: of a screen where there is no display, of the pointer where there is a plane for it.

use heapwright_alloc::{
    buffers::{AllocatorError, Buffer, MapError, Mapping},
    constraints::{CpuAccess, Fourcc, Frequency, MemoryLimits, Size},
    smithay::{DmabufError, dmabuf},
    solver::problem::{Participant, Role},
};
use smithay::{
    backend::allocator::dmabuf::Dmabuf,
    reexports::pixman::{FormatCode, Image},
};

use super::{Memory, PlaneOf, linear};

/// A buffer that the software renderer draws in.
#[derive(Debug)]
pub struct Canvas {
    // Before the buffer: it must go first.
    mapping: Mapping,
    buffer: Buffer,
    code: FormatCode,
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
    /// The plane is none that the allocator knows.
    #[error("plane {0} is unknown to the allocator")]
    Plane(u32),
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
        Ok(Canvas { mapping, buffer, code: FormatCode::X8R8G8B8 })
    }

    /// Allocates and maps a canvas of `width` x `height` pixels, ARGB8888, that a plane reads.
    ///
    /// # Errors
    /// [`CanvasError`] when no heap gives memory that the plane takes, or it can't be mapped.
    pub fn pointer_canvas(&self, width: u32, height: u32, plane: PlaneOf<'_>) -> Result<Canvas, CanvasError> {
        let display = self.plane(plane, "cursor plane").ok_or(CanvasError::Plane(plane.plane))?;
        let display = Participant { required: true, ..display };
        let participants = vec![renderer(Fourcc::ARGB8888), display];
        let buffer = self.allocate("pointer", Size { width, height }, participants, true)?;
        let mapping = buffer.map()?;
        Ok(Canvas { mapping, buffer, code: FormatCode::A8R8G8B8 })
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

    /// The memory, for a device; it stays for as long as either lives.
    ///
    /// # Errors
    /// [`DmabufError`] when there is no descriptor left.
    pub fn dmabuf(&self) -> Result<Dmabuf, DmabufError> {
        dmabuf(&self.buffer)
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
                self.code,
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
