//! A pixel format's code: four characters, as in `drm_fourcc.h`.

use std::fmt;
use std::str::FromStr;

use drm_fourcc::{DrmFourcc, UnrecognizedFourcc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A DRM fourcc, written as its text: `XR24`, `NV12`, `R8`.
///
/// The text has the trailing spaces of short codes removed, and codes that are not printable (the big-endian
/// bit, garbage) are written as hex, `0x80343258`; both read back.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Fourcc(pub u32);

const fn code(text: &[u8; 4]) -> Fourcc {
    Fourcc(u32::from_le_bytes(*text))
}

#[allow(missing_docs)] // Each name is the one of drm_fourcc.h, which is the documentation.
impl Fourcc {
    pub const C8: Fourcc = code(b"C8  ");
    pub const R8: Fourcc = code(b"R8  ");
    pub const GR88: Fourcc = code(b"GR88");
    pub const RGB565: Fourcc = code(b"RG16");
    pub const BGR565: Fourcc = code(b"BG16");
    pub const XRGB1555: Fourcc = code(b"XR15");
    pub const ARGB1555: Fourcc = code(b"AR15");
    pub const XRGB4444: Fourcc = code(b"XR12");
    pub const ARGB4444: Fourcc = code(b"AR12");
    pub const RGB888: Fourcc = code(b"RG24");
    pub const BGR888: Fourcc = code(b"BG24");
    pub const XRGB8888: Fourcc = code(b"XR24");
    pub const XBGR8888: Fourcc = code(b"XB24");
    pub const RGBX8888: Fourcc = code(b"RX24");
    pub const BGRX8888: Fourcc = code(b"BX24");
    pub const ARGB8888: Fourcc = code(b"AR24");
    pub const ABGR8888: Fourcc = code(b"AB24");
    pub const RGBA8888: Fourcc = code(b"RA24");
    pub const BGRA8888: Fourcc = code(b"BA24");
    pub const XRGB2101010: Fourcc = code(b"XR30");
    pub const XBGR2101010: Fourcc = code(b"XB30");
    pub const ARGB2101010: Fourcc = code(b"AR30");
    pub const ABGR2101010: Fourcc = code(b"AB30");
    pub const XRGB16161616F: Fourcc = code(b"XR4H");
    pub const XBGR16161616F: Fourcc = code(b"XB4H");
    pub const ARGB16161616F: Fourcc = code(b"AR4H");
    pub const ABGR16161616F: Fourcc = code(b"AB4H");
    pub const YUYV: Fourcc = code(b"YUYV");
    pub const YVYU: Fourcc = code(b"YVYU");
    pub const UYVY: Fourcc = code(b"UYVY");
    pub const VYUY: Fourcc = code(b"VYUY");
    pub const NV12: Fourcc = code(b"NV12");
    pub const NV21: Fourcc = code(b"NV21");
    pub const NV16: Fourcc = code(b"NV16");
    pub const NV61: Fourcc = code(b"NV61");
    pub const NV24: Fourcc = code(b"NV24");
    pub const NV42: Fourcc = code(b"NV42");
    pub const P010: Fourcc = code(b"P010");
    pub const P016: Fourcc = code(b"P016");
    pub const YUV420: Fourcc = code(b"YU12");
    pub const YVU420: Fourcc = code(b"YV12");
    pub const YUV422: Fourcc = code(b"YU16");
    pub const YUV444: Fourcc = code(b"YU24");
}

impl Fourcc {
    /// The code of four characters, as `fourcc_code()` in `drm_fourcc.h` makes it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Fourcc {
        Fourcc(u32::from_le_bytes(bytes))
    }

    /// The text without trailing spaces, if every character prints.
    fn text(&self) -> Option<([u8; 4], usize)> {
        let bytes = self.0.to_le_bytes();
        let used = bytes.iter().rposition(|b| *b != b' ')? + 1;
        let plain = bytes.iter().take(used).all(u8::is_ascii_graphic);
        // "0x.." would read back as hex.
        (plain && !bytes.starts_with(b"0x")).then_some((bytes, used))
    }
}

impl fmt::Display for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((bytes, used)) = self.text() {
            if let Some(text) = bytes.get(..used).and_then(|b| std::str::from_utf8(b).ok()) {
                return f.pad(text);
            }
        }
        write!(f, "0x{:08x}", self.0)
    }
}

impl fmt::Debug for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fourcc({self})")
    }
}

/// A text that is no fourcc.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "'{0}' is not a format; write one to four characters as in drm_fourcc.h, like XR24, or 0x and 8 hex digits"
)]
pub struct ParseFourccError(String);

impl FromStr for Fourcc {
    type Err = ParseFourccError;

    fn from_str(text: &str) -> Result<Fourcc, ParseFourccError> {
        let wrong = || ParseFourccError(text.to_owned());
        if let Some(hex) = text.strip_prefix("0x") {
            if hex.len() != 8 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            return u32::from_str_radix(hex, 16).map(Fourcc).map_err(|_| wrong());
        }
        let trimmed = text.trim_end_matches(' ');
        if trimmed.is_empty() || text.len() > 4 || !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong());
        }
        let mut bytes = [b' '; 4];
        for (to, from) in bytes.iter_mut().zip(trimmed.bytes()) {
            *to = from;
        }
        Ok(Fourcc::from_bytes(bytes))
    }
}

impl From<DrmFourcc> for Fourcc {
    fn from(fourcc: DrmFourcc) -> Fourcc {
        Fourcc(fourcc as u32)
    }
}

impl TryFrom<Fourcc> for DrmFourcc {
    type Error = UnrecognizedFourcc;

    /// The enum of the `drm-fourcc` crate knows the formats of Linux 5.10; a newer one is an error.
    fn try_from(fourcc: Fourcc) -> Result<DrmFourcc, UnrecognizedFourcc> {
        DrmFourcc::try_from(fourcc.0)
    }
}

impl Serialize for Fourcc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fourcc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fourcc, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Fourcc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a fourcc, like \"XR24\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fourcc, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fourcc_is_written_as_its_text_and_reads_back() {
        for (fourcc, text) in [
            (Fourcc::XRGB8888, "XR24"),
            (Fourcc::NV12, "NV12"),
            (Fourcc::R8, "R8"),
            (Fourcc(Fourcc::XRGB8888.0 | (1 << 31)), "0xb4325258"),
            (Fourcc(0), "0x00000000"),
            (Fourcc(0x2020_2020), "0x20202020"),
            (Fourcc::from_bytes(*b"0x12"), "0x32317830"),
        ] {
            assert_eq!(fourcc.to_string(), text);
            assert_eq!(text.parse(), Ok(fourcc), "{text}");
        }
        assert_eq!("R8  ".parse(), Ok(Fourcc::R8));
    }

    #[test]
    fn what_is_no_fourcc_is_refused() {
        for text in ["", "    ", "XR244", "\u{e9}\u{e9}", "0x", "0x123", "0x+1234567", "X\n24", "XR 4"] {
            assert!(text.parse::<Fourcc>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn it_converts_to_and_from_the_drm_crate() {
        assert_eq!(Fourcc::from(DrmFourcc::Xrgb8888), Fourcc::XRGB8888);
        assert_eq!(DrmFourcc::try_from(Fourcc::NV12), Ok(DrmFourcc::Nv12));
        assert!(DrmFourcc::try_from(Fourcc(7)).is_err());
    }
}
