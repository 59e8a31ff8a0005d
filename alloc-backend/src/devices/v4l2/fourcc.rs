//! What V4L2 calls a format, and what DRM does: the same four characters do not always mean the same bytes.

use crate::constraints::Fourcc;

/// The DRM format with the same bytes in memory (`videodev2.h` beside `drm_fourcc.h`, linear layouts only); `None` for
/// compressed and tiled formats, and for those that DRM does not have.
pub fn drm_format(v4l2: u32) -> Option<Fourcc> {
    let same = Fourcc(v4l2);
    Some(match &v4l2.to_le_bytes() {
        b"RGBP" => Fourcc::RGB565,
        // DRM names components from the highest bit down, V4L2 these two in the order of bytes.
        b"RGB3" => Fourcc::BGR888,
        b"BGR3" => Fourcc::RGB888,
        b"GREY" => Fourcc::R8,
        b"422P" => Fourcc::YUV422,
        // The forms with a buffer for each plane.
        b"NM12" => Fourcc::NV12,
        b"NM21" => Fourcc::NV21,
        b"NM16" => Fourcc::NV16,
        b"NM61" => Fourcc::NV61,
        b"YM12" => Fourcc::YUV420,
        b"YM21" => Fourcc::YVU420,
        b"YM16" => Fourcc::YUV422,
        b"YM24" => Fourcc::YUV444,
        b"XR24" | b"AR24" | b"XB24" | b"AB24" | b"RX24" | b"RA24" | b"BX24" | b"BA24" | b"XR15" | b"AR15"
        | b"XR12" | b"AR12" | b"YUYV" | b"YVYU" | b"UYVY" | b"VYUY" | b"NV12" | b"NV21" | b"NV16"
        | b"NV61" | b"NV24" | b"NV42" | b"P010" | b"YU12" | b"YV12" => same,
        _ => return None,
    })
}

/// Whether each plane of a V4L2 format is a buffer of its own (`V4L2_PIX_FMT_NV12M` and its like), which starts at the
/// beginning of a dma-buf: such a queue cannot be given one allocation that holds all planes.
pub fn planes_apart(v4l2: u32) -> bool {
    matches!(
        &v4l2.to_le_bytes(),
        b"NM12" | b"NM21" | b"NM16" | b"NM61" | b"YM12" | b"YM21" | b"YM16" | b"YM61" | b"YM24" | b"YM42"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &[u8; 4]) -> Option<String> {
        drm_format(u32::from_le_bytes(*text)).map(|format| format.to_string())
    }

    #[test]
    fn formats_are_matched_by_their_bytes_not_their_letters() {
        for (v4l2, drm) in
            [(b"RGB3", "BG24"), (b"BGR3", "RG24"), (b"XR24", "XR24"), (b"NM12", "NV12"), (b"YM21", "YV12")]
        {
            assert_eq!(named(v4l2).as_deref(), Some(drm));
        }
        // H.264, and tiles.
        assert_eq!((named(b"H264"), named(b"VT12")), (None, None));
    }
}
