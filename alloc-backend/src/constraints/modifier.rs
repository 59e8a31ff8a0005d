//! The tiling or compression of a buffer: a 64-bit format modifier, written by name.

use std::fmt;
use std::str::FromStr;

use drm_fourcc::DrmModifier;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::modifier_family::Family;

/// A DRM format modifier, written by its well-known name (`LINEAR`, `I915_X_TILED`) or as hex
/// (`0x0800000000000041`).
///
/// Names are those of `drm_fourcc.h` without `DRM_FORMAT_MOD_` and without the `FORMAT_MOD_` of
/// `I915_FORMAT_MOD_X_TILED`; both long forms are read too. Modifiers with parameters are written with them:
/// `ARM_AFBC(16x16,SPARSE)`, `AMD(GFX10,64K_R_X,PIPE_XOR_BITS=2)`, `NVIDIA_BLOCK_LINEAR_2D(s=1,g=2,k=0x06,h=4)`,
/// `BROADCOM_SAND128(COL_HEIGHT=1088)`. Modifiers are compared as numbers; a name never decides anything.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Modifier(pub u64);

const INTEL: u64 = 0x01 << 56;
const NVIDIA: u64 = 0x03 << 56;
const SAMSUNG: u64 = 0x04 << 56;
const QCOM: u64 = 0x05 << 56;
const VIVANTE: u64 = 0x06 << 56;
const BROADCOM: u64 = 0x07 << 56;
const ARM: u64 = 0x08 << 56;
const ALLWINNER: u64 = 0x09 << 56;
const MTK: u64 = 0x0b << 56;
const APPLE: u64 = 0x0c << 56;

/// Every modifier of `drm_fourcc.h` (Linux 7.3) that is one number with one name, by number.
const NAMES: [(u64, &str); 48] = [
    (0, "LINEAR"),
    (0x00ff_ffff_ffff_ffff, "INVALID"),
    (INTEL | 1, "I915_X_TILED"),
    (INTEL | 2, "I915_Y_TILED"),
    (INTEL | 3, "I915_Yf_TILED"),
    (INTEL | 4, "I915_Y_TILED_CCS"),
    (INTEL | 5, "I915_Yf_TILED_CCS"),
    (INTEL | 6, "I915_Y_TILED_GEN12_RC_CCS"),
    (INTEL | 7, "I915_Y_TILED_GEN12_MC_CCS"),
    (INTEL | 8, "I915_Y_TILED_GEN12_RC_CCS_CC"),
    (INTEL | 9, "I915_4_TILED"),
    (INTEL | 10, "I915_4_TILED_DG2_RC_CCS"),
    (INTEL | 11, "I915_4_TILED_DG2_MC_CCS"),
    (INTEL | 12, "I915_4_TILED_DG2_RC_CCS_CC"),
    (INTEL | 13, "I915_4_TILED_MTL_RC_CCS"),
    (INTEL | 14, "I915_4_TILED_MTL_MC_CCS"),
    (INTEL | 15, "I915_4_TILED_MTL_RC_CCS_CC"),
    (INTEL | 16, "I915_4_TILED_LNL_CCS"),
    (INTEL | 17, "I915_4_TILED_BMG_CCS"),
    (NVIDIA | 1, "NVIDIA_TEGRA_TILED"),
    (NVIDIA | 0x10, "NVIDIA_16BX2_BLOCK_ONE_GOB"),
    (NVIDIA | 0x11, "NVIDIA_16BX2_BLOCK_TWO_GOB"),
    (NVIDIA | 0x12, "NVIDIA_16BX2_BLOCK_FOUR_GOB"),
    (NVIDIA | 0x13, "NVIDIA_16BX2_BLOCK_EIGHT_GOB"),
    (NVIDIA | 0x14, "NVIDIA_16BX2_BLOCK_SIXTEEN_GOB"),
    (NVIDIA | 0x15, "NVIDIA_16BX2_BLOCK_THIRTYTWO_GOB"),
    (SAMSUNG | 1, "SAMSUNG_64_32_TILE"),
    (SAMSUNG | 2, "SAMSUNG_16_16_TILE"),
    (QCOM | 1, "QCOM_COMPRESSED"),
    (QCOM | 2, "QCOM_TILED2"),
    (QCOM | 3, "QCOM_TILED3"),
    (VIVANTE | 1, "VIVANTE_TILED"),
    (VIVANTE | 2, "VIVANTE_SUPER_TILED"),
    (VIVANTE | 3, "VIVANTE_SPLIT_TILED"),
    (VIVANTE | 4, "VIVANTE_SPLIT_SUPER_TILED"),
    (BROADCOM | 1, "BROADCOM_VC4_T_TILED"),
    (BROADCOM | 2, "BROADCOM_SAND32"),
    (BROADCOM | 3, "BROADCOM_SAND64"),
    (BROADCOM | 4, "BROADCOM_SAND128"),
    (BROADCOM | 5, "BROADCOM_SAND256"),
    (BROADCOM | 6, "BROADCOM_UIF"),
    (ARM | (1 << 52) | 1, "ARM_16X16_BLOCK_U_INTERLEAVED"),
    (ALLWINNER | 1, "ALLWINNER_TILED"),
    (MTK | 1, "MTK_16L_32S_TILE"),
    (APPLE | 1, "APPLE_GPU_TILED"),
    (APPLE | 2, "APPLE_GPU_TILED_COMPRESSED"),
    // Second names, read but not written.
    (SAMSUNG | 2, "GENERIC_16_16_TILE"),
    (0, "NONE"),
];

