//! The pictures: bars of colours that every conversion gets right to the last bit, and controls with hard edges, so that any
//! reader of the screen can compute them again.
//!
//! Displays and renderers round differently when they convert luma and chroma, and vkms (Linux 7.3) takes 256 steps for what
//! are 255: greys between black and white come out up to one step brighter there. The colours here leave nothing to round, each
//! channel is cut off at 0 or at 255. They do tell a wrong matrix or range: red is beyond 255 by BT.709 only, and black is
//! at 0 in limited range only.

/// A colour: luma, blue and red chroma (BT.709, limited range), and what it is on a screen.
#[derive(Debug, Clone, Copy)]
pub struct Colour {
    /// Luma, blue, red.
    pub yuv: [u8; 3],
    /// XRGB8888.
    pub rgb: u32,
}

const fn colour(yuv: [u8; 3], rgb: u32) -> Colour {
    Colour { yuv, rgb: 0xff00_0000 | rgb }
}

/// The colours of the bars.
pub const COLOURS: [Colour; 8] = [
    colour([16, 128, 128], 0x00_00_00),
    colour([235, 128, 128], 0xff_ff_ff),
    colour([60, 100, 248], 0xff_00_00),
    colour([180, 28, 18], 0x00_ff_00),
    colour([205, 168, 3], 0x00_ff_ff),
    colour([24, 252, 120], 0x00_00_ff),
    colour([225, 8, 138], 0xff_ff_00),
    colour([70, 228, 243], 0xff_00_ff),
];

/// Pixels of a bar, across and down; even, so that no sample of chroma is shared.
const BAR: u32 = 32;
/// Pixels that the bars move with each frame.
const STEP: u32 = 4;

/// The colour at (`x`, `y`) of a frame.
#[must_use]
pub fn at(x: u32, y: u32, frame: u32) -> Colour {
    let across = (u64::from(x) + u64::from(frame) * u64::from(STEP)) / u64::from(BAR);
    let index = (across + 3 * u64::from(y / BAR)) % COLOURS.len() as u64;
    COLOURS[index as usize]
}

/// Where the samples of one plane go.
#[derive(Debug)]
pub struct Plane<'a> {
    /// From its first byte on.
    pub bytes: &'a mut [u8],
    /// Bytes a row.
    pub pitch: usize,
}

/// Paints a frame as NV12.
pub fn paint_nv12(luma: Plane<'_>, chroma: Plane<'_>, (width, height): (u32, u32), frame: u32) {
    let columns = width.div_ceil(2) as usize;
    rows(luma, height, BAR, width as usize, |y, row| {
        runs(row, 1, width, y, frame, |colour| [colour.yuv[0], 0]);
    });
    rows(chroma, height.div_ceil(2), BAR / 2, columns * 2, |y, row| {
        runs(row, 2, columns as u32 * 2, y * 2, frame, |colour| [colour.yuv[1], colour.yuv[2]]);
    });
}

/// Paints a frame as XRGB8888.
pub fn paint_rgb(plane: Plane<'_>, (width, height): (u32, u32), frame: u32) {
    rows(plane, height, BAR, width as usize * 4, |y, row| {
        for (x, cell) in (0..).zip(row.chunks_exact_mut(4)) {
            cell.copy_from_slice(&at(x, y, frame).rgb.to_le_bytes());
        }
    });
}

/// Paints the first of each `alike` rows and copies it to the others.
fn rows(plane: Plane<'_>, count: u32, alike: u32, bytes: usize, paint: impl Fn(u32, &mut [u8])) {
    let Plane { bytes: all, pitch } = plane;
    let mut model = vec![0; bytes];
    for (y, row) in (0..count).zip(all.chunks_mut(pitch)) {
        if y % alike == 0 {
            paint(y, &mut model);
        }
        if let Some(row) = row.get_mut(..bytes) {
            row.copy_from_slice(&model);
        }
    }
}

