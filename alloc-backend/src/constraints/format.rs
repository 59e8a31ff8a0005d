//! What the bytes of a format look like: planes, bytes per block, chroma subsampling, alpha.

use super::Fourcc;

/// One plane of a format.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct FormatPlane {
    /// Bytes of one block: of one pixel, or of a group of `block_width` pixels that are packed together.
    pub block_bytes: u8,
    /// Pixels of this plane (after subsampling) in one block; 1 but for packed formats (YUYV: 2 pixels in 4
    /// bytes; NV15: 4 in 5).
    pub block_width: u8,
    /// Picture pixels per pixel of this plane, horizontally (NV12 chroma: 2).
    pub horizontal: u8,
    /// Picture rows per row of this plane (NV12 chroma: 2).
    pub vertical: u8,
}

impl FormatPlane {
    /// Bytes of one row of a picture `width` pixels wide; a started block counts whole.
    #[must_use]
    pub fn row_bytes(self, width: u32) -> u64 {
        let pixels = u64::from(width).div_ceil(u64::from(self.horizontal));
        pixels.div_ceil(u64::from(self.block_width)) * u64::from(self.block_bytes)
    }

    /// Rows of this plane for a picture of `height` rows; a started row counts whole.
    #[must_use]
    pub fn rows(self, height: u64) -> u64 {
        height.div_ceil(u64::from(self.vertical))
    }
}

/// What is known of one format. [`Format::of`] finds it.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct Format {
    /// Its code.
    pub fourcc: Fourcc,
    planes: [FormatPlane; 4],
    count: u8,
    opaque: Option<Fourcc>,
    yuv: bool,
}

impl Format {
    /// The description of a format, or `None` if the table has none: then no layout can be computed for it.
    #[must_use]
    pub fn of(fourcc: Fourcc) -> Option<&'static Format> {
        // A dozen compares in a sorted table; the commonest code is tried first.
        if fourcc.0 == Fourcc::XRGB8888.0 {
            static XRGB8888: Format = packed(Fourcc::XRGB8888, 4);
            return Some(&XRGB8888);
        }
        let at = SORTED.binary_search_by_key(&fourcc.0, |format| format.fourcc.0).ok()?;
        SORTED.get(at)
    }

    /// Every format of the table, by code.
    pub fn all() -> impl Iterator<Item = &'static Format> {
        SORTED.iter()
    }

    /// Its planes, one to four; plane 0 is luma where there is chroma.
    #[must_use]
    pub fn planes(&self) -> &[FormatPlane] {
        self.planes.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Whether pixels carry alpha.
    #[must_use]
    pub fn has_alpha(&self) -> bool {
        self.opaque.is_some()
    }

    /// The format with the same bytes whose alpha is ignored (`AR24` gives `XR24`); `None` without alpha or
    /// without a twin.
    #[must_use]
    pub fn opaque_twin(&self) -> Option<Fourcc> {
        self.opaque.filter(|twin| *twin != self.fourcc)
    }

    /// Whether the pixels are luma and chroma rather than red, green and blue.
    #[must_use]
    pub fn is_yuv(&self) -> bool {
        self.yuv
    }
}

const NO_PLANE: FormatPlane = FormatPlane { block_bytes: 1, block_width: 1, horizontal: 1, vertical: 1 };

const fn plane(block_bytes: u8, horizontal: u8, vertical: u8) -> FormatPlane {
    FormatPlane { block_bytes, block_width: 1, horizontal, vertical }
}

/// RGB or greyscale without alpha.
const fn packed(fourcc: Fourcc, bytes: u8) -> Format {
    let planes = [plane(bytes, 1, 1), NO_PLANE, NO_PLANE, NO_PLANE];
    Format { fourcc, planes, count: 1, opaque: None, yuv: false }
}

const fn rgb(text: &[u8; 4], bytes: u8) -> Format {
    packed(Fourcc::from_bytes(*text), bytes)
}