impl Modifier {
    /// Rows of pixels one after the other, without tiling or compression.
    pub const LINEAR: Modifier = Modifier(0);
    /// No explicit modifier: the driver knows the layout and does not say (implicit).
    pub const INVALID: Modifier = Modifier(0x00ff_ffff_ffff_ffff);

    /// Every modifier with a well-known name, the same perhaps twice.
    #[cfg(feature = "gbm")]
    pub(crate) fn named() -> impl Iterator<Item = Modifier> {
        NAMES.iter().map(|(value, _)| Modifier(*value))
    }

    /// The well-known name, if it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(value, _)| *value == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.pad(name);
        }
        match Family::of(self.0) {
            Some(family) => family.write(self.0, f),
            None => write!(f, "0x{:016x}", self.0),
        }
    }
}

impl fmt::Debug for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Modifier({self})")
    }
}

/// A text that is no modifier.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "'{0}' is not a modifier; write LINEAR, INVALID, a name of drm_fourcc.h like I915_X_TILED, one with parameters like ARM_AFBC(16x16,SPARSE), or 0x and hex digits"
)]
pub struct ParseModifierError(String);

impl FromStr for Modifier {
    type Err = ParseModifierError;

    fn from_str(text: &str) -> Result<Modifier, ParseModifierError> {
        let wrong = || ParseModifierError(text.to_owned());
        if let Some(hex) = text.strip_prefix("0x") {
            if hex.is_empty() || hex.len() > 16 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            return u64::from_str_radix(hex, 16).map(Modifier).map_err(|_| wrong());
        }
        let intel = text.strip_prefix("I915_FORMAT_MOD_");
        let short = text.strip_prefix("DRM_FORMAT_MOD_").unwrap_or(text);
        let known = NAMES.iter().find(|(_, name)| match intel {
            Some(rest) => name.strip_prefix("I915_") == Some(rest),
            None => *name == short,
        });
        known.map(|(value, _)| *value).or_else(|| Family::read(text)).map(Modifier).ok_or_else(wrong)
    }
}

impl From<DrmModifier> for Modifier {
    fn from(modifier: DrmModifier) -> Modifier {
        Modifier(u64::from(modifier))
    }
}

impl From<Modifier> for DrmModifier {
    fn from(modifier: Modifier) -> DrmModifier {
        DrmModifier::from(modifier.0)
    }
}

impl Serialize for Modifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Modifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Modifier, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Modifier;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a modifier's name or hex text, like \"LINEAR\" or \"0x0800000000000041\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Modifier, E> {
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
    fn every_name_reads_back_as_its_number_and_every_number_as_its_first_name() {
        for (value, name) in NAMES {
            assert_eq!(name.parse(), Ok(Modifier(value)), "{name}");
            assert_eq!(Modifier(value).to_string().parse(), Ok(Modifier(value)), "{name}");
        }
        assert_eq!(Modifier(0).to_string(), "LINEAR");
        assert_eq!(Modifier::INVALID.to_string(), "INVALID");
        assert_eq!(Modifier(SAMSUNG | 2).to_string(), "SAMSUNG_16_16_TILE");
    }

    #[test]
    fn hex_is_read_whatever_the_modifier_is_called() {
        assert_eq!("0x0800000000000041".parse(), "ARM_AFBC(16x16,SPARSE)".parse::<Modifier>());
        assert_eq!("0x0".parse(), Ok(Modifier::LINEAR));
        assert_eq!(Modifier(0x0f00_0000_0000_0041).to_string(), "0x0f00000000000041");
    }

    #[test]
    fn the_headers_long_names_are_read() {
        assert_eq!("I915_FORMAT_MOD_X_TILED".parse(), Ok(Modifier(INTEL | 1)));
        assert_eq!("DRM_FORMAT_MOD_LINEAR".parse(), Ok(Modifier::LINEAR));
    }

    #[test]
    fn what_is_no_modifier_is_refused() {
        for text in ["", "linear", "0x", "0xg", "0x10000000000000000", "0x+1", "7", "any"] {
            assert!(text.parse::<Modifier>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn numbers_agree_with_the_drm_crate() {
        for (ours, theirs) in [
            (Modifier::LINEAR, DrmModifier::Linear),
            (Modifier::INVALID, DrmModifier::Invalid),
            (Modifier(QCOM | 1), DrmModifier::Qcom_compressed),
            (Modifier(BROADCOM | 4), DrmModifier::Broadcom_sand128),
            (Modifier(NVIDIA | 0x15), DrmModifier::Nvidia_16bx2_block_thirtytwo_gob),
        ] {
            assert_eq!(Modifier::from(theirs), ours);
            assert_eq!(u64::from(DrmModifier::from(ours)), ours.0);
        }
    }
}
