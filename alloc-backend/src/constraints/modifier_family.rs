//! Modifiers with parameters, written as `FAMILY(part,part)`: AMD, NVIDIA block-linear, Vivante with tile status,
//! Broadcom SAND, Arm AFBC and AFRC, Amlogic FBC, MediaTek.
//!
//! A family is a table of bit fields. A modifier is written by it only if every one of its bits belongs to the
//! family, so that what is written always reads back as the same number; any other modifier is hex.

use std::fmt;

/// How the value of a field is written.
#[derive(Debug, Copy, Clone)]
enum Kind {
    /// The key alone where the bit is set.
    Flag,
    /// `key=7`.
    Number,
    /// `key=0x06`.
    Hex,
    /// A word of its own, without the key; `key=7` where the value has no word.
    Word(&'static [(u64, &'static str)]),
    /// `key=word`; `key=7` where the value has no word.
    Choice(&'static [(u64, &'static str)]),
}

/// Some bits of a modifier.
#[derive(Debug, Copy, Clone)]
struct Field {
    key: &'static str,
    shift: u32,
    bits: u32,
    kind: Kind,
}

impl Field {
    const fn max(&self) -> u64 {
        (1 << self.bits) - 1
    }

    const fn of(&self, value: u64) -> u64 {
        (value >> self.shift) & self.max()
    }

    /// The field set by one part of a text; `None` if the part is of another field.
    fn read(&self, part: &str) -> Option<u64> {
        let named = part.split_once('=').filter(|(key, _)| *key == self.key).map(|(_, value)| value);
        let word = |words: &[(u64, &str)], text: &str| {
            words.iter().find(|(_, word)| *word == text).map(|(value, _)| *value)
        };
        let value = match self.kind {
            Kind::Flag => (part == self.key).then_some(1)?,
            Kind::Number | Kind::Hex => number(named?)?,
            Kind::Word(words) => word(words, part).or_else(|| number(named?))?,
            Kind::Choice(words) => word(words, named?).or_else(|| number(named?))?,
        };
        (value <= self.max()).then_some(value)
    }

    fn write(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |words: &'static [(u64, &'static str)]| words.iter().find(|(of, _)| *of == value);
        match self.kind {
            Kind::Flag => f.write_str(self.key),
            Kind::Hex => write!(f, "{}=0x{value:02x}", self.key),
            Kind::Word(words) => match word(words) {
                Some((_, word)) => f.write_str(word),
                None => write!(f, "{}={value}", self.key),
            },
            Kind::Choice(words) => match word(words) {
                Some((_, word)) => write!(f, "{}={word}", self.key),
                None => write!(f, "{}={value}", self.key),
            },
            Kind::Number => write!(f, "{}={value}", self.key),
        }
    }
}

/// Digits, or `0x` and hex digits.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// Modifiers that differ in the values of some fields.
#[derive(Debug, Copy, Clone)]
pub(super) struct Family {
    /// What stands before the parenthesis.
    pub name: &'static str,
    /// The vendor, and the bits that are the same in the whole family.
    base: u64,
    fields: &'static [Field],
    /// Whether the first field must not be 0.
    needs_first: bool,
}

impl Family {
    fn fields_mask(&self) -> u64 {
        self.fields.iter().fold(0, |mask, field| mask | (field.max() << field.shift))
    }

    /// Whether every bit of a modifier is of this family, and it says more than the base alone.
    fn has(&self, modifier: u64) -> bool {
        let fields = self.fields_mask();
        let first = self.fields.first().is_some_and(|field| field.of(modifier) != 0);
        (modifier & !fields) == self.base && (modifier & fields) != 0 && (first || !self.needs_first)
    }

    /// The family of a modifier, if it is of one.
    pub fn of(modifier: u64) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.has(modifier))
    }

    /// Writes a modifier of this family.
    pub fn write(&self, modifier: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        let mut before = "(";
        for field in self.fields.iter().filter(|field| field.of(modifier) != 0) {
            f.write_str(before)?;
            field.write(field.of(modifier), f)?;
            before = ",";
        }
        f.write_str(")")
    }

    /// Reads what [`Family::write`] writes; parts may come in any order, each field once.
    pub fn read(text: &str) -> Option<u64> {
        let (name, parts) = text.strip_suffix(')')?.split_once('(')?;
        FAMILIES.iter().filter(|family| family.name == name).find_map(|family| family.read_parts(parts))
    }

    fn read_parts(&self, parts: &str) -> Option<u64> {
        let (mut modifier, mut set) = (self.base, 0);
        for part in parts.split(',').map(str::trim) {
            let (at, field, value) = self
                .fields
                .iter()
                .enumerate()
                .find_map(|(at, field)| field.read(part).map(|value| (at, field, value)))?;
            if set & (1_u64 << at) != 0 {
                return None;
            }
            set |= 1 << at;
            modifier |= value << field.shift;
        }
        self.has(modifier).then_some(modifier)
    }
}

