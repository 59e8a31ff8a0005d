//! How far a number of a client's may go.

/// Longest side of a buffer, pixels: what linux-dmabuf takes as well.
pub const BUFFER_SIDE: i32 = 65_535;
/// Longest side of a surface, logical pixels.
///
/// The software renderer counts in 16.16 fixed point: with this, the steps from a surface to a one-pixel buffer and
/// back stay within it, and so does damage brought from the one to the other.
pub const SURFACE_SIDE: i32 = 16_384;
/// Farthest place in the layout: sums of a few of these stay within 32 bits.
pub const FAR: i32 = 1 << 24;
/// Levels of subsurfaces, and of popups, below one window: tree walks are recursive.
pub const DEPTH: usize = 128;
/// Subsurfaces of one client: each frame walks all of them.
pub const SUBSURFACES: usize = 4_096;
/// Rectangles in one region: each commit copies them.
pub const REGION_PARTS: usize = 4_096;
/// Rectangles of an opaque region that are looked at: cutting them out of each other is quadratic.
pub const OPAQUE_PARTS: usize = 128;
/// Damage rectangles between two commits: above this, everything is damaged.
pub const DAMAGE_PARTS: usize = 1_024;

/// A place, no farther than [`FAR`].
#[must_use]
pub fn place(at: i32) -> i32 {
    at.clamp(-FAR, FAR)
}

/// The part of a rectangle (x, y, width, height) that is right of and below the origin, up to `end`.
#[must_use]
pub fn part(x: i32, y: i32, width: i32, height: i32, end: i32) -> Option<(i32, i32, i32, i32)> {
    let (x, width) = span(x, width, end)?;
    let (y, height) = span(y, height, end)?;
    Some((x, y, width, height))
}

fn span(from: i32, length: i32, end: i32) -> Option<(i32, i32)> {
    let start = from.max(0);
    let end = from.saturating_add(length).min(end);
    (length > 0 && start < end).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_is_cut_to_what_is_right_of_and_below_the_origin() {
        let table = [
            ((1, 2, 3, 4), Some((1, 2, 3, 4))),
            ((-10, -10, 15, 20), Some((0, 0, 5, 10))),
            ((0, 0, i32::MAX, i32::MAX), Some((0, 0, 100, 100))),
            ((99, 99, i32::MAX, i32::MAX), Some((99, 99, 1, 1))),
            ((i32::MIN, 0, i32::MAX, 1), None),
            ((i32::MAX, 0, i32::MAX, 1), None),
            ((0, 0, -1, 5), None),
            ((0, 0, 5, 0), None),
            ((0, 0, i32::MIN, i32::MIN), None),
        ];
        for ((x, y, width, height), expected) in table {
            assert_eq!(part(x, y, width, height, 100), expected, "{x},{y} {width}x{height}");
        }
    }
}
