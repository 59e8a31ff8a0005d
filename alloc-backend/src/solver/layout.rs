//! Where the planes lie: the smallest layout that satisfies merged constraints.
//!
//! The pitch of plane 0 decides. Chroma planes follow from it by a ratio, so their constraints are turned
//! into constraints on plane 0, and the smallest multiple of one divisor above one minimum satisfies all.

use super::answer::PlaneLayout;
use super::merge::{Clash, Merged};
use crate::constraints::divisor::{gcd, lcm, round_up};
use crate::constraints::{ChromaPitch, Format, FormatPlane, LayoutLimits, Size};

/// A computed layout.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub(super) struct Layout {
    planes: [PlaneLayout; 4],
    count: usize,
    /// Bytes up to the end of the last plane, with the padding beyond it; not yet rounded to `size_align` and
    /// the page.
    pub bytes: u64,
    /// Bytes of the picture alone, without padding of any kind.
    pub picture_bytes: u64,
}

impl Layout {
    /// The planes, in the order of the format.
    pub fn planes(&self) -> &[PlaneLayout] {
        self.planes.get(..self.count).unwrap_or(&[])
    }
}

/// The first size field that refuses a picture of this size.
pub(super) fn refuses_size(limits: &LayoutLimits, size: Size) -> Option<Clash> {
    let off = |align: Option<u64>, side: u32| align.is_some_and(|align| u64::from(side) % align.max(1) != 0);
    if limits.min_size.is_some_and(|min| !min.fits_in(size)) {
        Some("min_size")
    } else if limits.max_size.is_some_and(|max| !size.fits_in(max)) {
        Some("max_size")
    } else if limits.max_area.is_some_and(|max| size.area() > max) {
        Some("max_area")
    } else if off(limits.width_align, size.width) {
        Some("width_align")
    } else if off(limits.height_align, size.height) {
        Some("height_align")
    } else {
        None
    }
}

/// Chroma pitch as a fraction of luma pitch.
#[derive(Copy, Clone)]
struct Ratio {
    over: u64,
    under: u64,
}

impl Ratio {
    /// A row of `plane` spans the same pixels as a row of `luma`.
    fn by_subsampling(plane: &FormatPlane, luma: &FormatPlane) -> Ratio {
        let bytes = |p: &FormatPlane| u64::from(p.block_bytes);
        let pixels = |p: &FormatPlane| u64::from(p.block_width) * u64::from(p.horizontal);
        let (over, under) = (bytes(plane) * pixels(luma), bytes(luma) * pixels(plane));
        let common = gcd(over, under).max(1);
        Ratio { over: over / common, under: under / common }
    }

    fn stated(relation: ChromaPitch) -> Ratio {
        match relation {
            ChromaPitch::Equal => Ratio { over: 1, under: 1 },
            ChromaPitch::Half => Ratio { over: 1, under: 2 },
            ChromaPitch::Double => Ratio { over: 2, under: 1 },
        }
    }
}

