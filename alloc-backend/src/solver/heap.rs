//! One heap asked by one participant: constraints that need no third party, so that they are asked once,
//! before the search.

use super::link::Settled;
use super::merge::Clash;
use super::problem::{Coherency, HeapFacts, Participant};

/// The physical address bits taken for granted of a contiguous heap that does not say: the kernel places its
/// contiguous area below the limit of the DMA zone, which is 32 bits unless the board is stricter (then its
/// heaps must say so).
const CONTIGUOUS_ADDRESS_BITS: u32 = 32;

/// A heap of the problem, with what follows from the other heaps.
#[derive(Debug, Copy, Clone)]
pub(super) struct Heap<'a> {
    pub facts: &'a HeapFacts,
    /// Bytes to be had from its pool; `None` for an elastic pool.
    pub budget: Option<u64>,
}

impl Heap<'_> {
    /// Bits of the highest address, as far as they can be known.
    fn address_bits(&self) -> Option<u32> {
        self.facts.address_bits.or(self.facts.contiguous.then_some(CONTIGUOUS_ADDRESS_BITS))
    }

    /// How the CPU reaches it.
    pub fn coherency(&self) -> Coherency {
        if self.facts.protected {
            Coherency::Inaccessible
        } else if self.facts.cached {
            Coherency::Cached
        } else {
            Coherency::Uncached
        }
    }

    /// Whether the participant's device would have to reach into another device's memory.
    pub fn is_foreign_to(&self, participant: &Participant) -> bool {
        match (&self.facts.device, &participant.device) {
            (Some(owner), Some(device)) => owner != device,
            _ => false,
        }
    }
}

/// The pools of a problem: which heaps share one, and what it can give.
#[derive(Debug)]
pub(super) struct Pools<'a>(Vec<(&'a str, Option<u64>, Option<u64>)>);

impl<'a> Pools<'a> {
    pub fn of(heaps: &'a [HeapFacts]) -> Pools<'a> {
        let mut pools: Vec<_> = heaps.iter().map(|heap| (heap.pool(), heap.free, heap.capacity)).collect();
        pools.sort_unstable();
        let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        pools.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = least(kept.1, next.1);
                kept.2 = least(kept.2, next.2);
            }
            same
        });
        Pools(pools)
    }

    /// Bytes to be had from a pool: the least `free` any of its heaps states, else the least `capacity`.
    pub fn budget(&self, pool: &str) -> Option<u64> {
        let at = self.0.binary_search_by_key(&pool, |(name, _, _)| name).ok()?;
        self.0.get(at).and_then(|(_, free, capacity)| free.or(*capacity))
    }
}

/// The pools a participant permits, sorted; `None` if it permits all. `by_id` are the heaps' places, sorted
/// by id.
pub(super) fn permitted_pools<'a>(
    participant: &Participant,
    by_id: &[(&str, usize)],
    heaps: &[Heap<'a>],
) -> Option<Vec<&'a str>> {
    let ids = participant.memory.permitted_heaps.as_ref()?;
    let pool = |id: &String| {
        let at = by_id.binary_search_by_key(&id.as_str(), |(id, _)| id).ok()?;
        heaps.get(by_id.get(at)?.1).map(|heap| heap.facts.pool())
    };
    let mut pools: Vec<&str> = ids.iter().filter_map(pool).collect();
    pools.sort_unstable();
    Some(pools)
}