/// RGB with alpha and the twin that ignores it.
const fn alpha(text: &[u8; 4], twin: &[u8; 4], bytes: u8) -> Format {
    Format { opaque: Some(Fourcc::from_bytes(*twin)), ..rgb(text, bytes) }
}

/// YUV in one plane, `pixels` of them in each block.
const fn yuv_packed(text: &[u8; 4], block_bytes: u8, pixels: u8) -> Format {
    let first = FormatPlane { block_bytes, block_width: pixels, horizontal: 1, vertical: 1 };
    Format { planes: [first, NO_PLANE, NO_PLANE, NO_PLANE], yuv: true, ..rgb(text, 1) }
}

/// Luma, then one plane of chroma pairs; `bytes` per luma sample.
const fn semi_planar(text: &[u8; 4], bytes: u8, horizontal: u8, vertical: u8) -> Format {
    let planes = [plane(bytes, 1, 1), plane(2 * bytes, horizontal, vertical), NO_PLANE, NO_PLANE];
    Format { planes, count: 2, yuv: true, ..rgb(text, 1) }
}

/// Luma, then two planes of chroma; `bytes` per sample.
const fn planar(text: &[u8; 4], bytes: u8, horizontal: u8, vertical: u8) -> Format {
    let chroma = plane(bytes, horizontal, vertical);
    Format { planes: [plane(bytes, 1, 1), chroma, chroma, NO_PLANE], count: 3, yuv: true, ..rgb(text, 1) }
}

/// Ten-bit samples packed without gaps, `pixels` in `bytes`: luma and 2x2 chroma pairs (NV15, P030).
const fn ten_bit(text: &[u8; 4], bytes: u8, pixels: u8, chroma_bytes: u8, vertical: u8) -> Format {
    let luma = FormatPlane { block_bytes: bytes, block_width: pixels, horizontal: 1, vertical: 1 };
    let chroma = FormatPlane { block_bytes: chroma_bytes, block_width: pixels, horizontal: 2, vertical };
    Format { planes: [luma, chroma, NO_PLANE, NO_PLANE], count: 2, yuv: true, ..rgb(text, 1) }
}

const COUNT: usize = 105;