/// The smallest layout of a picture, or the field that allows none. `size` stands for an overflow of 64 bits
/// that no single field is to blame for.
pub(super) fn lay_out(format: &Format, merged: &Merged, size: Size) -> Result<Layout, Clash> {
    let Some((luma, chroma)) = format.planes().split_first() else { return Err("format") };
    let divisor = |plane: &FormatPlane| {
        if merged.pitch_at_pixel_boundary {
            lcm(merged.pitch_align, u64::from(plane.block_bytes)).ok_or("pitch_at_pixel_boundary")
        } else {
            Ok(merged.pitch_align)
        }
    };
    let ratio = |plane: &FormatPlane| {
        merged.chroma_pitch.map_or_else(|| Ratio::by_subsampling(plane, luma), Ratio::stated)
    };

    let rows = round_up(u64::from(size.height), merged.alloc_height_align).ok_or("alloc_height_align")?;
    let rows = match merged.exact_rows {
        None => rows,
        Some(exact) if exact >= rows && exact % merged.alloc_height_align == 0 => exact,
        Some(_) => return Err("exact_rows"),
    };
    // Where no gap may be, the pitch sees to it that each plane ends where the next may begin.
    let gapless = |plane: &FormatPlane, last: bool| {
        let align = merged.plane_offset_align;
        if last || merged.exact_rows.is_none() { 1 } else { align / gcd(plane.rows(rows), align).max(1) }
    };

    let packed = luma.row_bytes(size.width);
    let mut least = packed.max(merged.min_pitch);
    let mut multiple = lcm(divisor(luma)?, gapless(luma, chroma.is_empty())).ok_or("plane_offset_align")?;
    for (at, plane) in chroma.iter().enumerate() {
        // over/under x pitch must be whole, a multiple of the plane's divisor, and hold a row.
        let Ratio { over, under } = ratio(plane);
        let own = lcm(divisor(plane)?, gapless(plane, at + 1 == chroma.len())).ok_or("plane_offset_align")?;
        let whole = own.checked_mul(under).ok_or("pitch_align")?;
        multiple = lcm(multiple, whole / gcd(over, whole).max(1)).ok_or("pitch_align")?;
        least = least.max((plane.row_bytes(size.width) * under).div_ceil(over.max(1)));
    }
    let smallest = round_up(least, multiple).ok_or("pitch_align")?;
    let pitch = match merged.exact_pitch {
        None => smallest,
        Some(exact) if exact >= smallest && exact % multiple == 0 => exact,
        Some(_) => return Err("exact_pitch"),
    };
    if merged.packed_pitch && pitch != packed {
        return Err("exact_pitch");
    }

    let mut layout = Layout { planes: [PlaneLayout::default(); 4], count: 0, bytes: 0, picture_bytes: 0 };
    for ((at, plane), to) in format.planes().iter().enumerate().zip(&mut layout.planes) {
        let pitch = if at == 0 {
            pitch
        } else {
            let Ratio { over, under } = ratio(plane);
            pitch.checked_mul(over).ok_or("size")? / under.max(1)
        };
        if pitch > merged.max_pitch {
            return Err("max_pitch");
        }
        let bytes = pitch.checked_mul(plane.rows(rows)).ok_or("size")?;
        let offset = round_up(layout.bytes, merged.plane_offset_align).ok_or("plane_offset_align")?;
        layout.bytes = offset.checked_add(bytes).ok_or("size")?;
        // No larger than the plane, which did not overflow.
        layout.picture_bytes += plane.row_bytes(size.width) * plane.rows(u64::from(size.height));
        layout.count += 1;
        *to = PlaneLayout { offset, pitch, size: bytes };
    }
    layout.bytes = layout.bytes.checked_add(merged.pad_beyond_image).ok_or("pad_beyond_image")?;
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::{ExactPitch, Fourcc};

    fn laid(fourcc: Fourcc, size: Size, limits: &LayoutLimits) -> Result<Vec<(u64, u64, u64)>, Clash> {
        let mut merged = Merged::nothing(1);
        merged.add_layout(limits)?;
        let layout = lay_out(Format::of(fourcc).unwrap(), &merged, size)?;
        Ok(layout.planes().iter().map(|p| (p.offset, p.pitch, p.size)).collect())
    }

    #[test]
    fn planes_lie_as_the_limits_say() {
        type Change = fn(&mut LayoutLimits);
        /// Offset, pitch and size.
        type Planes = &'static [(u64, u64, u64)];
        let none: Change = |_| {};
        let hd = Size::new(1920, 1080);
        let odd = Size::new(5, 3);
        // format, size, limits, (offset, pitch, size) of each plane
        let cases: [(Fourcc, Size, Change, Planes); 18] = [
            (Fourcc::XRGB8888, hd, none, &[(0, 7680, 8_294_400)]),
            (Fourcc::XRGB8888, Size::new(1366, 768), |l| l.pitch_align = Some(256), &[(0, 5632, 4_325_376)]),
            (Fourcc::RGB888, odd, |l| l.pitch_align = Some(4), &[(0, 16, 48)]),
            (
                Fourcc::RGB888,
                odd,
                |l| (l.pitch_align, l.pitch_at_pixel_boundary) = (Some(4), true),
                &[(0, 24, 72)],
            ),
            (Fourcc::XRGB8888, odd, |l| l.min_pitch = Some(33), &[(0, 33, 99)]),
            (Fourcc::XRGB8888, odd, |l| l.exact_pitch = Some(ExactPitch::Bytes(64)), &[(0, 64, 192)]),
            (Fourcc::XRGB8888, odd, |l| l.alloc_height_align = Some(8), &[(0, 20, 160)]),
            (Fourcc::NV12, hd, none, &[(0, 1920, 2_073_600), (2_073_600, 1920, 1_036_800)]),
            // The chroma plane's row is longer than luma's, which has to follow.
            (Fourcc::NV12, odd, none, &[(0, 6, 18), (18, 6, 12)]),
            (Fourcc::NV12, odd, |l| l.plane_offset_align = Some(64), &[(0, 6, 18), (64, 6, 12)]),
            (
                Fourcc::NV12,
                hd,
                |l| l.alloc_height_align = Some(32),
                &[(0, 1920, 2_088_960), (2_088_960, 1920, 1_044_480)],
            ),
            (
                Fourcc::NV12,
                hd,
                |l| l.exact_rows = Some(1088),
                &[(0, 1920, 2_088_960), (2_088_960, 1920, 1_044_480)],
            ),
            // Nothing lies between the planes, so the pitch grows until they end at whole pages.
            (
                Fourcc::NV12,
                Size::new(640, 360),
                |l| (l.exact_rows, l.plane_offset_align) = (Some(360), Some(4096)),
                &[(0, 1024, 368_640), (368_640, 1024, 184_320)],
            ),
            (
                Fourcc::YUV420,
                odd,
                |l| (l.exact_rows, l.plane_offset_align) = (Some(4), Some(64)),
                &[(0, 64, 256), (256, 32, 64), (320, 32, 64)],
            ),
            (
                Fourcc::XRGB8888,
                odd,
                |l| (l.exact_rows, l.plane_offset_align) = (Some(3), Some(64)),
                &[(0, 20, 60)],
            ),
            (Fourcc::YUV420, odd, |l| l.pitch_align = Some(4), &[(0, 8, 24), (24, 4, 8), (32, 4, 8)]),
            (
                Fourcc::YUV420,
                odd,
                |l| l.chroma_pitch = Some(ChromaPitch::Equal),
                &[(0, 5, 15), (15, 5, 10), (25, 5, 10)],
            ),
            (Fourcc::NV24, odd, none, &[(0, 5, 15), (15, 10, 30)]),
        ];
        for (fourcc, size, change, want) in cases {
            let mut limits = LayoutLimits::default();
            change(&mut limits);
            assert_eq!(laid(fourcc, size, &limits).as_deref(), Ok(want), "{fourcc} {size} {limits:?}");
        }
    }

    #[test]
    fn what_cannot_be_laid_out_names_the_field() {
        type Change = fn(&mut LayoutLimits);
        let cases: [(Fourcc, Change, Clash); 11] = [
            (Fourcc::XRGB8888, |l| (l.pitch_align, l.max_pitch) = (Some(256), Some(200)), "max_pitch"),
            // Luma would fit; chroma is twice as long.
            (Fourcc::NV24, |l| l.max_pitch = Some(15), "max_pitch"),
            (Fourcc::XRGB8888, |l| l.exact_pitch = Some(ExactPitch::Bytes(16)), "exact_pitch"),
            (
                Fourcc::XRGB8888,
                |l| (l.exact_pitch, l.pitch_align) = (Some(ExactPitch::Packed), Some(64)),
                "exact_pitch",
            ),
            (Fourcc::XRGB8888, |l| l.alloc_height_align = Some(u64::MAX), "size"),
            (Fourcc::NV12, |l| l.plane_offset_align = Some(u64::MAX), "size"),
            (Fourcc::XRGB8888, |l| l.pad_beyond_image = Some(u64::MAX), "pad_beyond_image"),
            (Fourcc::XRGB8888, |l| l.exact_rows = Some(2), "exact_rows"),
            (Fourcc::XRGB8888, |l| (l.exact_rows, l.alloc_height_align) = (Some(6), Some(4)), "exact_rows"),
            (
                Fourcc::NV12,
                |l| {
                    l.exact_pitch = Some(ExactPitch::Bytes(10));
                    (l.exact_rows, l.plane_offset_align) = (Some(4), Some(64));
                },
                "exact_pitch",
            ),
            (Fourcc::NV12, |l| (l.exact_rows, l.plane_offset_align) = (Some(3), Some(u64::MAX - 58)), "size"),
        ];
        for (fourcc, change, field) in cases {
            let mut limits = LayoutLimits::default();
            change(&mut limits);
            assert_eq!(laid(fourcc, Size::new(10, 3), &limits), Err(field), "{fourcc} {limits:?}");
        }
    }

    #[test]
    fn a_size_is_refused_by_the_first_field_it_breaks() {
        type Change = fn(&mut LayoutLimits);
        let cases: [(Change, Option<Clash>); 8] = [
            (|_| {}, None),
            (|l| l.min_size = Some(Size::new(65, 1)), Some("min_size")),
            (|l| l.max_size = Some(Size::new(64, 47)), Some("max_size")),
            (|l| l.max_size = Some(Size::new(64, 48)), None),
            (|l| l.max_area = Some(64 * 48 - 1), Some("max_area")),
            (|l| l.width_align = Some(128), Some("width_align")),
            (|l| l.height_align = Some(32), Some("height_align")),
            (|l| (l.width_align, l.height_align) = (Some(64), Some(16)), None),
        ];
        for (change, field) in cases {
            let mut limits = LayoutLimits::default();
            change(&mut limits);
            assert_eq!(refuses_size(&limits, Size::new(64, 48)), field, "{limits:?}");
        }
    }
}
