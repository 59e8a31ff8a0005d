//! The picture: a moving pattern that any reader of the screen can compute again.

use std::ops::Range;

/// What moves from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Everything.
    Scroll,
    /// A band of rows over a picture that stays: two buffers of it differ in a few rows.
    Band,
}

/// Rows of the band, and how far it moves with each frame.
const BAND: u32 = 32;

/// The pixel at (`x`, `y`) of frame `frame`, as XRGB8888.
///
/// A gradient with a grid of lines; every pixel depends on its place, so a wrong pitch or offset shows.
#[must_use]
pub fn pixel(x: u32, y: u32, frame: u32) -> u32 {
    let shifted = x.wrapping_add(frame.wrapping_mul(4));
    let red = shifted & 0xff;
    let green = y & 0xff;
    let blue = (x ^ y) & 0xff;
    let line = shifted % 64 == 0 || y % 64 == 0;
    let rgb = (red << 16) | (green << 8) | blue;
    0xff00_0000 | if line { 0x00ff_ffff } else { rgb }
}

/// The rows of the band in a picture of this height.
#[must_use]
pub fn band(height: u32, frame: u32) -> Range<u32> {
    let start = (u64::from(frame) * u64::from(BAND) % u64::from(height.max(1))) as u32;
    start..start.saturating_add(BAND).min(height)
}

impl Style {
    /// The pixel at (`x`, `y`) of a picture of this height.
    #[must_use]
    pub fn pixel(self, x: u32, y: u32, height: u32, frame: u32) -> u32 {
        match self {
            Style::Scroll => pixel(x, y, frame),
            Style::Band if band(height, frame).contains(&y) => pixel(x, y, 0) ^ 0x00ff_ffff,
            Style::Band => pixel(x, y, 0),
        }
    }

    /// Rows in which two frames differ; no frame is one that was never painted.
    #[must_use]
    pub fn changed(self, height: u32, before: Option<u32>, frame: u32) -> Vec<Range<u32>> {
        match (self, before) {
            (Style::Band, Some(before)) => vec![band(height, before), band(height, frame)],
            _ => std::iter::once(0..height).collect(),
        }
    }
}

/// Paints a frame over another one (none: over nothing) into `pixels`, rows of `pitch` bytes, 4 bytes a pixel.
pub fn paint(
    pixels: &mut [u8],
    (width, height): (u32, u32),
    pitch: usize,
    style: Style,
    (before, frame): (Option<u32>, u32),
) {
    for rows in style.changed(height, before, frame) {
        let lines = pixels.chunks_mut(pitch).skip(rows.start as usize);
        for (y, row) in rows.zip(lines) {
            for (x, cell) in (0..width).zip(row.chunks_exact_mut(4)) {
                cell.copy_from_slice(&style.pixel(x, y, height, frame).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_pitch_and_padding_is_left_alone() {
        let mut pixels = vec![0xaa; 3 * 24];
        paint(&mut pixels, (4, 3), 24, Style::Scroll, (None, 7));
        for y in 0..3 {
            let at = y as usize * 24;
            assert_eq!(pixels[at..at + 4], pixel(0, y, 7).to_le_bytes());
            assert_eq!(pixels[at + 16..at + 24], [0xaa; 8]);
        }
    }

    #[test]
    fn a_band_over_an_older_band_is_as_good_as_a_new_picture() {
        let picture = |before: &[u32]| {
            let mut pixels = vec![0; 100 * 16];
            let mut last = None;
            for frame in before {
                paint(&mut pixels, (4, 100), 16, Style::Band, (last, *frame));
                last = Some(*frame);
            }
            pixels
        };
        assert_eq!(picture(&[0, 3, 5]), picture(&[5]));
        assert_ne!(picture(&[4]), picture(&[5]));
        assert_eq!(band(100, 3), 96..100, "cut at the edge");
    }
}
