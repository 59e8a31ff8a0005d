//! Is this buffer what its client says it is? Data in, a layout or a typed refusal out: no Wayland, no system calls.
//!
//! The order of the checks is the order of their certainty: first what is wrong whatever the file holds, then what the
//! file cannot hold, and what we merely cannot serve as soon as it is known to be well formed.

use std::collections::HashSet;

use heapwright_alloc::constraints::{Format, FormatPlane, Fourcc, Modifier};
use heapwright_protocols::linux_dmabuf::server::zwp_linux_buffer_params_v1::Error as Code;

/// Planes that one buffer can have, as in the kernel's framebuffers.
pub const MAX_PLANES: usize = 4;

/// Pixels per side beyond which no display, renderer or 16-bit region arithmetic goes.
pub const MAX_SIDE_PIXELS: u32 = 65_535;

/// The first version in which a pair that was not advertised is the client's fault by the specification.
const PAIR_CHECKED_SINCE: u32 = 4;
/// The first version in which all planes must carry one modifier.
const ONE_MODIFIER_SINCE: u32 = 5;
/// The first version in which clients are told modifiers.
const MODIFIER_EVENT_SINCE: u32 = 3;

/// One plane as the client described it, with what the kernel says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaneRequest {
    /// Bytes from the start of the file.
    pub offset_bytes: u32,
    /// Bytes from one row to the next.
    pub pitch_bytes: u32,
    /// The modifier as sent, before any version's reading of it.
    pub modifier: Modifier,
    /// The file's size, where it has one.
    pub file_bytes: Option<u64>,
    /// Whether the file is a dma-buf.
    pub is_dmabuf: bool,
}

/// One `create` or `create_immed`, with the planes added before it.
#[derive(Debug, Clone, Copy)]
pub struct BufferRequest {
    /// Version of the params object.
    pub version: u32,
    /// Pixels, as sent.
    pub width: i32,
    /// Pixels, as sent.
    pub height: i32,
    /// The fourcc, as sent.
    pub format: u32,
    /// The flag bits, as sent.
    pub flags: u32,
    /// The planes by their index.
    pub planes: [Option<PlaneRequest>; MAX_PLANES],
}

/// What a buffer that passed looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Pixel format.
    pub format: Fourcc,
    /// The modifier that holds for all planes.
    pub modifier: Modifier,
    /// Pixels, positive.
    pub width: i32,
    /// Pixels, positive.
    pub height: i32,
    /// How many planes, from index 0 without a gap.
    pub planes: usize,
}

/// The pairs that clients may use: all that were ever advertised, because a client may still act on older news.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    pairs: HashSet<(Fourcc, Modifier)>,
    formats: HashSet<Fourcc>,
}

impl Offer {
    /// Adds pairs; they stay for good.
    pub fn extend(&mut self, pairs: impl IntoIterator<Item = (Fourcc, Modifier)>) {
        for (format, modifier) in pairs {
            self.formats.insert(format);
            self.pairs.insert((format, modifier));
        }
    }

    fn has(&self, format: Fourcc, modifier: Modifier) -> bool {
        self.pairs.contains(&(format, modifier))
    }
}

