//! The picture: a moving pattern that any reader of the screen can compute again.

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

/// Paints one frame into `pixels`, rows of `pitch` bytes, 4 bytes a pixel.
pub fn paint(pixels: &mut [u8], width: u32, height: u32, pitch: usize, frame: u32) {
    for (y, row) in (0..height).zip(pixels.chunks_mut(pitch)) {
        for (x, cell) in (0..width).zip(row.chunks_exact_mut(4)) {
            cell.copy_from_slice(&pixel(x, y, frame).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_pitch_and_padding_is_left_alone() {
        let mut pixels = vec![0xaa; 3 * 24];
        paint(&mut pixels, 4, 3, 24, 7);
        for y in 0..3 {
            let at = y as usize * 24;
            assert_eq!(pixels[at..at + 4], pixel(0, y, 7).to_le_bytes());
            assert_eq!(pixels[at + 16..at + 24], [0xaa; 8]);
        }
    }
}
