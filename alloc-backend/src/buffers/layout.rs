//! Where the pixels lie in the bytes: format, size, planes.

use crate::constraints::{Fourcc, Modifier, Size};
use crate::solver::{PlaneLayout, Resolution};

/// How a picture lies in one allocation. Valid by construction: planes are within `bytes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    size: Size,
    format: Fourcc,
    modifier: Modifier,
    planes: Vec<PlaneLayout>,
    bytes: u64,
}

/// Why planes cannot be laid out so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Not one to four planes.
    #[error("{0} planes: a buffer has one to four")]
    PlaneCount(usize),
    /// No pixels.
    #[error("{0}: a buffer has at least one pixel each way")]
    Empty(Size),
    /// A plane ends after the memory does.
    #[error("plane {plane} covers bytes {offset} to {end}, the memory ends at {bytes}")]
    BeyondEnd {
        /// Which plane.
        plane: usize,
        /// Its first byte.
        offset: u64,
        /// The byte after its last.
        end: u64,
        /// Size of the memory in bytes.
        bytes: u64,
    },
    /// Offset and size do not even fit 64 bits.
    #[error("plane {plane}: offset {offset} plus size {size} overflows")]
    Overflow {
        /// Which plane.
        plane: usize,
        /// Its first byte.
        offset: u64,
        /// Its size in bytes.
        size: u64,
    },
}

impl Layout {
    /// Checks and keeps a layout; `bytes` is the size of the whole allocation.
    ///
    /// # Errors
    /// [`LayoutError`] naming the plane.
    pub fn new(
        size: Size,
        format: Fourcc,
        modifier: Modifier,
        planes: Vec<PlaneLayout>,
        bytes: u64,
    ) -> Result<Self, LayoutError> {
        if size.is_empty() {
            return Err(LayoutError::Empty(size));
        }
        if planes.is_empty() || planes.len() > 4 {
            return Err(LayoutError::PlaneCount(planes.len()));
        }
        for (index, plane) in planes.iter().enumerate() {
            let (offset, size) = (plane.offset, plane.size);
            let end = offset.checked_add(size).ok_or(LayoutError::Overflow { plane: index, offset, size })?;
            if end > bytes {
                return Err(LayoutError::BeyondEnd { plane: index, offset, end, bytes });
            }
        }
        Ok(Layout { size, format, modifier, planes, bytes })
    }

    /// The layout a solver's answer describes, for a picture of `size`.
    ///
    /// # Errors
    /// [`LayoutError`]; an answer of [`solve`](crate::solver::solve) never gives one.
    pub fn of(resolution: &Resolution, size: Size) -> Result<Self, LayoutError> {
        let planes = resolution.planes.clone();
        Layout::new(size, resolution.format, resolution.modifier, planes, resolution.size)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pixel format.
    pub fn format(&self) -> Fourcc {
        self.format
    }

    /// The format modifier.
    pub fn modifier(&self) -> Modifier {
        self.modifier
    }

    /// Offset, pitch and size of each plane, in bytes.
    pub fn planes(&self) -> &[PlaneLayout] {
        &self.planes
    }

    /// Bytes of the whole allocation.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
