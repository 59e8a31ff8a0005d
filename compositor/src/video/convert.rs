//! Planes of luma and chroma to pixels. Pure.

use heapwright_alloc::constraints::{Fourcc, Size};
use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix,
    yuv_nv12_to_bgra, yuv_nv21_to_bgra, yuv420_to_bgra,
};

/// What can be converted.
pub const FORMATS: [Fourcc; 3] = [Fourcc::NV12, Fourcc::NV21, Fourcc::YUV420];

/// One plane: its rows, and how many bytes lie from one to the next.
pub type Rows<'a> = (&'a [u8], u32);

/// A picture that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A format with another layout.
    #[error(
        "video of format {0} is not converted: use NV12, NV21 or YU12, or a format of red, green and blue"
    )]
    Format(Fourcc),
    /// A plane is missing, or shorter than the picture.
    #[error("a picture of {size} {format} does not fit in its planes: {why}")]
    Layout {
        /// Pixels.
        size: Size,
        /// Format.
        format: Fourcc,
        /// What is too short.
        why: String,
    },
}

/// Converts a picture to XRGB8888, rows of `pitch` bytes.
///
/// # Errors
/// [`ConvertError`]; some pixels may be written then.
pub fn convert(
    format: Fourcc,
    size: Size,
    planes: &[Rows<'_>],
    pixels: &mut [u8],
    pitch: u32,
) -> Result<(), ConvertError> {
    const RANGE: YuvRange = YuvRange::Limited;
    const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt709;
    let layout = |why: String| ConvertError::Layout { size, format, why };
    let mismatch = |error: YuvError| layout(error.to_string());
    let Size { width, height } = size;
    match (format, planes) {
        (Fourcc::NV12 | Fourcc::NV21, [(y_plane, y_stride), (uv_plane, uv_stride)]) => {
            let (y_stride, uv_stride) = (*y_stride, *uv_stride);
            let image = YuvBiPlanarImage { y_plane, y_stride, uv_plane, uv_stride, width, height };
            let convert = if format == Fourcc::NV12 { yuv_nv12_to_bgra } else { yuv_nv21_to_bgra };
            convert(&image, pixels, pitch, RANGE, MATRIX, YuvConversionMode::Balanced).map_err(mismatch)
        }
        (Fourcc::YUV420, [(y_plane, y_stride), (u_plane, u_stride), (v_plane, v_stride)]) => {
            let (y_stride, u_stride, v_stride) = (*y_stride, *u_stride, *v_stride);
            let image =
                YuvPlanarImage { y_plane, y_stride, u_plane, u_stride, v_plane, v_stride, width, height };
            yuv420_to_bgra(&image, pixels, pitch, RANGE, MATRIX).map_err(mismatch)
        }
        _ if FORMATS.contains(&format) => Err(layout(format!("it has {} of them", planes.len()))),
        _ => Err(ConvertError::Format(format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT.709, limited range, from the standard's own words: Kr = 0.2126, Kb = 0.0722, 219 steps of luma from 16, 224 of chroma
    /// around 128. Red, green, blue.
    fn by_the_book(y: u8, u: u8, v: u8) -> [f64; 3] {
        let luma = (f64::from(y) - 16.0) / 219.0;
        let (blue, red) = ((f64::from(u) - 128.0) / 224.0, (f64::from(v) - 128.0) / 224.0);
        let (kr, kb) = (0.2126, 0.0722);
        let r = luma + 2.0 * (1.0 - kr) * red;
        let b = luma + 2.0 * (1.0 - kb) * blue;
        let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
        [r, g, b].map(|channel| channel.clamp(0.0, 1.0) * 255.0)
    }

    /// The planes of a picture of one colour, each with a pitch of its own.
    fn planes(format: Fourcc, size: Size, [y, u, v]: [u8; 3]) -> Vec<(Vec<u8>, u32)> {
        let (width, rows) = (size.width.div_ceil(2), size.height.div_ceil(2) as usize);
        let plane = |pitch: u32, rows: usize, cell: &[u8]| {
            (cell.iter().copied().cycle().take(pitch as usize * rows).collect::<Vec<_>>(), pitch)
        };
        let luma = plane(size.width + 3, size.height as usize, &[y]);
        match format {
            Fourcc::NV12 => vec![luma, plane(width * 2 + 6, rows, &[u, v])],
            Fourcc::NV21 => vec![luma, plane(width * 2 + 6, rows, &[v, u])],
            _ => vec![luma, plane(width + 5, rows, &[u]), plane(width + 7, rows, &[v])],
        }
    }

    fn pixels(format: Fourcc, size: Size, planes: &[(Vec<u8>, u32)]) -> Vec<[u8; 4]> {
        let rows: Vec<Rows<'_>> = planes.iter().map(|(plane, pitch)| (plane.as_slice(), *pitch)).collect();
        let mut pixels = vec![0; (size.width * size.height * 4) as usize];
        convert(format, size, &rows, &mut pixels, size.width * 4).expect("a picture");
        pixels.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect()
    }

    #[test]
    fn known_colours_come_out_as_the_standard_has_them_in_every_format() {
        // Odd, and longer than any vector register.
        let size = Size::new(71, 5);
        let mut colours =
            vec![[16, 128, 128], [235, 128, 128], [63, 102, 240], [173, 42, 26], [32, 240, 118]];
        for y in (16..=255).step_by(37) {
            for u in (0..=255).step_by(51) {
                colours.extend((0..=255).step_by(51).map(|v| [y, u, v]));
            }
        }
        for [y, u, v] in colours {
            let wanted = by_the_book(y, u, v);
            for format in FORMATS {
                for [b, g, r, x] in pixels(format, size, &planes(format, size, [y, u, v])) {
                    let near = [r, g, b]
                        .into_iter()
                        .zip(wanted)
                        .all(|(is, is_to_be)| (f64::from(is) - is_to_be).abs() < 1.5);
                    assert!(near, "{format} {:?}: {:?}, by the book {wanted:?}", [y, u, v], [r, g, b]);
                    assert_eq!(x, 255);
                }
            }
        }
    }

    #[test]
    fn luma_blacker_than_black_is_black() {
        // A display may show [0, 60, 60] darker than [16, 60, 60]; no decoder makes such a pixel.
        let size = Size::new(4, 2);
        let of = |y| pixels(Fourcc::NV12, size, &planes(Fourcc::NV12, size, [y, 60, 60]));
        assert_eq!(of(0), of(16));
    }

    #[test]
    fn a_sample_of_chroma_holds_for_its_four_pixels_and_for_no_other() {
        let size = Size::new(4, 2);
        let luma = (vec![60; 8], 4);
        // Red for the left half, blue for the right.
        let chroma = (vec![100, 248, 248, 100], 4);
        let pixels = pixels(Fourcc::NV12, size, &[luma, chroma]);
        for (at, [b, g, r, _]) in pixels.into_iter().enumerate() {
            let left = at % 4 < 2;
            assert_eq!((r > 250, b > 250), (left, !left), "pixel {at}: {r} {g} {b}");
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_is_an_error_and_no_panic() {
        let size = Size::new(8, 4);
        let mut pixels = vec![0; 8 * 4 * 4];
        let mut refused = |format, rows: &[Rows<'_>], pitch, said: &str| {
            let error = convert(format, size, rows, &mut pixels, pitch).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        };
        let (whole, half) = (vec![0; 32], vec![0; 16]);
        refused(Fourcc::NV12, &[(&whole, 8), (&half[..15], 8)], 32, "8x4 NV12");
        refused(Fourcc::NV12, &[(&whole[..31], 8), (&half, 8)], 32, "8x4 NV12");
        refused(Fourcc::NV12, &[(&whole, 7), (&half, 8)], 32, "8x4 NV12");
        refused(Fourcc::NV12, &[(&whole, 8)], 32, "it has 1 of them");
        refused(Fourcc::YUV420, &[(&whole, 8), (&half, 8)], 32, "it has 2 of them");
        refused(Fourcc::NV12, &[(&whole, 8), (&half, 8)], 31, "8x4 NV12");
        refused(Fourcc::P010, &[(&whole, 8), (&half, 8)], 32, "P010 is not converted");
        refused(Fourcc::NV12, &[(&whole, u32::MAX), (&half, 8)], 32, "8x4 NV12");
    }
}