/// Bytes and subsampling from `drm_fourcc.h` and `drm_fourcc.c` of Linux 7.3.
const TABLE: [Format; COUNT] = [
    // 8 bits
    rgb(b"C8  ", 1),
    rgb(b"D8  ", 1),
    rgb(b"R8  ", 1),
    rgb(b"RGB8", 1),
    rgb(b"BGR8", 1),
    // 16 bits
    rgb(b"R10 ", 2),
    rgb(b"R12 ", 2),
    rgb(b"R16 ", 2),
    rgb(b"RG88", 2),
    rgb(b"GR88", 2),
    rgb(b"XR12", 2),
    rgb(b"XB12", 2),
    rgb(b"RX12", 2),
    rgb(b"BX12", 2),
    alpha(b"AR12", b"XR12", 2),
    alpha(b"AB12", b"XB12", 2),
    alpha(b"RA12", b"RX12", 2),
    alpha(b"BA12", b"BX12", 2),
    rgb(b"XR15", 2),
    rgb(b"XB15", 2),
    rgb(b"RX15", 2),
    rgb(b"BX15", 2),
    alpha(b"AR15", b"XR15", 2),
    alpha(b"AB15", b"XB15", 2),
    alpha(b"RA15", b"RX15", 2),
    alpha(b"BA15", b"BX15", 2),
    rgb(b"RG16", 2),
    rgb(b"BG16", 2),
    // 24 bits
    rgb(b"RG24", 3),
    rgb(b"BG24", 3),
    // 32 bits
    rgb(b"RG32", 4),
    rgb(b"GR32", 4),
    packed(Fourcc::XRGB8888, 4),
    rgb(b"XB24", 4),
    rgb(b"RX24", 4),
    rgb(b"BX24", 4),
    alpha(b"AR24", b"XR24", 4),
    alpha(b"AB24", b"XB24", 4),
    alpha(b"RA24", b"RX24", 4),
    alpha(b"BA24", b"BX24", 4),
    rgb(b"XR30", 4),
    rgb(b"XB30", 4),
    rgb(b"RX30", 4),
    rgb(b"BX30", 4),
    alpha(b"AR30", b"XR30", 4),
    alpha(b"AB30", b"XB30", 4),
    alpha(b"RA30", b"RX30", 4),
    alpha(b"BA30", b"BX30", 4),
    // 64 bits
    rgb(b"XR48", 8),
    rgb(b"XB48", 8),
    alpha(b"AR48", b"XR48", 8),
    alpha(b"AB48", b"XB48", 8),
    rgb(b"XR4H", 8),
    rgb(b"XB4H", 8),
    alpha(b"AR4H", b"XR4H", 8),
    alpha(b"AB4H", b"XB4H", 8),
    alpha(b"AB10", b"AB10", 8),
    // RGB with alpha in a second plane
    split_alpha(b"XRA8", b"XR24", 4),
    split_alpha(b"XBA8", b"XB24", 4),
    split_alpha(b"RXA8", b"RX24", 4),
    split_alpha(b"BXA8", b"BX24", 4),
    split_alpha(b"R8A8", b"RG24", 3),
    split_alpha(b"B8A8", b"BG24", 3),
    split_alpha(b"R5A8", b"RG16", 2),
    split_alpha(b"B5A8", b"BG16", 2),
    // YUV in one plane
    yuv_packed(b"YUYV", 4, 2),
    yuv_packed(b"YVYU", 4, 2),
    yuv_packed(b"UYVY", 4, 2),
    yuv_packed(b"VYUY", 4, 2),
    yuv_packed(b"Y210", 8, 2),
    yuv_packed(b"Y212", 8, 2),
    yuv_packed(b"Y216", 8, 2),
    yuv_alpha(b"AYUV", b"XYUV", 4),
    yuv_packed(b"XYUV", 4, 1),
    yuv_packed(b"VU24", 3, 1),
    yuv_alpha(b"Y410", b"XV30", 4),
    yuv_packed(b"XV30", 4, 1),
    yuv_alpha(b"Y412", b"XV36", 8),
    yuv_packed(b"XV36", 8, 1),
    yuv_alpha(b"Y416", b"XV48", 8),
    yuv_packed(b"XV48", 8, 1),
    // luma and chroma pairs
    semi_planar(b"NV12", 1, 2, 2),
    semi_planar(b"NV21", 1, 2, 2),
    semi_planar(b"NV16", 1, 2, 1),
    semi_planar(b"NV61", 1, 2, 1),
    semi_planar(b"NV24", 1, 1, 1),
    semi_planar(b"NV42", 1, 1, 1),
    semi_planar(b"P010", 2, 2, 2),
    semi_planar(b"P012", 2, 2, 2),
    semi_planar(b"P016", 2, 2, 2),
    semi_planar(b"P210", 2, 2, 1),
    ten_bit(b"NV15", 5, 4, 10, 2),
    ten_bit(b"NV20", 5, 4, 10, 1),
    // luma and two planes of chroma
    planar(b"YUV9", 1, 4, 4),
    planar(b"YVU9", 1, 4, 4),
    planar(b"YU11", 1, 4, 1),
    planar(b"YV11", 1, 4, 1),
    planar(b"YU12", 1, 2, 2),
    planar(b"YV12", 1, 2, 2),
    planar(b"YU16", 1, 2, 1),
    planar(b"YV16", 1, 2, 1),
    planar(b"YU24", 1, 1, 1),
    planar(b"YV24", 1, 1, 1),
    planar(b"Q410", 2, 1, 1),
    planar(b"Q401", 2, 1, 1),
];

/// RGB with eight bits of alpha per pixel in a plane of its own.
const fn split_alpha(text: &[u8; 4], twin: &[u8; 4], bytes: u8) -> Format {
    let planes = [plane(bytes, 1, 1), plane(1, 1, 1), NO_PLANE, NO_PLANE];
    Format { planes, count: 2, ..alpha(text, twin, bytes) }
}

