//! A layout put into a heap: what the two ask of each other, and what it costs.

use super::heap::Heap;
use super::layout::Layout;
use super::merge::{Clash, Merged};
use super::prepare::{Part, Prepared};
use super::problem::{Coherency, CpuAccess, Evidence, Frequency};
use crate::constraints::divisor::{lcm, round_up};

/// Who forbids something.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub(super) enum Blame {
    /// The participants together, in this field.
    Merged(Clash),
    /// The heap.
    Heap(Clash),
    /// Its pool.
    Pool,
    /// The problem's own size or count: the result does not fit in 64 bits.
    Problem(Clash),
}

/// A layout in a heap.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub(super) struct Placed {
    /// Bytes of one buffer.
    pub bytes: u64,
    /// Buffers.
    pub count: u64,
}

/// What a place costs. See [`super::answer::Cost`].
#[derive(Debug, Copy, Clone, Default, Eq, PartialEq)]
pub(super) struct PlaceCost {
    /// Participants for whom the buffer must move between devices each frame.
    pub migrations: u64,
    pub pressure: u64,
    pub cpu: u64,
    /// Devices of which nobody knows whether they can use the heap.
    pub unknown: u64,
    pub padding: u64,
    /// Sum of the strengths of what is known: settles ties in favour of the stronger evidence.
    pub grade: u64,
}

/// Rounds one buffer to the heap's pages and holds it, and all buffers, against every limit.
pub(super) fn place(merged: &Merged, layout: &Layout, heap: &Heap<'_>) -> Result<Placed, Blame> {
    let facts = heap.facts;
    let unit = lcm(merged.size_align, facts.page_size).ok_or(Blame::Merged("size_align"))?;
    let bytes = round_up(layout.bytes, unit).ok_or(Blame::Merged("size_align"))?;
    if bytes > merged.max_size_bytes {
        return Err(Blame::Merged("max_size_bytes"));
    }
    if facts.page_size % merged.base_align != 0 {
        return Err(Blame::Merged("base_align"));
    }
    // Scattered memory comes page by page in the worst case, for those who see physical addresses.
    let scattered = merged.sees_pages && !facts.contiguous;
    let piece =
        if scattered { merged.max_segment_size.min(facts.page_size) } else { merged.max_segment_size };
    if merged.max_segments < u64::MAX && bytes.div_ceil(piece.max(1)) > merged.max_segments {
        return Err(Blame::Merged("max_segments"));
    }
    if facts.max_bytes.is_some_and(|max| bytes > max) {
        return Err(Blame::Heap("max_bytes"));
    }
    let count = merged.count();
    let all = bytes.checked_mul(count).ok_or(Blame::Problem("count"))?;
    if heap.budget.is_some_and(|budget| all > budget) {
        return Err(Blame::Pool);
    }
    Ok(Placed { bytes, count })
}

/// What the place costs the satisfied participants; `Err` if one would have to reach into a device that lets
/// nobody in. `seen` has one entry per device and is used to count each once; `round` must be new.
pub(super) fn place_cost<'p, 'a: 'p>(
    prepared: &Prepared<'a>,
    merged: &Merged,
    layout: &Layout,
    (at, heap): (usize, &Heap<'a>),
    placed: Placed,
    satisfied: impl Iterator<Item = &'p Part<'a>>,
    seen: &mut Seen,
) -> Result<PlaceCost, Blame> {
    let mut cost = PlaceCost {
        cpu: cpu_cost(merged.cpu_access, heap.coherency()),
        // Not negative: rounding only adds.
        padding: placed.bytes.saturating_sub(layout.picture_bytes),
        ..PlaceCost::default()
    };
    if let Some(budget) = heap.budget {
        let all = u128::from(placed.bytes) * u128::from(placed.count) * 1000;
        cost.pressure = u64::try_from(all / u128::from(budget.max(1))).unwrap_or(u64::MAX);
    }
    seen.begin();
    for part in satisfied {
        if heap.is_foreign_to(part.spec) {
            if merged.p2p_forbidden {
                return Err(Blame::Merged("p2p_ok"));
            }
            cost.migrations += u64::from(part.spec.memory.p2p_ok.is_none());
        }
        if part.device == 0 || !seen.first(part.device) {
            continue;
        }
        let mut known = prepared.link(part, at).acceptance(placed.bytes);
        if known == Evidence::Unknown && part.behind_iommu {
            // The IOMMU is a declared fact: it takes any page the kernel has.
            known = Evidence::Declared;
        }
        cost.unknown += u64::from(known == Evidence::Unknown);
        cost.grade += known as u64;
    }
    Ok(cost)
}

/// What the CPU's access costs. Through caches: their upkeep, about the same either way. Past them: writes
/// are combined and cheap, reads are an order of magnitude slower than anything else here.
fn cpu_cost(access: CpuAccess, coherency: Coherency) -> u64 {
    let (read, write) = match coherency {
        Coherency::Cached => ([0, 1, 2], [0, 1, 2]),
        Coherency::Uncached | Coherency::Inaccessible => ([0, 8, 64], [0, 1, 4]),
    };
    let of = |[none, rare, often]: [u64; 3], frequency| match frequency {
        Frequency::None => none,
        Frequency::Rare => rare,
        Frequency::Often => often,
    };
    of(read, access.read) + of(write, access.write)
}

/// Which devices were counted in this round.
#[derive(Debug)]
pub(super) struct Seen {
    round: u64,
    devices: Vec<u64>,
}

impl Seen {
    pub fn new(devices: usize) -> Seen {
        Seen { round: 0, devices: vec![0; devices] }
    }

    fn begin(&mut self) {
        self.round += 1;
    }

    /// Whether the device was not seen in this round yet.
    fn first(&mut self, device: usize) -> bool {
        self.devices.get_mut(device).is_some_and(|seen| std::mem::replace(seen, self.round) != self.round)
    }
}