/// Why a buffer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Anything but `destroy` after `create` or `create_immed`.
    #[error("these params have made their buffer already; create new params for another one")]
    AlreadyUsed,
    /// A plane index of 4 or more.
    #[error("plane index {0} is out of bounds; a buffer has at most 4 planes")]
    PlaneIndex(u32),
    /// The same index twice.
    #[error("plane {0} is set already")]
    PlaneSet(u32),
    /// No plane, a gap, or fewer than the format has.
    #[error("plane {index} is missing; the format needs {needed}")]
    MissingPlane {
        /// The lowest index without a plane.
        index: usize,
        /// How many planes the format needs at least.
        needed: usize,
    },
    /// More planes than the format has, with a layout that adds none of its own.
    #[error("{given} planes, but the format has {needed}")]
    TooManyPlanes {
        /// How many there are.
        given: usize,
        /// How many there should be.
        needed: usize,
    },
    /// A device of another size than the system's `dev_t`.
    #[error("a device of {0} bytes; a dev_t has 8")]
    DevTSize(usize),
    /// A format that is in none of the tranches.
    #[error("format {0} was not advertised")]
    Format(Fourcc),
    /// A known format with a modifier that is in none of the tranches.
    #[error("format {format} was not advertised with modifier {modifier}")]
    Pair {
        /// The format.
        format: Fourcc,
        /// The modifier.
        modifier: Modifier,
    },
    /// Planes that disagree on the modifier.
    #[error("plane {index} has modifier {modifier}, another one {other}; all planes need the same")]
    MixedModifiers {
        /// The plane that differs.
        index: u32,
        /// Its modifier.
        modifier: Modifier,
        /// The modifier of another plane.
        other: Modifier,
    },
    /// Width or height below 1.
    #[error("size {width}x{height} is not positive")]
    Dimensions {
        /// Pixels.
        width: i32,
        /// Pixels.
        height: i32,
    },
    /// Beyond what any consumer can address.
    #[error("size {width}x{height} with its pitch is larger than any device here can address")]
    TooLarge {
        /// Pixels.
        width: i32,
        /// Pixels.
        height: i32,
    },
    /// Flags that are unknown, or known and not served (y_invert, interlaced, bottom_first).
    #[error("flags {0:#x} are not supported; use none")]
    Flags(u32),
    /// A row does not fit into the pitch.
    #[error("plane {plane} has a pitch of {pitch_bytes} bytes, one row needs {row_bytes}")]
    PitchTooSmall {
        /// The plane.
        plane: usize,
        /// As given.
        pitch_bytes: u32,
        /// The least that is right.
        row_bytes: u64,
    },
    /// Rows would start in the middle of a pixel.
    #[error("plane {plane} has a pitch of {pitch_bytes} bytes, not a multiple of its pixel's {pixel_bytes}")]
    PitchSplitsPixel {
        /// The plane.
        plane: usize,
        /// As given.
        pitch_bytes: u32,
        /// Bytes of one pixel.
        pixel_bytes: u32,
    },
    /// The plane ends after its file.
    #[error("plane {plane} ends at byte {end}, its file at {file_bytes}")]
    OutOfBounds {
        /// The plane.
        plane: usize,
        /// First byte after the plane.
        end: u64,
        /// The file's size.
        file_bytes: u64,
    },
    /// Some other kind of file.
    #[error("the file of plane {0} is no dma-buf")]
    NotDmabuf(usize),
    /// The client holds too many dma-buf files already.
    #[error("this client holds {0} dma-buf planes, as many as one client may; destroy some buffers first")]
    Quota(usize),
    /// Well formed, but no device here can use it.
    #[error("the buffer cannot be used here: {0}")]
    Import(String),
}

impl Refusal {
    /// The protocol error that this is in that version, or none: then the request merely fails, and the client may try
    /// something else.
    pub fn code(&self, version: u32) -> Option<Code> {
        match self {
            Refusal::AlreadyUsed => Some(Code::AlreadyUsed),
            Refusal::PlaneIndex(_) => Some(Code::PlaneIdx),
            Refusal::PlaneSet(_) => Some(Code::PlaneSet),
            Refusal::MissingPlane { .. } | Refusal::TooManyPlanes { .. } => Some(Code::Incomplete),
            Refusal::DevTSize(_) => Some(Code::InvalidDevTSize),
            Refusal::Format(_) => Some(Code::InvalidFormat),
            Refusal::Pair { .. } => (version >= PAIR_CHECKED_SINCE).then_some(Code::InvalidFormat),
            Refusal::MixedModifiers { .. } => (version >= ONE_MODIFIER_SINCE).then_some(Code::InvalidFormat),
            Refusal::Dimensions { .. } => Some(Code::InvalidDimensions),
            Refusal::PitchTooSmall { .. }
            | Refusal::PitchSplitsPixel { .. }
            | Refusal::OutOfBounds { .. } => Some(Code::OutOfBounds),
            Refusal::TooLarge { .. }
            | Refusal::Flags(_)
            | Refusal::NotDmabuf(_)
            | Refusal::Quota(_)
            | Refusal::Import(_) => None,
        }
    }
}

/// Where a new plane goes, given the modifiers of those before it.
///
/// # Errors
/// An index out of bounds or taken, or (where the version demands one modifier) another modifier than before.
pub fn check_add(
    version: u32,
    modifiers: &[Option<Modifier>; MAX_PLANES],
    index: u32,
    modifier: Modifier,
) -> Result<usize, Refusal> {
    let slot = usize::try_from(index).unwrap_or(MAX_PLANES);
    match modifiers.get(slot) {
        None => return Err(Refusal::PlaneIndex(index)),
        Some(Some(_)) => return Err(Refusal::PlaneSet(index)),
        Some(None) => {}
    }
    if version >= ONE_MODIFIER_SINCE {
        same_modifier(modifiers.iter().flatten().copied(), index, modifier)?;
    }
    Ok(slot)
}

