//! One rule, and what it does to options and links.

use serde::{Deserialize, Serialize};

use super::KernelRange;
use crate::constraints::divisor::lcm;
use crate::constraints::layout::{unstated, with_layout_limits};
use crate::constraints::{ChromaPitch, ExactPitch, Fourcc, LayoutLimits, Modifier, Size};
use crate::solver::problem::{HeapFacts, Match, Verdict};

/// One rule of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "RuleWire", into = "RuleWire")]
pub struct Rule {
    /// What other tables and messages call it; unique in a table.
    pub id: String,
    /// The drivers that it holds for, as the kernel names them.
    pub drivers: Vec<String>,
    /// The kernels that it holds for; without it, all.
    pub kernel: KernelRange,
    /// The formats that it holds for; without it, all.
    pub formats: Option<Vec<Fourcc>>,
    /// The modifiers that it holds for; without it, all.
    pub modifiers: Option<Vec<Modifier>>,
    /// Whether these pairs must not be used at all: the driver takes them and shows something else.
    pub refuses: bool,
    /// What holds for the memory of its buffers.
    pub memory: Option<MemoryRule>,
    /// Which heaps it can or cannot use.
    pub link: Option<LinkRule>,
    /// How its planes lie above each other, where it has no property `zpos` that says so.
    pub stacking: Option<Stacking>,
    /// Where that is written: a file of the kernel with its line, or an address.
    pub source: String,
    /// Why, in a sentence.
    pub why: String,
    /// In a user's table: takes the rule of this id out of ours.
    pub disable: bool,
    /// What holds for the layout of its buffers.
    pub limits: LayoutLimits,
}

with_layout_limits! { Rule as RuleWire {
    id: String,
    #[serde(default, skip_serializing_if = "unstated")]
    drivers: Vec<String>,
    #[serde(default, skip_serializing_if = "unstated")]
    kernel: KernelRange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    formats: Option<Vec<Fourcc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modifiers: Option<Vec<Modifier>>,
    #[serde(default, skip_serializing_if = "unstated")]
    refuses: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<LinkRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stacking: Option<Stacking>,
    #[serde(default, skip_serializing_if = "unstated")]
    source: String,
    #[serde(default, skip_serializing_if = "unstated")]
    why: String,
    #[serde(default, skip_serializing_if = "unstated")]
    disable: bool,
} }

/// How planes lie above each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stacking {
    /// One with a higher object id above one with a lower.
    ById,
}

/// What a driver's device needs of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryRule {
    /// Contiguous, unless it is behind an IOMMU.
    #[serde(skip_serializing_if = "unstated")]
    pub contiguous: bool,
    /// Bits of address that it can reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dma_mask_bits: Option<u32>,
}

/// Heaps that a driver's device can or cannot use, described by what is known of them and never by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRule {
    /// Accepts or refuses.
    pub verdict: Verdict,
    /// Only heaps that are, or are not, contiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contiguous: Option<bool>,
    /// Only heaps whose memory the CPU caches, or does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<bool>,
    /// Only heaps of protected memory, or of other memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
}

impl LinkRule {
    /// Whether it speaks of a heap.
    pub(super) fn is_about(&self, heap: &HeapFacts) -> bool {
        let is = |wanted: Option<bool>, fact: bool| wanted.is_none_or(|wanted| wanted == fact);
        is(self.contiguous, heap.contiguous)
            && is(self.cached, heap.cached)
            && is(self.protected, heap.protected)
    }
}

impl Rule {
    /// Whether it says anything of layouts.
    pub(super) fn has_limits(&self) -> bool {
        self.limits != LayoutLimits::NONE
    }

    /// Whether an option may be a pair that it speaks of: an option that leaves something open may.
    pub(super) fn is_about(&self, format: Match<Fourcc>, modifier: Match<Modifier>) -> bool {
        fn meets<T: Copy + PartialEq>(list: Option<&Vec<T>>, asked: Match<T>) -> bool {
            list.is_none_or(|list| list.iter().any(|one| asked.allows(*one)))
        }
        meets(self.formats.as_ref(), format) && meets(self.modifiers.as_ref(), modifier)
    }
}

