//! What a node's queue says of its formats, and what it asks of a buffer.

use crate::constraints::{ExactPitch, Fourcc, LayoutLimits, Modifier, Size};
use crate::solver::problem::OptionSpec;

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

    /// What the queue asks of a buffer of that size, if the driver kept format and size: the pitch that it would set.
    pub(super) fn option(&self, format: &V4l2Format, size: Size) -> Option<OptionSpec> {
        let (pitch, _) = *self.buffers.first()?;
        let kept = self.size == size && self.v4l2 == format.v4l2;
        kept.then(|| OptionSpec {
            format: format.format.into(),
            modifier: Modifier::LINEAR.into(),
            limits: LayoutLimits {
                exact_pitch: (pitch != 0).then(|| ExactPitch::Bytes(pitch.into())),
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

    #[test]
    fn a_driver_that_changes_the_size_offers_nothing_at_that_size() {
        let v4l2 = u32::from_le_bytes(*b"NM12");
        let format = V4l2Format { format: Fourcc::NV12, v4l2, sizes: Vec::new() };
        let mut bytes = [0; 200];
        for (at, value) in [(0, 640), (4, 480), (8, v4l2), (20, 327_680), (24, 704), (40, 163_840), (44, 704)]
        {
            put(&mut bytes, at, value);
        }
        bytes[180] = 2;
        let tried = TriedFormat::of(&bytes, true);
        assert_eq!(tried.buffers, [(704, 327_680), (704, 163_840)]);
        let option = tried.option(&format, Size::new(640, 480)).unwrap();
        assert_eq!(option.limits.exact_pitch, Some(ExactPitch::Bytes(704)));
        assert_eq!(tried.option(&format, Size::new(642, 480)), None);
    }
}
