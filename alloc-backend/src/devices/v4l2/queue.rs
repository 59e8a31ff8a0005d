//! What a node's queue says of its formats, and what it asks of a buffer.

use super::{LeftOut, WhyLeftOut};
use crate::constraints::{ExactPitch, Format, Fourcc, LayoutLimits, Modifier, Size};
use crate::solver::problem::{OptionSpec, Role};

/// The frame sizes of a format, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    /// The least.
    pub min: Size,
    /// The greatest.
    pub max: Size,
    /// Steps from the least, of width and height; 1x1 for a range without gaps, and 0x0 for one size.
    pub step: Size,
}

impl SizeRange {
    /// From `struct v4l2_frmsizeenum`: its type (`V4L2_FRMSIZE_TYPE_*`) and its numbers.
    pub(super) fn of(kind: u32, numbers: [u32; 6]) -> Option<Self> {
        let [a, b, c, d, e, f] = numbers;
        match kind {
            1 => Some(SizeRange { min: Size::new(a, b), max: Size::new(a, b), step: Size::new(0, 0) }),
            2 | 3 => Some(SizeRange { min: Size::new(a, d), max: Size::new(b, e), step: Size::new(c, f) }),
            _ => None,
        }
    }

    /// Whether a size is one of them.
    pub fn has(&self, size: Size) -> bool {
        let on = |value: u32, min: u32, max: u32, step: u32| {
            (min..=max).contains(&value) && (value - min).checked_rem(step).unwrap_or(0) == 0
        };
        on(size.width, self.min.width, self.max.width, self.step.width)
            && on(size.height, self.min.height, self.max.height, self.step.height)
    }
}

/// One uncompressed format of a queue that DRM has, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4l2Format {
    /// DRM's code.
    pub format: Fourcc,
    /// V4L2's code.
    pub v4l2: u32,
    /// The sizes it comes in; empty when the driver does not say.
    pub sizes: Vec<SizeRange>,
}

impl V4l2Format {
    /// The least and the largest sides it comes in, when the driver says.
    fn extent(&self) -> Option<(Size, Size)> {
        self.sizes.iter().map(|range| (range.min, range.max)).reduce(|(min, max), (least, most)| {
            let min = Size::new(min.width.min(least.width), min.height.min(least.height));
            (min, Size::new(max.width.max(most.width), max.height.max(most.height)))
        })
    }
}

/// Bytes of all planes, one right behind the other, when the first has this pitch and so many rows.
fn picture_bytes(format: Fourcc, pitch: u64, rows: u64) -> u64 {
    let format = Format::of(format);
    let planes = format.as_ref().map_or(&[][..], |format| format.planes());
    let Some(luma) = planes.first() else { return 0 };
    let across = |plane: &crate::constraints::FormatPlane| {
        (u64::from(plane.block_bytes), u64::from(plane.block_width) * u64::from(plane.horizontal))
    };
    let (luma_bytes, luma_pixels) = across(luma);
    let plane_bytes = |plane: &crate::constraints::FormatPlane| {
        let (bytes, pixels) = across(plane);
        // Pitch and rows are 32-bit numbers, the others below 100.
        (pitch * bytes * luma_pixels / (luma_bytes * pixels).max(1)).saturating_mul(plane.rows(rows))
    };
    planes.iter().map(plane_bytes).fold(0, u64::saturating_add)
}

/// What the driver makes of a format at a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedFormat {
    /// The size it would use: not the one asked for, when it cannot have that.
    pub size: Size,
    /// The code it would use (V4L2's).
    pub v4l2: u32,
    /// Of each separate buffer: bytes from row to row of its first plane, and bytes in all.
    pub buffers: Vec<(u32, u32)>,
}