/// The first field of a participant that forbids a heap, whatever the others want.
pub(super) fn refuses_heap(
    participant: &Participant,
    behind_iommu: bool,
    permitted: Option<&[&str]>,
    heap: &Heap<'_>,
    link: &Settled,
) -> Option<Clash> {
    let (memory, facts) = (&participant.memory, heap.facts);
    let touches = memory.cpu_access.any();
    if memory.contiguous && !facts.contiguous && !behind_iommu {
        Some("contiguous")
    } else if memory.dma_mask_bits.is_some_and(|mask| heap.address_bits().is_none_or(|bits| bits > mask))
        && !behind_iommu
    {
        Some("dma_mask_bits")
    } else if permitted.is_some_and(|pools| pools.binary_search(&facts.pool()).is_err()) {
        Some("permitted_heaps")
    } else if memory.protected && !facts.protected {
        Some("protected")
    } else if facts.protected && touches {
        Some("cpu_access")
    } else if facts.protected && !memory.can_protected && !memory.protected {
        Some("can_protected")
    } else if memory.device_local_ok == Some(false) && facts.device.is_some() {
        Some("device_local_ok")
    } else if memory.p2p_ok == Some(false) && heap.is_foreign_to(participant) {
        Some("p2p_ok")
    } else if memory.coherency.as_ref().is_some_and(|states| !states.contains(&heap.coherency())) {
        Some("coherency")
    } else if link.refusal().is_some() {
        Some("link")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::{Evidence, Link, Verdict};
    use super::super::problem::{CpuAccess, Frequency, MemoryLimits};
    use super::*;

    /// Each field against each heap: system, contiguous, protected, device-local.
    #[test]
    fn each_memory_field_refuses_what_it_should() {
        let heap = |f: fn(&mut HeapFacts)| {
            let mut facts = HeapFacts { id: "h".into(), pool: Some("p".into()), ..HeapFacts::default() };
            f(&mut facts);
            facts
        };
        let system = heap(|h| h.cached = true);
        let cma = heap(|h| h.contiguous = true);
        let low = heap(|h| h.address_bits = Some(30));
        let secure = heap(|h| h.protected = true);
        let vram = heap(|h| h.device = Some("gpu".into()));
        let memory = |f: fn(&mut MemoryLimits)| {
            let mut memory = MemoryLimits::default();
            f(&mut memory);
            memory
        };
        let cases = [
            (memory(|m| m.contiguous = true), [true, false, true, true, true], "contiguous"),
            (memory(|m| m.dma_mask_bits = Some(32)), [true, false, false, true, true], "dma_mask_bits"),
            (memory(|m| m.dma_mask_bits = Some(30)), [true, true, false, true, true], "dma_mask_bits"),
            (memory(|m| m.protected = true), [true, true, true, false, true], "protected"),
            (memory(|m| m.can_protected = true), [false; 5], ""),
            (
                memory(|m| m.device_local_ok = Some(false)),
                [false, false, false, false, true],
                "device_local_ok",
            ),
            (memory(|m| m.p2p_ok = Some(false)), [false, false, false, false, true], "p2p_ok"),
            (
                memory(|m| m.coherency = Some(vec![Coherency::Cached])),
                [false, true, true, true, true],
                "coherency",
            ),
            (memory(|m| m.permitted_heaps = Some(vec!["other".into()])), [true; 5], "permitted_heaps"),
        ];
        for (mut memory, refused, field) in cases {
            // Without this, the protected heap is refused for another reason.
            memory.can_protected = true;
            let participant = Participant { device: Some("vc4".into()), memory, ..Participant::default() };
            for (facts, refused) in [&system, &cma, &low, &secure, &vram].into_iter().zip(refused) {
                let heap = Heap { facts, budget: None };
                let permitted = permitted_pools(&participant, &[("h", 0)], &[heap]);
                let got = refuses_heap(&participant, false, permitted.as_deref(), &heap, &Settled::default());
                assert_eq!(got, refused.then_some(field), "{facts:?}");
            }
        }
    }

    #[test]
    fn an_iommu_waives_contiguity_and_address_bits_only() {
        let facts = HeapFacts { id: "h".into(), ..HeapFacts::default() };
        let heap = Heap { facts: &facts, budget: None };
        let memory = MemoryLimits { contiguous: true, dma_mask_bits: Some(32), ..MemoryLimits::default() };
        let participant = Participant { memory, ..Participant::default() };
        let ask = |iommu| refuses_heap(&participant, iommu, None, &heap, &Settled::default());
        assert_eq!(ask(true), None);
        assert_eq!(ask(false), Some("contiguous"));
        let mut link = Settled::default();
        link.add(&Link { verdict: Verdict::Refuses, evidence: Evidence::Probed, ..Link::default() });
        assert_eq!(refuses_heap(&participant, true, None, &heap, &link), Some("link"));
    }

    #[test]
    fn who_touches_memory_with_the_cpu_cannot_have_it_protected() {
        let facts = HeapFacts { id: "h".into(), protected: true, ..HeapFacts::default() };
        let heap = Heap { facts: &facts, budget: None };
        let cpu_access = CpuAccess { read: Frequency::Rare, write: Frequency::None };
        for (memory, field) in [
            (MemoryLimits::default(), Some("can_protected")),
            (MemoryLimits { can_protected: true, ..Default::default() }, None),
            (MemoryLimits { protected: true, ..Default::default() }, None),
            (MemoryLimits { protected: true, cpu_access, ..Default::default() }, Some("cpu_access")),
            (MemoryLimits { can_protected: true, cpu_access, ..Default::default() }, Some("cpu_access")),
        ] {
            let participant = Participant { memory, ..Participant::default() };
            assert_eq!(refuses_heap(&participant, false, None, &heap, &Settled::default()), field);
        }
    }

    #[test]
    fn heaps_of_one_pool_share_its_budget_and_its_permission() {
        let heap = |id: &str, free, capacity| HeapFacts {
            id: id.into(),
            pool: Some("cma".into()),
            free,
            capacity,
            ..HeapFacts::default()
        };
        let heaps = [heap("a", None, Some(100)), heap("b", Some(50), None), heap("c", Some(60), Some(70))];
        assert_eq!(Pools::of(&heaps).budget("cma"), Some(50));
        assert_eq!(Pools::of(&heaps).budget("other"), None);
        assert_eq!(Pools::of(&heaps[..1]).budget("cma"), Some(100));
        let memory =
            MemoryLimits { permitted_heaps: Some(vec!["b".into(), "gone".into()]), ..Default::default() };
        let participant = Participant { memory, ..Participant::default() };
        let by_id = [("a", 0), ("b", 1), ("c", 2)];
        let heaps = heaps.each_ref().map(|facts| Heap { facts, budget: None });
        assert_eq!(permitted_pools(&participant, &by_id, &heaps), Some(vec!["cma"]));
    }
}