/// Merges limits into others, by the rules of the vocabulary; the result allows nothing that one of them refused, but for
/// alignments whose common multiple does not fit in 64 bits: there the larger one stays.
pub(super) fn tighten(limits: &mut LayoutLimits, with: &LayoutLimits) {
    fn merge<T: Copy>(into: &mut Option<T>, with: Option<T>, rule: impl Fn(T, T) -> T) {
        *into = match (*into, with) {
            (Some(a), Some(b)) => Some(rule(a, b)),
            (a, b) => a.or(b),
        };
    }
    let both = |a: u64, b: u64| lcm(a, b).unwrap_or(a.max(b));
    merge(&mut limits.min_size, with.min_size, |a, b| {
        Size::new(a.width.max(b.width), a.height.max(b.height))
    });
    merge(&mut limits.max_size, with.max_size, |a, b| {
        Size::new(a.width.min(b.width), a.height.min(b.height))
    });
    merge(&mut limits.max_area, with.max_area, u64::min);
    merge(&mut limits.width_align, with.width_align, both);
    merge(&mut limits.height_align, with.height_align, both);
    merge(&mut limits.min_pitch, with.min_pitch, u64::max);
    merge(&mut limits.max_pitch, with.max_pitch, u64::min);
    merge(&mut limits.pitch_align, with.pitch_align, both);
    limits.pitch_at_pixel_boundary |= with.pitch_at_pixel_boundary;
    // Two that differ cannot both hold; the packed one is right for more than one width.
    merge(&mut limits.exact_pitch, with.exact_pitch, |a, b| if b == ExactPitch::Packed { b } else { a });
    merge(&mut limits.chroma_pitch, with.chroma_pitch, |_, b| b);
    merge(&mut limits.plane_offset_align, with.plane_offset_align, both);
    merge(&mut limits.alloc_height_align, with.alloc_height_align, both);
    merge(&mut limits.exact_rows, with.exact_rows, |_, b| b);
    merge(&mut limits.pad_beyond_image, with.pad_beyond_image, u64::max);
    merge(&mut limits.size_align, with.size_align, both);
    merge(&mut limits.max_size_bytes, with.max_size_bytes, u64::min);
    limits.single_allocation |= with.single_allocation;
    merge(&mut limits.base_align, with.base_align, both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_only_ever_become_tighter() {
        let mut limits = LayoutLimits {
            pitch_align: Some(48),
            max_pitch: Some(9000),
            min_pitch: Some(10),
            max_size: Some(Size::new(4096, 100)),
            ..LayoutLimits::NONE
        };
        tighten(
            &mut limits,
            &LayoutLimits {
                pitch_align: Some(64),
                max_pitch: Some(8192),
                min_pitch: Some(5),
                max_size: Some(Size::new(2048, 2048)),
                single_allocation: true,
                ..LayoutLimits::NONE
            },
        );
        let wanted = LayoutLimits {
            pitch_align: Some(192),
            max_pitch: Some(8192),
            min_pitch: Some(10),
            max_size: Some(Size::new(2048, 100)),
            single_allocation: true,
            ..LayoutLimits::NONE
        };
        assert_eq!(limits, wanted);
        tighten(&mut limits, &LayoutLimits::NONE);
        assert_eq!(limits, wanted);
    }

    #[test]
    fn an_option_that_leaves_something_open_may_be_meant() {
        let rule = Rule {
            formats: Some(vec![Fourcc::NV12]),
            modifiers: Some(vec![Modifier::LINEAR]),
            ..Rule::default()
        };
        for (format, modifier, meant) in [
            (Match::Is(Fourcc::NV12), Match::Is(Modifier::LINEAR), true),
            (Match::Any, Match::Is(Modifier::LINEAR), true),
            (Match::Is(Fourcc::NV12), Match::Any, true),
            (Match::Is(Fourcc::XRGB8888), Match::Any, false),
            (Match::Is(Fourcc::NV12), Match::Is(Modifier::INVALID), false),
        ] {
            assert_eq!(rule.is_about(format, modifier), meant, "{format} {modifier}");
        }
        assert!(Rule::default().is_about(Match::Is(Fourcc::NV12), Match::Is(Modifier::INVALID)));
    }
}
