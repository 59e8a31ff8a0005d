//! Limits on size, pitch and layout: what an option, or a whole participant, asks of the bytes of a picture.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Size;

/// What the pitch of plane 0 must be, where hardware leaves no choice.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum ExactPitch {
    /// This many bytes; a number in JSON.
    Bytes(u64),
    /// The bytes of one row without any padding (width x bytes per pixel), whatever the width; `"packed"` in
    /// JSON. mxsfb asks for it.
    Packed,
}

impl fmt::Display for ExactPitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExactPitch::Bytes(bytes) => write!(f, "{bytes}"),
            ExactPitch::Packed => f.write_str("packed"),
        }
    }
}

impl Serialize for ExactPitch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ExactPitch::Bytes(bytes) => serializer.serialize_u64(*bytes),
            ExactPitch::Packed => serializer.serialize_str("packed"),
        }
    }
}

impl<'de> Deserialize<'de> for ExactPitch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExactPitch, D::Error> {
        struct Pitch;
        impl de::Visitor<'_> for Pitch {
            type Value = ExactPitch;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pitch in bytes, or \"packed\"")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ExactPitch, E> {
                Ok(ExactPitch::Bytes(bytes))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExactPitch, E> {
                match text {
                    "packed" => Ok(ExactPitch::Packed),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Pitch)
    }
}

/// How the pitch of the chroma planes follows from that of the luma plane.
///
/// Where nobody states one, it follows from the format's subsampling: a chroma row spans the same pixels as a
/// luma row (NV12: equal; YUV420: half; NV24: double).
#[derive(Debug, Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChromaPitch {
    /// As long as luma's.
    Equal,
    /// Half of luma's.
    Half,
    /// Twice luma's.
    Double,
}

impl fmt::Display for ChromaPitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChromaPitch::Equal => "equal",
            ChromaPitch::Half => "half",
            ChromaPitch::Double => "double",
        })
    }
}

/// Declares [`LayoutLimits`] and hands its fields to other macros: the limits stand beside other keys in
/// JSON, on an option or on a participant, and serde cannot both flatten a struct and refuse unknown keys.
macro_rules! layout_limits {
    ($d:tt $( $(#[doc = $doc:literal])* $field:ident: $type:ty, )*) => {
        /// The size, pitch and layout fields of one option or participant. A field that is not stated narrows
        /// nothing.
        ///
        /// Pitches and sizes are in bytes unless a field says otherwise; alignments must be at least 1.
        #[derive(Debug, Copy, Clone, Default, Eq, PartialEq)]
        pub struct LayoutLimits { $( $(#[doc = $doc])* pub $field: $type, )* }

        /// Defines a JSON form with the keys of [`LayoutLimits`] beside the given ones, and the conversions
        /// from and to `$target`, which keeps them in its field `limits`.
        macro_rules! with_layout_limits {
            ($target:ident as $wire:ident { $d($d(#[$d attr:meta])* $d own:ident: $d own_type:ty,)* }) => {
                #[derive(serde::Serialize, serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                struct $wire {
                    $d( $d(#[$d attr])* $d own: $d own_type, )*
                    $( #[serde(default, skip_serializing_if = "crate::constraints::layout::unstated")] $field: $type, )*
                }
                impl From<$wire> for $target {
                    fn from(wire: $wire) -> $target {
                        let limits = crate::constraints::LayoutLimits { $( $field: wire.$field, )* };
                        $target { $d( $d own: wire.$d own, )* limits }
                    }
                }
                impl From<$target> for $wire {
                    fn from(it: $target) -> $wire {
                        $wire { $d( $d own: it.$d own, )* $( $field: it.limits.$field, )* }
                    }
                }
            };
        }
    };
}

layout_limits! { $
    /// Smallest picture, in pixels. Merge: max of each side.
    min_size: Option<Size>,
    /// Largest picture, in pixels. Merge: min of each side.
    max_size: Option<Size>,
    /// Most pixels in a picture. Merge: min.
    max_area: Option<u64>,
    /// The picture's width must be a multiple of this many pixels. Merge: lcm.
    width_align: Option<u64>,
    /// The picture's height must be a multiple of this many rows. Merge: lcm.
    height_align: Option<u64>,
    /// Smallest pitch of plane 0. Merge: max.
    min_pitch: Option<u64>,
    /// Largest pitch of any plane, checked after alignment. Merge: min.
    max_pitch: Option<u64>,
    /// Every plane's pitch must be a multiple of this. Merge: lcm.
    pitch_align: Option<u64>,
    /// Every plane's pitch must be a whole number of pixels (of blocks, for packed formats). Merge: or.
    pitch_at_pixel_boundary: bool,
    /// The pitch of plane 0, exactly. Merge: equal.
    exact_pitch: Option<ExactPitch>,
    /// How chroma pitch follows from luma pitch. Merge: equal.
    chroma_pitch: Option<ChromaPitch>,
    /// Every plane's offset must be a multiple of this. Merge: lcm.
    plane_offset_align: Option<u64>,
    /// Rows are allocated in multiples of this; the picture keeps its height. Merge: lcm.
    alloc_height_align: Option<u64>,
    /// So many rows are allocated, and each plane lies right behind the one before it: what hardware asks for that is
    /// told where the first plane is, and works out the others. At least the picture's height. Merge: equal.
    exact_rows: Option<u64>,
    /// Bytes that must be there after the last row (readers that overshoot). Merge: max.
    pad_beyond_image: Option<u64>,
    /// The buffer's size must be a multiple of this. Merge: lcm.
    size_align: Option<u64>,
    /// Largest buffer, after every rounding. Merge: min.
    max_size_bytes: Option<u64>,
    /// All planes must lie in one allocation. Merge: or. The solver always lays them out in one.
    single_allocation: bool,
    /// The buffer's address must be a multiple of this. Merge: lcm. A heap promises no more than its page
    /// size.
    base_align: Option<u64>,
}

pub(crate) use with_layout_limits;

/// Whether a key is left out of JSON: it holds what it would hold if it were missing.
pub(crate) fn unstated<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl LayoutLimits {
    /// No limits; what `default()` gives, where a constant is needed.
    pub const NONE: LayoutLimits = LayoutLimits {
        min_size: None,
        max_size: None,
        max_area: None,
        width_align: None,
        height_align: None,
        min_pitch: None,
        max_pitch: None,
        pitch_align: None,
        pitch_at_pixel_boundary: false,
        exact_pitch: None,
        chroma_pitch: None,
        plane_offset_align: None,
        alloc_height_align: None,
        exact_rows: None,
        pad_beyond_image: None,
        size_align: None,
        max_size_bytes: None,
        single_allocation: false,
        base_align: None,
    };

    /// The fields that must not be zero, with their names.
    pub(crate) fn alignments(&self) -> [(&'static str, Option<u64>); 7] {
        [
            ("width_align", self.width_align),
            ("height_align", self.height_align),
            ("pitch_align", self.pitch_align),
            ("plane_offset_align", self.plane_offset_align),
            ("alloc_height_align", self.alloc_height_align),
            ("size_align", self.size_align),
            ("base_align", self.base_align),
        ]
    }
}