/// YUV with alpha, one pixel per block.
const fn yuv_alpha(text: &[u8; 4], twin: &[u8; 4], bytes: u8) -> Format {
    Format { yuv: true, ..alpha(text, twin, bytes) }
}

static SORTED: [Format; COUNT] = sorted(TABLE);

/// Insertion sort by code, at compile time.
#[allow(clippy::indexing_slicing)] // An index out of range here is an error of the compiler, not of the program.
const fn sorted(mut table: [Format; COUNT]) -> [Format; COUNT] {
    let mut i = 1;
    while i < COUNT {
        let mut j = i;
        while j > 0 && table[j - 1].fourcc.0 > table[j].fourcc.0 {
            let other = table[j];
            table[j] = table[j - 1];
            table[j - 1] = other;
            j -= 1;
        }
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_doubles_and_finds_every_entry() {
        for (a, b) in SORTED.iter().zip(SORTED.iter().skip(1)) {
            assert!(a.fourcc.0 < b.fourcc.0, "{} {}", a.fourcc, b.fourcc);
        }
        for format in Format::all() {
            assert_eq!(Format::of(format.fourcc), Some(format));
        }
        assert_eq!(Format::of(Fourcc(0)), None);
    }

    #[test]
    fn every_opaque_twin_exists_has_the_same_first_plane_and_no_alpha() {
        for format in Format::all() {
            if let Some(twin) = format.opaque_twin() {
                let twin = Format::of(twin).unwrap_or_else(|| panic!("{} has a twin", format.fourcc));
                assert!(!twin.has_alpha(), "{}", twin.fourcc);
                assert_eq!(twin.planes()[0], format.planes()[0], "{}", format.fourcc);
            }
        }
        assert_eq!(Format::of(Fourcc::ARGB8888).unwrap().opaque_twin(), Some(Fourcc::XRGB8888));
    }

    #[test]
    fn rows_are_as_long_as_the_kernels_table_says() {
        // format, width, bytes of a row per plane, rows per plane of an 11-row picture
        for (fourcc, width, bytes, rows) in [
            (Fourcc::XRGB8888, 1920, &[7680][..], &[11][..]),
            (Fourcc::RGB565, 3, &[6], &[11]),
            (Fourcc::RGB888, 5, &[15], &[11]),
            (Fourcc::ARGB16161616F, 2, &[16], &[11]),
            (Fourcc::YUYV, 3, &[8], &[11]),
            (Fourcc::UYVY, 4, &[8], &[11]),
            (Fourcc::NV12, 1921, &[1921, 1922], &[11, 6]),
            (Fourcc::NV21, 4, &[4, 4], &[11, 6]),
            (Fourcc::NV16, 4, &[4, 4], &[11, 11]),
            (Fourcc::NV24, 4, &[4, 8], &[11, 11]),
            (Fourcc::P010, 4, &[8, 8], &[11, 6]),
            (Fourcc::YUV420, 5, &[5, 3, 3], &[11, 6, 6]),
            (Fourcc::YVU420, 4, &[4, 2, 2], &[11, 6, 6]),
            (Fourcc::from_bytes(*b"NV15"), 8, &[10, 10], &[11, 6]),
            (Fourcc::from_bytes(*b"YUV9"), 9, &[9, 3, 3], &[11, 3, 3]),
        ] {
            let format = Format::of(fourcc).unwrap();
            let got: Vec<u64> = format.planes().iter().map(|p| p.row_bytes(width)).collect();
            assert_eq!(got, bytes, "{fourcc}");
            let got: Vec<u64> = format.planes().iter().map(|p| p.rows(11)).collect();
            assert_eq!(got, rows, "{fourcc}");
        }
    }

    #[test]
    fn the_widest_picture_does_not_overflow_a_row() {
        for format in Format::all() {
            for plane in format.planes() {
                assert!(plane.row_bytes(u32::MAX) <= 8 * (u64::from(u32::MAX) + 1), "{}", format.fourcc);
            }
        }
    }
}
