//! The converted picture of one surface, and the buffers that it was read from.
//!
//! Both live as long as the surface and are used again: a surface that is composed allocates with its first picture, and when
//! its size changes.

use std::{cell::RefCell, rc::Rc};

use heapwright_alloc::{
    buffers::{MapError, Mapping},
    constraints::{Format, Fourcc, Modifier, Size},
};
use smithay::{
    backend::{
        allocator::{
            Buffer as _,
            dmabuf::{Dmabuf, WeakDmabuf},
        },
        renderer::{pixman::PixmanTexture, utils::CommitCounter},
    },
    reexports::pixman::{FormatCode, Image},
};

use super::convert::{ConvertError, FORMATS, Rows, convert};

/// A picture that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its memory.
    #[error("the picture cannot be read by the CPU: {0}")]
    Map(#[from] MapError),
    /// Its layout.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A layout that only devices understand.
    #[error("video with modifier {0} cannot be read by the CPU: use LINEAR")]
    Modifier(Modifier),
    /// There is no memory for the pixels.
    #[error("there is no memory for a picture of {0}")]
    Memory(Size),
}

/// A client's picture, mapped.
#[derive(Debug)]
pub struct Readable {
    format: Fourcc,
    size: Size,
    planes: Vec<Plane>,
}

#[derive(Debug)]
struct Plane {
    mapping: Mapping,
    offset: usize,
    pitch: u32,
}

impl Readable {
    /// Maps the planes of a picture that can be converted.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn new(dmabuf: &Dmabuf) -> Result<Self, ReadError> {
        let format = Fourcc(dmabuf.format().code as u32);
        let modifier = Modifier(u64::from(dmabuf.format().modifier));
        let known = Format::of(format).filter(|_| FORMATS.contains(&format));
        let shapes = known.ok_or(ConvertError::Format(format))?.planes();
        if modifier != Modifier::LINEAR {
            return Err(ReadError::Modifier(modifier));
        }
        let size = Size::new(dmabuf.width(), dmabuf.height());
        let places = dmabuf.handles().zip(dmabuf.offsets().zip(dmabuf.strides())).zip(shapes);
        let planes = places.map(|((fd, (offset, pitch)), shape)| {
            // Validated when the buffer was made: the end fits in 32 bits.
            let bytes = u64::from(pitch).saturating_mul(shape.rows(u64::from(size.height)));
            let mapping = Mapping::new(fd, bytes.saturating_add(u64::from(offset)), false)?;
            Ok(Plane { mapping, offset: offset as usize, pitch })
        });
        Ok(Readable { format, size, planes: planes.collect::<Result<_, MapError>>()? })
    }

    /// Converts it into rows of `pitch` bytes.
    fn convert(&self, pixels: &mut [u8], pitch: u32) -> Result<(), ReadError> {
        let guards: Vec<_> =
            self.planes.iter().map(|plane| plane.mapping.read()).collect::<Result<_, _>>()?;
        let rows = |(guard, plane): (_, &Plane)| {
            let bytes: &[u8] = guard;
            (bytes.get(plane.offset..).unwrap_or_default(), plane.pitch)
        };
        let guards = guards.iter().map(|guard| &**guard);
        let rows: Vec<Rows<'_>> = guards.zip(&self.planes).map(rows).collect();
        Ok(convert(self.format, self.size, &rows, pixels, pitch)?)
    }
}

/// Pixels that the renderer reads and we write.
#[derive(Debug)]
struct Pixels {
    size: Size,
    texture: PixmanTexture,
    /// Of `texture`'s image: XRGB8888, `size.height` rows of `pitch` bytes.
    start: *mut u8,
    pitch: u32,
}

impl Pixels {
    fn new(size: Size) -> Option<Self> {
        let image: Image<'static, 'static> =
            Image::new(FormatCode::X8R8G8B8, size.width as usize, size.height as usize, false).ok()?;
        let pitch = u32::try_from(image.stride()).ok()?;
        // SAFETY: the pointer is used only while the image lives, which `texture` owns.
        let start = unsafe { image.data() }.cast::<u8>();
        (!start.is_null()).then(|| Pixels { size, texture: image.into(), start, pitch })
    }

    fn bytes(&mut self) -> &mut [u8] {
        let bytes = self.pitch as usize * self.size.height as usize;
        // SAFETY: so many bytes were allocated by the image's constructor for this stride and height, and `texture` keeps
        // them. Nobody reads them meanwhile: textures are read while elements are drawn, in this thread, and the exclusive
        // borrow of this, which is all that hands out `texture`, ends before.
        unsafe { std::slice::from_raw_parts_mut(self.start, bytes) }
    }
}

/// The converted picture of one surface.
#[derive(Debug, Default)]
pub struct Converted {
    pixels: Option<Pixels>,
    /// What they show.
    shows: Option<CommitCounter>,
    readable: Vec<(WeakDmabuf, Readable)>,
}

/// Shared by a surface and its elements.
pub type SharedConverted = Rc<RefCell<Converted>>;

impl Converted {
    /// What the renderer can draw of the picture in `dmabuf`, which came with `commit`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn texture(&mut self, dmabuf: &Dmabuf, commit: CommitCounter) -> Result<PixmanTexture, ReadError> {
        if let (Some(pixels), true) = (&self.pixels, self.shows == Some(commit)) {
            return Ok(pixels.texture.clone());
        }
        self.readable.retain(|(known, _)| !known.is_gone());
        let known = self.readable.iter().position(|(known, _)| *known == dmabuf.weak());
        let index = match known {
            Some(index) => index,
            None => {
                self.readable.push((dmabuf.weak(), Readable::new(dmabuf)?));
                self.readable.len() - 1
            }
        };
        let Some((_, readable)) = self.readable.get(index) else {
            return Err(ReadError::Memory(Size::default()));
        };
        if self.pixels.as_ref().is_none_or(|pixels| pixels.size != readable.size) {
            self.pixels = None;
            self.pixels = Some(Pixels::new(readable.size).ok_or(ReadError::Memory(readable.size))?);
        }
        let Some(pixels) = &mut self.pixels else { return Err(ReadError::Memory(readable.size)) };
        self.shows = None;
        let pitch = pixels.pitch;
        readable.convert(pixels.bytes(), pitch)?;
        self.shows = Some(commit);
        Ok(pixels.texture.clone())
    }
}
