//! The constraints of several participants merged into one set, field by field, by the rules of the
//! vocabulary.
//!
//! Merging only ever narrows: what one set refuses, every set merged from it refuses. The search prunes by
//! that.

use crate::constraints::divisor::lcm;
use crate::constraints::{ChromaPitch, Counts, CpuAccess, ExactPitch, LayoutLimits, MemoryLimits, Sync};

/// The field in which constraints contradict each other.
pub(super) type Clash = &'static str;

/// Merged constraints, with neutral elements where nobody states a field.
#[derive(Debug, Copy, Clone)]
pub(super) struct Merged {
    pub min_pitch: u64,
    pub max_pitch: u64,
    pub pitch_align: u64,
    pub pitch_at_pixel_boundary: bool,
    pub exact_pitch: Option<u64>,
    pub packed_pitch: bool,
    pub chroma_pitch: Option<ChromaPitch>,
    pub plane_offset_align: u64,
    pub alloc_height_align: u64,
    pub exact_rows: Option<u64>,
    pub pad_beyond_image: u64,
    pub size_align: u64,
    pub max_size_bytes: u64,
    pub base_align: u64,
    pub max_segments: u64,
    pub max_segment_size: u64,
    /// Somebody who limits segments sees every page of scattered memory, because no IOMMU stands before its
    /// device.
    pub sees_pages: bool,
    pub p2p_forbidden: bool,
    pub cpu_access: CpuAccess,
    sync: u8,
    /// Sum of `camping` and `dedicated_slack`.
    held: u64,
    shared_slack: u64,
    min_count: u64,
    pub max_count: u64,
}

impl Merged {
    /// The constraints of nobody, for at least `count` buffers.
    pub fn nothing(count: u32) -> Merged {
        Merged {
            min_pitch: 0,
            max_pitch: u64::MAX,
            pitch_align: 1,
            pitch_at_pixel_boundary: false,
            exact_pitch: None,
            packed_pitch: false,
            chroma_pitch: None,
            plane_offset_align: 1,
            alloc_height_align: 1,
            exact_rows: None,
            pad_beyond_image: 0,
            size_align: 1,
            max_size_bytes: u64::MAX,
            base_align: 1,
            max_segments: u64::MAX,
            max_segment_size: u64::MAX,
            sees_pages: false,
            p2p_forbidden: false,
            cpu_access: CpuAccess::default(),
            sync: u8::MAX,
            held: 0,
            shared_slack: 0,
            min_count: u64::from(count),
            max_count: u64::MAX,
        }
    }

    /// Adds the layout limits of an option or a participant. Size limits are not merged: the picture's size
    /// is given, so each party can be asked alone (see [`refuses_size`]).
    pub fn add_layout(&mut self, limits: &LayoutLimits) -> Result<(), Clash> {
        let align = |to: &mut u64, by: Option<u64>, field| match by {
            None => Ok(()),
            Some(by) => lcm(*to, by).map(|merged| *to = merged).ok_or(field),
        };
        align(&mut self.pitch_align, limits.pitch_align, "pitch_align")?;
        align(&mut self.plane_offset_align, limits.plane_offset_align, "plane_offset_align")?;
        align(&mut self.alloc_height_align, limits.alloc_height_align, "alloc_height_align")?;
        align(&mut self.size_align, limits.size_align, "size_align")?;
        align(&mut self.base_align, limits.base_align, "base_align")?;
        self.min_pitch = self.min_pitch.max(limits.min_pitch.unwrap_or(0));
        self.max_pitch = self.max_pitch.min(limits.max_pitch.unwrap_or(u64::MAX));
        self.pitch_at_pixel_boundary |= limits.pitch_at_pixel_boundary;
        let exact = match limits.exact_pitch {
            Some(ExactPitch::Bytes(bytes)) => Some(bytes),
            Some(ExactPitch::Packed) | None => None,
        };
        self.packed_pitch |= limits.exact_pitch == Some(ExactPitch::Packed);
        equal(&mut self.exact_pitch, exact, "exact_pitch")?;
        equal(&mut self.chroma_pitch, limits.chroma_pitch, "chroma_pitch")?;
        equal(&mut self.exact_rows, limits.exact_rows, "exact_rows")?;
        self.pad_beyond_image = self.pad_beyond_image.max(limits.pad_beyond_image.unwrap_or(0));
        self.max_size_bytes = self.max_size_bytes.min(limits.max_size_bytes.unwrap_or(u64::MAX));
        if self.min_pitch > self.max_pitch || self.exact_pitch.is_some_and(|exact| exact > self.max_pitch) {
            return Err("max_pitch");
        }
        Ok(())
    }

    /// Adds the memory limits of a participant that hold for a set of participants together; those that each
    /// can be asked alone are not merged (see [`super::heap`]).
    pub fn add_memory(&mut self, memory: &MemoryLimits, behind_iommu: bool) {
        if memory.max_segments.is_some() || memory.max_segment_size.is_some() {
            self.max_segments = self.max_segments.min(memory.max_segments.unwrap_or(u64::MAX));
            self.max_segment_size = self.max_segment_size.min(memory.max_segment_size.unwrap_or(u64::MAX));
            self.sees_pages |= !behind_iommu;
        }
        self.p2p_forbidden |= memory.p2p_ok == Some(false);
        self.cpu_access.read = self.cpu_access.read.max(memory.cpu_access.read);
        self.cpu_access.write = self.cpu_access.write.max(memory.cpu_access.write);
    }

