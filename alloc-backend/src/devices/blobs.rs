//! The smaller blobs of display devices. What they hold is a list; a rest too short for an entry is no entry.

use crate::constraints::{Fourcc, Size};

/// `WRITEBACK_PIXEL_FORMATS` of a connector: an array of fourccs.
pub(super) fn parse_writeback_formats(blob: &[u8]) -> Vec<Fourcc> {
    let fourcc = |entry: &[u8]| Some(Fourcc(u32::from_ne_bytes(entry.try_into().ok()?)));
    blob.chunks_exact(4).filter_map(fourcc).collect()
}

/// `SIZE_HINTS` of a cursor plane: an array of `struct drm_plane_size_hint`, two 16-bit numbers, best first.
pub(super) fn parse_size_hints(blob: &[u8]) -> Vec<Size> {
    let side = |bytes: &[u8]| Some(u32::from(u16::from_ne_bytes(bytes.try_into().ok()?)));
    let size = |entry: &[u8]| Some(Size::new(side(entry.get(..2)?)?, side(entry.get(2..)?)?));
    blob.chunks_exact(4).filter_map(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_order_and_a_torn_last_entry_is_none() {
        let mut blob: Vec<u8> = Vec::new();
        blob.extend(Fourcc::XRGB8888.0.to_ne_bytes());
        blob.extend(Fourcc::NV12.0.to_ne_bytes());
        blob.extend([1, 2]);
        assert_eq!(parse_writeback_formats(&blob), [Fourcc::XRGB8888, Fourcc::NV12]);

        let mut hints: Vec<u8> = Vec::new();
        for side in [256_u16, 64, 128, 32] {
            hints.extend(side.to_ne_bytes());
        }
        hints.push(1);
        assert_eq!(parse_size_hints(&hints), [Size::new(256, 64), Size::new(128, 32)]);
        assert!(parse_size_hints(&[]).is_empty());
    }
}