const fn field(key: &'static str, shift: u32, bits: u32, kind: Kind) -> Field {
    Field { key, shift, bits, kind }
}

const fn flag(key: &'static str, shift: u32) -> Field {
    field(key, shift, 1, Kind::Flag)
}

const fn number_field(key: &'static str, shift: u32, bits: u32) -> Field {
    field(key, shift, bits, Kind::Number)
}

/// The fields after `TILE_VERSION` and `TILE`, the same for all generations.
const AMD_DCC: Field = flag("DCC", 13);
const AMD_RETILE: Field = flag("DCC_RETILE", 14);
const AMD_PIPE_ALIGN: Field = flag("DCC_PIPE_ALIGN", 15);
const AMD_64B: Field = flag("DCC_INDEPENDENT_64B", 16);
const AMD_128B: Field = flag("DCC_INDEPENDENT_128B", 17);
const AMD_BLOCK: Field =
    field("DCC_MAX_COMPRESSED_BLOCK", 18, 2, Kind::Choice(&[(0, "64B"), (1, "128B"), (2, "256B")]));
const AMD_ENCODE: Field = flag("DCC_CONSTANT_ENCODE", 20);
const AMD_PIPE_XOR: Field = number_field("PIPE_XOR_BITS", 21, 3);
const AMD_BANK_XOR: Field = number_field("BANK_XOR_BITS", 24, 3);
const AMD_PACKERS: Field = number_field("PACKERS", 27, 3);
const AMD_RB: Field = number_field("RB", 30, 3);
const AMD_PIPE: Field = number_field("PIPE", 33, 3);

const AMD_VERSIONS: Kind = Kind::Word(&[(1, "GFX9"), (2, "GFX10"), (3, "GFX10_RBPLUS"), (4, "GFX11")]);
const AMD_TILES: Kind = Kind::Word(&[
    (9, "64K_S"),
    (10, "64K_D"),
    (22, "4K_D_X"),
    (25, "64K_S_X"),
    (26, "64K_D_X"),
    (27, "64K_R_X"),
    (31, "256K_R_X"),
]);
const AMD_GFX12_TILES: Kind = Kind::Word(&[(1, "256B_2D"), (2, "4K_2D"), (3, "64K_2D"), (4, "256K_2D")]);

const VIVANTE: [Field; 2] = [
    field("TS", 48, 4, Kind::Word(&[(1, "TS_64_4"), (2, "TS_64_2"), (3, "TS_128_4"), (4, "TS_256_4")])),
    field("COMP", 52, 4, Kind::Word(&[(1, "COMP_DEC400")])),
];
const SAND: [Field; 1] = [number_field("COL_HEIGHT", 8, 48)];
const AFRC_UNIT: &[(u64, &str)] = &[(1, "16"), (2, "24"), (3, "32")];

const fn vivante(name: &'static str, tiling: u64) -> Family {
    Family { name, base: (0x06 << 56) | tiling, fields: &VIVANTE, needs_first: false }
}

const fn sand(name: &'static str, tiling: u64) -> Family {
    Family { name, base: (0x07 << 56) | tiling, fields: &SAND, needs_first: true }
}