/// Paints one row of samples, `step` bytes for every `step` pixels.
fn runs(row: &mut [u8], step: usize, width: u32, y: u32, frame: u32, sample: impl Fn(Colour) -> [u8; 2]) {
    for (x, cell) in (0..width).step_by(step).zip(row.chunks_exact_mut(step)) {
        cell.copy_from_slice(&sample(at(x, y, frame))[..step]);
    }
}

/// The place of the controls in a picture: left, top, width, height.
#[must_use]
pub fn controls_place((width, height): (u32, u32)) -> (u32, u32, u32, u32) {
    let (wide, high) = ((width / 2).max(16), 48.min(height));
    ((width - wide.min(width)) / 2, height - high, wide.min(width), high)
}

/// The pixel at (`x`, `y`) of the controls, changed for the `change`th time: a bar that grows, in a frame with cut corners. As
/// ARGB8888; what can be seen through is wholly so, since displays and renderers round half-transparent pixels differently.
#[must_use]
pub fn controls(x: u32, y: u32, (width, height): (u32, u32), change: u32) -> u32 {
    let edge = |at: u32, end: u32| at.min(end.saturating_sub(1).saturating_sub(at));
    let (side, top) = (edge(x, width), edge(y, height));
    if side + top < 12 {
        return 0;
    }
    let played = (u64::from(change % 16) + 1) * u64::from(width) / 16;
    match (side.min(top), u64::from(x) < played) {
        (0..4, _) => 0xff20_2020,
        (_, true) => 0xff30_a0ff,
        (_, false) => 0xff60_6060,
    }
}

/// Paints the controls.
pub fn paint_controls(plane: Plane<'_>, size: (u32, u32), change: u32) {
    for (y, row) in (0..size.1).zip(plane.bytes.chunks_mut(plane.pitch)) {
        for (x, cell) in (0..size.0).zip(row.chunks_exact_mut(4)) {
            cell.copy_from_slice(&controls(x, y, size, change).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT.709, limited range.
    fn converted([y, u, v]: [u8; 3]) -> [f64; 3] {
        let luma = (f64::from(y) - 16.0) * 255.0 / 219.0;
        let (blue, red) = (f64::from(u) - 128.0, f64::from(v) - 128.0);
        let chroma = 255.0 / 224.0;
        let (r, b) = (luma + 1.5748 * chroma * red, luma + 1.8556 * chroma * blue);
        [r, luma - (0.2126 * 1.5748 * red + 0.0722 * 1.8556 * blue) / 0.7152 * chroma, b]
    }

    #[test]
    fn no_conversion_has_anything_to_round() {
        for Colour { yuv, rgb } in COLOURS {
            let [_, r, g, b] = rgb.to_be_bytes();
            for (is, wanted) in converted(yuv).into_iter().zip([r, g, b]) {
                // Black and white themselves are exact.
                let exact = match wanted {
                    0 => is < -3.0 || is.abs() < 0.001,
                    255 => is > 258.0 || (is - 255.0).abs() < 0.001,
                    _ => false,
                };
                assert!(exact, "{yuv:?}: {is} is to be {wanted}");
            }
        }
    }

    #[test]
    fn planes_hold_the_colours_of_their_places_and_padding_is_left_alone() {
        let (size, pitches) = ((71, 37), (80, 76));
        let (mut luma, mut chroma) = (vec![7; 80 * 37], vec![7; 76 * 19]);
        paint_nv12(
            Plane { bytes: &mut luma, pitch: pitches.0 },
            Plane { bytes: &mut chroma, pitch: pitches.1 },
            size,
            9,
        );
        for (x, y) in (0..71).flat_map(|x| (0..37).map(move |y| (x, y))) {
            let [wanted, u, v] = at(x, y, 9).yuv;
            assert_eq!(luma[y as usize * 80 + x as usize], wanted);
            let first = y as usize / 2 * 76 + x as usize / 2 * 2;
            assert_eq!(chroma[first..first + 2], [u, v], "{x}, {y}");
        }
        assert_eq!((luma[71], chroma[72]), (7, 7));
    }
}