impl TriedFormat {
    /// From the union of `struct v4l2_format`: `v4l2_pix_format`, or `v4l2_pix_format_mplane`.
    pub(super) fn of(bytes: &[u8; 200], multi_planar: bool) -> Self {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
            word.map_or(0, u32::from_ne_bytes)
        };
        let buffers = if multi_planar {
            // Up to VIDEO_MAX_PLANES (8) of 20 bytes from byte 20, sizeimage first; their number at byte 180.
            let count = usize::from(bytes[180]).min(8);
            (0..count).map(|plane| (word(20 + plane * 20 + 4), word(20 + plane * 20))).collect()
        } else {
            vec![(word(16), word(20))]
        };
        TriedFormat { size: Size::new(word(0), word(4)), v4l2: word(8), buffers }
    }

    /// What the queue asks of a buffer for a picture of that size: pitch, rows and bytes as the driver would set them.
    ///
    /// A codec works in blocks: it may use more rows and columns than the picture has, which then is their upper left
    /// part. A camera that used more would take another picture.
    ///
    /// # Errors
    /// Why the format cannot be had at that size.
    pub(super) fn option(&self, format: &V4l2Format, role: Role, size: Size) -> Result<OptionSpec, LeftOut> {
        let left = |why| LeftOut { v4l2: Fourcc(format.v4l2), why };
        if self.v4l2 != format.v4l2 {
            return Err(left(WhyLeftOut::OtherFormat(Fourcc(self.v4l2))));
        }
        if self.size != size && (role == Role::Capture || !size.fits_in(self.size)) {
            return Err(left(WhyLeftOut::OtherSize(self.size)));
        }
        let &[(pitch @ 1.., bytes)] = self.buffers.as_slice() else {
            return Err(left(if self.buffers.len() > 1 {
                WhyLeftOut::PlanesApart
            } else {
                WhyLeftOut::NoPitch
            }));
        };
        let rows = u64::from(self.size.height);
        let planes = Format::of(format.format).map_or(0, |format| format.planes().len());
        let extent = format.extent();
        let picture = picture_bytes(format.format, pitch.into(), rows);
        Ok(OptionSpec {
            format: format.format.into(),
            modifier: Modifier::LINEAR.into(),
            limits: LayoutLimits {
                exact_pitch: Some(ExactPitch::Bytes(pitch.into())),
                // One address is told, so the chroma planes are where pitch and rows put them.
                exact_rows: (planes > 1).then_some(rows),
                alloc_height_align: (planes == 1 && rows > size.height.into()).then_some(rows),
                pad_beyond_image: u64::from(bytes).checked_sub(picture).filter(|rest| *rest > 0),
                // A codec makes a smaller picture a part of its least.
                min_size: extent.map(|(min, _)| min).filter(|_| role == Role::Capture),
                max_size: extent.map(|(_, max)| max),
                ..LayoutLimits::default()
            },
            ..OptionSpec::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8; 200], at: usize, value: u32) {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    #[test]
    fn sizes_off_the_step_are_not_taken() {
        let range = SizeRange::of(3, [16, 1920, 16, 8, 1080, 2]).unwrap();
        assert!(range.has(Size::new(640, 480)));
        assert!(!range.has(Size::new(641, 480)) && !range.has(Size::new(640, 481)));
        assert!(!range.has(Size::new(1936, 480)));
        let one = SizeRange::of(1, [640, 480, 0, 0, 0, 0]).unwrap();
        assert!(one.has(Size::new(640, 480)) && !one.has(Size::new(640, 481)));
    }

    fn tried(v4l2: &[u8; 4], size: Size, pitch: u32, bytes: u32) -> TriedFormat {
        TriedFormat { size, v4l2: u32::from_le_bytes(*v4l2), buffers: vec![(pitch, bytes)] }
    }

    fn format(format: Fourcc, v4l2: &[u8; 4]) -> V4l2Format {
        let sizes = SizeRange::of(3, [16, 4096, 16, 16, 2304, 16]).into_iter().collect();
        V4l2Format { format, v4l2: u32::from_le_bytes(*v4l2), sizes }
    }

    #[test]
    fn what_the_driver_would_set_is_what_it_asks_of_a_buffer() {
        let hd = Size::new(1920, 1080);
        let coded = Size::new(1920, 1088);
        let limits = |found: Result<OptionSpec, LeftOut>| found.unwrap().limits;
        // A decoder that writes blocks of 16 rows, and motion vectors behind the picture.
        let nv12 = format(Fourcc::NV12, b"NV12");
        let decodes = tried(b"NV12", coded, 2048, 2048 * 1088 * 3 / 2 + 4096);
        let asks = limits(decodes.option(&nv12, Role::Decode, hd));
        assert_eq!((asks.exact_pitch, asks.exact_rows), (Some(ExactPitch::Bytes(2048)), Some(1088)));
        assert_eq!((asks.pad_beyond_image, asks.alloc_height_align), (Some(4096), None));
        assert_eq!((asks.min_size, asks.max_size), (None, Some(Size::new(4096, 2304))));
        let exact = tried(b"YU12", Size::new(640, 360), 640, 640 * 360 * 3 / 2);
        let asks = limits(exact.option(&format(Fourcc::YUV420, b"YU12"), Role::Capture, exact.size));
        assert_eq!((asks.pad_beyond_image, asks.exact_rows), (None, Some(360)));
        assert_eq!(asks.min_size, Some(Size::new(16, 16)));
        let packed = tried(b"XR24", coded, 7680, 7680 * 1088);
        let asks = limits(packed.option(&format(Fourcc::XRGB8888, b"XR24"), Role::Encode, hd));
        assert_eq!(
            (asks.alloc_height_align, asks.exact_rows, asks.pad_beyond_image),
            (Some(1088), None, None)
        );
    }

    #[test]
    fn what_cannot_be_had_at_a_size_says_why() {
        let nv12 = format(Fourcc::NV12, b"NV12");
        let hd = Size::new(1920, 1080);
        let why = |tried: TriedFormat, role, size| tried.option(&nv12, role, size).unwrap_err().why;
        let coded = Size::new(1920, 1088);
        let more = || tried(b"NV12", coded, 1920, 3_133_440);
        // Other rows of a camera are another picture; fewer are a part of it for a decoder, too.
        assert_eq!(why(more(), Role::Capture, hd), WhyLeftOut::OtherSize(coded));
        assert_eq!(why(more(), Role::Decode, Size::new(1921, 1080)), WhyLeftOut::OtherSize(coded));
        assert_eq!(
            why(tried(b"YUYV", hd, 3840, 4), Role::Capture, hd),
            WhyLeftOut::OtherFormat(Fourcc::YUYV)
        );
        assert_eq!(why(tried(b"NV12", hd, 0, 0), Role::Capture, hd), WhyLeftOut::NoPitch);
    }

    #[test]
    fn a_buffer_for_each_plane_is_read_from_a_multi_planar_format() {
        let v4l2 = u32::from_le_bytes(*b"NM12");
        let mut bytes = [0; 200];
        for (at, value) in [(0, 640), (4, 480), (8, v4l2), (20, 327_680), (24, 704), (40, 163_840), (44, 704)]
        {
            put(&mut bytes, at, value);
        }
        bytes[180] = 2;
        let tried = TriedFormat::of(&bytes, true);
        assert_eq!(tried.buffers, [(704, 327_680), (704, 163_840)]);
        let format = V4l2Format { format: Fourcc::NV12, v4l2, sizes: Vec::new() };
        let option = tried.option(&format, Role::Capture, Size::new(640, 480));
        assert_eq!(option.unwrap_err().why, WhyLeftOut::PlanesApart);
    }
}