fn same_modifier(
    mut others: impl Iterator<Item = Modifier>,
    index: u32,
    modifier: Modifier,
) -> Result<(), Refusal> {
    match others.find(|other| *other != modifier) {
        Some(other) => Err(Refusal::MixedModifiers { index, modifier, other }),
        None => Ok(()),
    }
}

/// Checks a whole buffer.
///
/// # Errors
/// The first thing found wrong; [`Refusal::code`] says whether it is the client's fault.
pub fn validate(request: &BufferRequest, offer: &Offer) -> Result<Layout, Refusal> {
    let format = Fourcc(request.format);
    let known = Format::of(format).filter(|_| offer.formats.contains(&format));
    let shapes = known.ok_or(Refusal::Format(format))?.planes();

    let count = request.planes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let needed = shapes.len();
    let planes: Vec<PlaneRequest> = request.planes.iter().map_while(|plane| *plane).collect();
    if planes.len() < count.max(needed) {
        return Err(Refusal::MissingPlane { index: planes.len(), needed });
    }

    let sent = planes.first().map_or(Modifier::INVALID, |plane| plane.modifier);
    for (index, plane) in (0u32..).zip(&planes) {
        same_modifier(std::iter::once(sent), index, plane.modifier)?;
    }
    let modifier = effective_modifier(request.version, format, sent, offer);
    if !offer.has(format, modifier) {
        return Err(Refusal::Pair { format, modifier });
    }
    // Vendor layouts may add planes of their own, for compression data; the linear and the implicit one cannot.
    let rows_lie_plain = modifier == Modifier::LINEAR || modifier == Modifier::INVALID;
    if rows_lie_plain && planes.len() != needed {
        return Err(Refusal::TooManyPlanes { given: planes.len(), needed });
    }

    let BufferRequest { width, height, .. } = *request;
    let (Ok(columns @ 1..), Ok(rows @ 1..)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Refusal::Dimensions { width, height });
    };
    if columns > MAX_SIDE_PIXELS || rows > MAX_SIDE_PIXELS {
        return Err(Refusal::TooLarge { width, height });
    }
    if request.flags != 0 {
        return Err(Refusal::Flags(request.flags));
    }

    for (index, plane) in planes.iter().enumerate() {
        let shape = shapes.get(index).copied();
        if let (true, Some(shape)) = (rows_lie_plain, shape) {
            check_pitch(index, plane.pitch_bytes, columns, shape)?;
        }
        if !plane.is_dmabuf {
            return Err(Refusal::NotDmabuf(index));
        }
        // What a vendor's layout puts behind the first plane has rows that nobody but its driver can count; that one row
        // lies inside the file is all that holds for every one of them.
        let plane_rows = match shape {
            Some(shape) if rows_lie_plain => shape.rows(u64::from(rows)),
            _ if index == 0 => u64::from(rows),
            _ => 1,
        };
        let end = u64::from(plane.pitch_bytes)
            .checked_mul(plane_rows)
            .and_then(|bytes| bytes.checked_add(u64::from(plane.offset_bytes)))
            .ok_or(Refusal::TooLarge { width, height })?;
        if let Some(file_bytes) = plane.file_bytes.filter(|bytes| end > *bytes) {
            return Err(Refusal::OutOfBounds { plane: index, end, file_bytes });
        }
        // The kernel computes framebuffer ends in 32 bits and refuses what does not fit.
        if end > u64::from(u32::MAX) {
            return Err(Refusal::TooLarge { width, height });
        }
    }
    Ok(Layout { format, modifier, width, height, planes: planes.len() })
}

/// Before version 3 nobody told the client of modifiers, so what it sends is no promise: the layout is implicit where we
/// can take that, and linear where we cannot and the client does not contradict it.
fn effective_modifier(version: u32, format: Fourcc, sent: Modifier, offer: &Offer) -> Modifier {
    if version < MODIFIER_EVENT_SINCE && offer.has(format, Modifier::INVALID) {
        return Modifier::INVALID;
    }
    sent
}

fn check_pitch(plane: usize, pitch_bytes: u32, columns: u32, shape: FormatPlane) -> Result<(), Refusal> {
    let row_bytes = shape.row_bytes(columns);
    if u64::from(pitch_bytes) < row_bytes {
        return Err(Refusal::PitchTooSmall { plane, pitch_bytes, row_bytes });
    }
    // Pixels of three or five bytes are commonly padded to a round pitch, so only powers of two are held to it.
    let pixel_bytes = u32::from(shape.block_bytes);
    if pixel_bytes.is_power_of_two() && pitch_bytes % pixel_bytes != 0 {
        return Err(Refusal::PitchSplitsPixel { plane, pitch_bytes, pixel_bytes });
    }
    Ok(())
}
