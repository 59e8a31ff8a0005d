//! Video: pictures in luma and chroma.
//!
//! Planes of a display read them as they are. The renderer cannot: what must be composed is converted first, which is one
//! copy more, and is done only then, once for each commit.
//!
//! No client says by which matrix its picture was made. All are taken for BT.709 in limited range, as HDTV has it, whatever
//! their size: planes are set to that (`COLOR_ENCODING`, `COLOR_RANGE`), the conversion here uses the same, and a display whose
//! planes cannot be set shows no video without a copy. So a picture has the same colours wherever it is shown. A chroma
//! sample holds for its whole block of pixels, as displays without an interpolating scaler have it.
//!
//! | file | what it holds |
//! |---|---|
//! | `convert` | planes of luma and chroma to pixels: pure |
//! | `converted` | the converted picture of one surface, and the buffers that it was read from |
//! | `element` | a surface with video, as an element |

mod convert;
mod converted;
mod element;

use heapwright_alloc::constraints::{Format, Fourcc, Modifier};
use smithay::{
    backend::allocator::{Buffer as _, dmabuf::Dmabuf},
    reexports::wayland_server::protocol::wl_buffer::WlBuffer,
    wayland::dmabuf::get_dmabuf,
};

pub use convert::{ConvertError, FORMATS};
pub use converted::{ReadError, Readable};
pub use element::Video;

/// The pairs that are converted where they must be composed.
pub fn pairs() -> impl Iterator<Item = (Fourcc, Modifier)> {
    FORMATS.into_iter().map(|format| (format, Modifier::LINEAR))
}

/// Whether a format is one of luma and chroma.
#[must_use]
pub fn is_video(format: Fourcc) -> bool {
    Format::of(format).is_some_and(Format::is_yuv)
}

/// The dma-buf of a client's buffer, if its picture is one of luma and chroma.
#[must_use]
pub fn dmabuf_of(buffer: &WlBuffer) -> Option<&Dmabuf> {
    get_dmabuf(buffer).ok().filter(|dmabuf| is_video(Fourcc(dmabuf.format().code as u32)))
}
