//! Width and height in pixels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The size of a picture in pixels, written `1920x1080`; `[1920, 1080]` in JSON.
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Size {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` by `height` pixels.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Pixels in the picture; cannot overflow.
    #[must_use]
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Whether a picture of this size has no pixels.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether both sides are at most those of `other`.
    #[must_use]
    pub const fn fits_in(self, other: Size) -> bool {
        self.width <= other.width && self.height <= other.height
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A text that is not `WIDTHxHEIGHT`.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("'{0}' is not a size; write it as WIDTHxHEIGHT, as in 1920x1080")]
pub struct ParseSizeError(String);

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Size, ParseSizeError> {
        let sides = text.split_once(['x', 'X']);
        match sides.map(|(w, h)| (w.trim().parse(), h.trim().parse())) {
            Some((Ok(width), Ok(height))) => Ok(Size { width, height }),
            _ => Err(ParseSizeError(text.to_owned())),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.width, self.height).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let (width, height) = <(u32, u32)>::deserialize(deserializer)?;
        Ok(Size { width, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_back_as_written() {
        let size = Size::new(1920, 1080);
        assert_eq!(size.to_string(), "1920x1080");
        assert_eq!("1920x1080".parse(), Ok(size));
        assert_eq!(serde_json::to_string(&size).unwrap(), "[1920,1080]");
        assert_eq!(serde_json::from_str::<Size>("[1920,1080]").unwrap(), size);
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in ["", "x", "1x", "1920", "1x2x3", "-1x2", "4294967296x1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for json in ["[1]", "[1,2,3]", "[-1,2]", "[4294967296,1]", "\"1x1\"", "[1.5,2]"] {
            assert!(serde_json::from_str::<Size>(json).is_err(), "{json}");
        }
    }
}