/// Bits from `drm_fourcc.h` of Linux 7.3.
static FAMILIES: [Family; 15] = [
    // Generation 12 gives the numbers of the tilings another meaning; its version, 5, is fixed here.
    Family {
        name: "AMD_GFX12",
        base: (0x02 << 56) | 5,

        fields: &[
            field("TILE", 8, 5, AMD_GFX12_TILES),
            AMD_DCC,
            AMD_RETILE,
            AMD_PIPE_ALIGN,
            AMD_64B,
            AMD_128B,
            AMD_BLOCK,
            AMD_ENCODE,
            AMD_PIPE_XOR,
            AMD_BANK_XOR,
            AMD_PACKERS,
            AMD_RB,
            AMD_PIPE,
        ],
        needs_first: false,
    },
    Family {
        name: "AMD",
        base: 0x02 << 56,
        fields: &[
            field("TILE_VERSION", 0, 8, AMD_VERSIONS),
            field("TILE", 8, 5, AMD_TILES),
            AMD_DCC,
            AMD_RETILE,
            AMD_PIPE_ALIGN,
            AMD_64B,
            AMD_128B,
            AMD_BLOCK,
            AMD_ENCODE,
            AMD_PIPE_XOR,
            AMD_BANK_XOR,
            AMD_PACKERS,
            AMD_RB,
            AMD_PIPE,
        ],
        needs_first: true,
    },
    // The letters are those of DRM_FORMAT_MOD_NVIDIA_BLOCK_LINEAR_2D.
    Family {
        name: "NVIDIA_BLOCK_LINEAR_2D",
        base: (0x03 << 56) | 0x10,
        fields: &[
            number_field("c", 23, 3),
            number_field("s", 22, 1),
            number_field("g", 20, 2),
            field("k", 12, 8, Kind::Hex),
            number_field("h", 0, 4),
        ],
        needs_first: false,
    },
    vivante("VIVANTE_TILED", 1),
    vivante("VIVANTE_SUPER_TILED", 2),
    vivante("VIVANTE_SPLIT_TILED", 3),
    vivante("VIVANTE_SPLIT_SUPER_TILED", 4),
    sand("BROADCOM_SAND32", 2),
    sand("BROADCOM_SAND64", 3),
    sand("BROADCOM_SAND128", 4),
    sand("BROADCOM_SAND256", 5),
    Family {
        name: "ARM_AFBC",
        base: 0x08 << 56,
        fields: &[
            field(
                "BLOCK_SIZE",
                0,
                4,
                Kind::Word(&[(1, "16x16"), (2, "32x8"), (3, "64x4"), (4, "32x8_64x4")]),
            ),
            flag("YTR", 4),
            flag("SPLIT", 5),
            flag("SPARSE", 6),
            flag("CBR", 7),
            flag("TILED", 8),
            flag("SC", 9),
            flag("DB", 10),
            flag("BCH", 11),
            flag("USM", 12),
        ],
        needs_first: true,
    },
    Family {
        name: "ARM_AFRC",
        base: (0x08 << 56) | (2 << 52),
        fields: &[
            field("CU_SIZE_P0", 0, 4, Kind::Choice(AFRC_UNIT)),
            field("CU_SIZE_P12", 4, 4, Kind::Choice(AFRC_UNIT)),
            flag("LAYOUT_SCAN", 8),
        ],
        needs_first: true,
    },
    Family {
        name: "AMLOGIC_FBC",
        base: 0x0a << 56,
        fields: &[field("LAYOUT", 0, 8, Kind::Word(&[(1, "BASIC"), (2, "SCATTER")])), flag("MEM_SAVING", 8)],
        needs_first: true,
    },
    Family {
        name: "MTK",
        base: 0x0b << 56,
        fields: &[
            field("TILE", 0, 4, Kind::Word(&[(1, "TILE_16L32S")])),
            field("COMPRESS", 8, 4, Kind::Word(&[(1, "COMPRESS_V1")])),
            field("10BIT_LAYOUT", 16, 4, Kind::Word(&[(1, "10BIT_LSBTILED"), (2, "10BIT_LSBRASTER")])),
        ],
        needs_first: false,
    },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Modifier;
    use super::*;

    #[test]
    fn fields_do_not_overlap_nor_reach_into_the_base_and_words_are_unique() {
        for family in &FAMILIES {
            let mut taken = family.base | (0xff << 56);
            let mut words = Vec::new();
            for field in family.fields {
                let bits = field.max() << field.shift;
                assert_eq!(taken & bits, 0, "{} {}", family.name, field.key);
                taken |= bits;
                words.push(field.key);
                if let Kind::Word(list) = field.kind {
                    words.extend(list.iter().map(|(_, word)| *word));
                }
            }
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count, "{}", family.name);
        }
    }

    /// The numbers are what the macros of `drm_fourcc.h` give: compiled with libdrm 2.4.114's, and for what that lacks
    /// (GFX12, MTK, Vivante's tile status) worked out by hand from the kernel's.
    #[test]
    fn numbers_are_those_of_the_kernels_macros() {
        for (number, text) in [
            (0x0200_0000_0000_0901, "AMD(GFX9,64K_S)"),
            (0x0200_0000_0000_0a01, "AMD(GFX9,64K_D)"),
            (0x0200_0000_0040_1b02, "AMD(GFX10,64K_R_X,PIPE_XOR_BITS=2)"),
            (
                0x0200_0000_1866_bb03,
                "AMD(GFX10_RBPLUS,64K_R_X,DCC,DCC_PIPE_ALIGN,DCC_INDEPENDENT_128B,DCC_MAX_COMPRESSED_BLOCK=128B,PIPE_XOR_BITS=3,PACKERS=3)",
            ),
            (0x0200_0000_0000_0305, "AMD_GFX12(64K_2D)"),
            (0x0300_0000_0060_6014, "NVIDIA_BLOCK_LINEAR_2D(s=1,g=2,k=0x06,h=4)"),
            (0x0300_0000_004f_e015, "NVIDIA_BLOCK_LINEAR_2D(s=1,k=0xfe,h=5)"),
            (0x0300_0000_0000_0015, "NVIDIA_16BX2_BLOCK_THIRTYTWO_GOB"),
            (0x0614_0000_0000_0002, "VIVANTE_SUPER_TILED(TS_256_4,COMP_DEC400)"),
            (0x0700_0000_0004_4004, "BROADCOM_SAND128(COL_HEIGHT=1088)"),
            (0x0700_0000_0000_0004, "BROADCOM_SAND128"),
            (0x0800_0000_0000_0041, "ARM_AFBC(16x16,SPARSE)"),
            (0x0800_0000_0000_0352, "ARM_AFBC(32x8,YTR,SPARSE,TILED,SC)"),
            (0x0820_0000_0000_0121, "ARM_AFRC(CU_SIZE_P0=16,CU_SIZE_P12=24,LAYOUT_SCAN)"),
            (0x0810_0000_0000_0001, "ARM_16X16_BLOCK_U_INTERLEAVED"),
            (0x0a00_0000_0000_0101, "AMLOGIC_FBC(BASIC,MEM_SAVING)"),
            (0x0a00_0000_0000_0002, "AMLOGIC_FBC(SCATTER)"),
            (0x0b00_0000_0002_0101, "MTK(TILE_16L32S,COMPRESS_V1,10BIT_LSBRASTER)"),
            (0x0b00_0000_0000_0001, "MTK_16L_32S_TILE"),
        ] {
            assert_eq!(Modifier(number).to_string(), text, "{number:#018x}");
            assert_eq!(text.parse(), Ok(Modifier(number)), "{text}");
        }
    }

    #[test]
    fn parts_are_read_in_any_order_but_each_once_and_within_its_bits() {
        assert_eq!(Family::read("ARM_AFBC(SPARSE, 16x16)"), Some(0x0800_0000_0000_0041));
        assert_eq!(Family::read("AMD(TILE_VERSION=1,TILE=9)"), Some(0x0200_0000_0000_0901));
        for text in [
            "ARM_AFBC()",
            "ARM_AFBC(SPARSE)",
            "ARM_AFBC(16x16,16x16)",
            "ARM_AFBC(16x16,32x8)",
            "ARM_AFBC(16x16,SPARSE",
            "ARM_AFBC(16x16,)",
            "ARM_AFBC(16x16,FAST)",
            "ARM_AFBC(BLOCK_SIZE=16)",
            "NVIDIA_BLOCK_LINEAR_2D(h=16)",
            "NVIDIA_BLOCK_LINEAR_2D(k=0x100)",
            "NVIDIA_BLOCK_LINEAR_2D(h=+1)",
            "BROADCOM_SAND128(COL_HEIGHT=0)",
            "BROADCOM_SAND128(COL_HEIGHT=99999999999999999999)",
            "BROADCOM_UIF(COL_HEIGHT=1)",
            "AMD(64K_S)",
            "(16x16)",
            "()",
        ] {
            assert_eq!(Family::read(text), None, "{text}");
        }
    }

    #[test]
    fn bits_of_no_field_make_it_hex() {
        for number in
            [0x0800_0000_0000_2041, 0x0830_0000_0000_0001, 0x0200_0010_0000_0901, 0x0300_0000_0000_0030]
        {
            assert_eq!(Modifier(number).to_string(), format!("0x{number:016x}"));
        }
    }

    fn member() -> impl Strategy<Value = u64> {
        (0..FAMILIES.len(), any::<u64>()).prop_map(|(at, bits)| {
            let family = &FAMILIES[at];
            family.base | (bits & family.fields_mask())
        })
    }

    proptest! {
        #[test]
        fn every_modifier_reads_back_as_the_same_number(number in prop_oneof![
            member(), any::<u64>(), (0_u64..14, 0_u64..0x4000).prop_map(|(vendor, low)| (vendor << 56) | low)
        ]) {
            prop_assert_eq!(Modifier(number).to_string().parse(), Ok(Modifier(number)));
        }

        #[test]
        fn reading_never_panics(text in "[A-Z0-9_]{0,12}\\(?[A-Zx0-9=,_]{0,24}\\)?") {
            if let Ok(modifier) = text.parse::<Modifier>() {
                prop_assert_eq!(modifier.to_string().parse(), Ok(modifier));
            }
        }
    }
}