    /// Adds the kinds of synchronisation a participant can do.
    pub fn add_sync(&mut self, sync: Option<&[Sync]>) -> Result<(), Clash> {
        if let Some(kinds) = sync {
            self.sync &= kinds.iter().fold(0, |bits, kind| bits | (1 << *kind as u8));
            if self.sync == 0 {
                return Err("sync");
            }
        }
        Ok(())
    }

    /// Adds the buffers a participant needs.
    pub fn add_counts(&mut self, counts: &Counts) -> Result<(), Clash> {
        if *counts == Counts::default() {
            return Ok(());
        }
        let buffers = |count: Option<u32>| u64::from(count.unwrap_or(0));
        // Sums of 32-bit numbers; 2^32 participants do not fit in memory.
        self.held = self.held.saturating_add(buffers(counts.camping) + buffers(counts.dedicated_slack));
        self.shared_slack = self.shared_slack.max(buffers(counts.shared_slack));
        self.min_count = self.min_count.max(buffers(counts.min_count));
        self.max_count = self.max_count.min(counts.max_count.map_or(u64::MAX, u64::from));
        if self.count() > self.max_count { Err("max_count") } else { Ok(()) }
    }

    /// Buffers needed by all together.
    pub fn count(&self) -> u64 {
        self.min_count.max(self.held.saturating_add(self.shared_slack))
    }
}

/// Merges a field that must be the same wherever it is stated.
fn equal<T: Copy + PartialEq>(to: &mut Option<T>, by: Option<T>, field: Clash) -> Result<(), Clash> {
    match (*to, by) {
        (Some(one), Some(other)) if one != other => return Err(field),
        (None, stated) => *to = stated,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_merge_by_their_rules() {
        let mut merged = Merged::nothing(1);
        merged
            .add_layout(&LayoutLimits {
                min_pitch: Some(10),
                max_pitch: Some(1000),
                pitch_align: Some(4),
                pad_beyond_image: Some(7),
                size_align: Some(6),
                ..Default::default()
            })
            .unwrap();
        merged
            .add_layout(&LayoutLimits {
                min_pitch: Some(20),
                max_pitch: Some(900),
                pitch_align: Some(6),
                pad_beyond_image: Some(5),
                size_align: Some(4),
                max_size_bytes: Some(99),
                ..Default::default()
            })
            .unwrap();
        assert_eq!((merged.min_pitch, merged.max_pitch, merged.pitch_align), (20, 900, 12));
        assert_eq!((merged.pad_beyond_image, merged.size_align, merged.max_size_bytes), (7, 12, 99));
    }

    #[test]
    fn contradictions_name_their_field() {
        let big =
            LayoutLimits { pitch_align: Some(u64::MAX), size_align: Some(u64::MAX), ..Default::default() };
        let limits = |f: fn(&mut LayoutLimits)| {
            let mut limits = LayoutLimits::default();
            f(&mut limits);
            limits
        };
        for (first, second, clash) in [
            (big, limits(|l| l.pitch_align = Some(2)), "pitch_align"),
            (big, limits(|l| l.size_align = Some(2)), "size_align"),
            (limits(|l| l.min_pitch = Some(2)), limits(|l| l.max_pitch = Some(1)), "max_pitch"),
            (
                limits(|l| l.exact_pitch = Some(ExactPitch::Bytes(2))),
                limits(|l| l.exact_pitch = Some(ExactPitch::Bytes(1))),
                "exact_pitch",
            ),
            (limits(|l| l.exact_rows = Some(2)), limits(|l| l.exact_rows = Some(1)), "exact_rows"),
            (
                limits(|l| l.chroma_pitch = Some(ChromaPitch::Half)),
                limits(|l| l.chroma_pitch = Some(ChromaPitch::Equal)),
                "chroma_pitch",
            ),
        ] {
            let mut merged = Merged::nothing(1);
            merged.add_layout(&first).unwrap();
            assert_eq!(merged.add_layout(&second), Err(clash));
        }
    }

    #[test]
    fn counts_add_up() {
        let mut merged = Merged::nothing(2);
        let counts = |camping, dedicated, shared, min, max| Counts {
            camping: Some(camping),
            dedicated_slack: Some(dedicated),
            shared_slack: Some(shared),
            min_count: Some(min),
            max_count: max,
        };
        assert_eq!(merged.count(), 2);
        merged.add_counts(&counts(2, 1, 1, 1, None)).unwrap();
        merged.add_counts(&counts(1, 0, 2, 5, None)).unwrap();
        assert_eq!(merged.count(), 2 + 1 + 1 + 2);
        assert_eq!(merged.add_counts(&counts(0, 0, 0, 7, Some(6))), Err("max_count"));
        let mut many = Merged::nothing(1);
        for _ in 0..3 {
            many.add_counts(&counts(u32::MAX, u32::MAX, u32::MAX, 0, None)).unwrap();
        }
        assert_eq!(many.count(), 7 * u64::from(u32::MAX));
    }

    #[test]
    fn synchronisation_is_an_intersection() {
        let mut merged = Merged::nothing(1);
        merged.add_sync(None).unwrap();
        merged.add_sync(Some(&[Sync::Implicit, Sync::Explicit])).unwrap();
        merged.add_sync(Some(&[Sync::Explicit])).unwrap();
        assert_eq!(merged.add_sync(Some(&[Sync::Implicit])), Err("sync"));
        assert_eq!(Merged::nothing(1).add_sync(Some(&[])), Err("sync"));
    }
}
