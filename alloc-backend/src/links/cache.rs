//! What has been found out, so that nothing is tried twice without need.
//!
//! A probe holds for this kernel, these drivers and these heaps; `store` keeps it for the next process. What is kept
//! stays small: per device and heap the largest buffer that was accepted and the smallest that was refused.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Probe;
use crate::constraints::{Fourcc, Modifier};
use crate::solver::problem::{Link, Verdict};

/// Found by trying: the pitch a device insists on, for one format and modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PitchRule {
    pair: (Fourcc, Modifier),
    align: u64,
}

#[derive(Debug, Default)]
struct Known {
    probes: Vec<(Probe, (Fourcc, Modifier))>,
    pitches: Vec<(String, PitchRule)>,
}

/// Findings so far.
#[derive(Debug, Default)]
pub struct LinkCache(Mutex<Known>);

impl LinkCache {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is one push or one removal: what a panicking thread left is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every probe that is kept.
    pub fn probes(&self) -> Vec<Probe> {
        self.known().probes.iter().map(|(probe, _)| probe.clone()).collect()
    }

    /// Every probe of a device, with the pair that was tried.
    pub(super) fn of_device(&self, device: &str) -> Vec<(Probe, (Fourcc, Modifier))> {
        self.known().probes.iter().filter(|(probe, _)| probe.link.device == device).cloned().collect()
    }

    /// Every pitch alignment in bytes that a device was found to insist on.
    pub(super) fn pitch_aligns(&self, device: &str) -> Vec<((Fourcc, Modifier), u64)> {
        let known = self.known();
        known
            .pitches
            .iter()
            .filter(|(name, _)| name == device)
            .map(|(_, rule)| (rule.pair, rule.align))
            .collect()
    }

    /// What was tried with a heap, if that holds for a buffer of this size and kind.
    pub(crate) fn known_of(
        &self,
        device: &str,
        heap: &str,
        bytes: u64,
        pair: (Fourcc, Modifier),
    ) -> Option<Probe> {
        let holds = |link: &Link| match (link.verdict, link.bytes) {
            (Verdict::Accepts, Some(tried)) => tried >= bytes,
            (Verdict::Refuses, Some(tried)) => tried <= bytes,
            _ => false,
        };
        let known = self.known();
        let found = known.probes.iter().find(|(probe, tried)| {
            let link = &probe.link;
            link.device == device && link.heap == heap && *tried == pair && holds(link)
        });
        found.map(|(probe, _)| probe.clone())
    }

    /// The links that hold for a buffer of about `bytes`. A refusal at more bytes than that is left out: the heap
    /// may well be able to serve less.
    pub(crate) fn links(&self, bytes: u64) -> Vec<Link> {
        let holds = |link: &Link| match link.verdict {
            Verdict::Refuses => link.bytes.is_none_or(|tried| tried <= bytes),
            _ => true,
        };
        let known = self.known();
        known.probes.iter().map(|(probe, _)| &probe.link).filter(|link| holds(link)).cloned().collect()
    }

    /// Whether a buffer of this size and kind was accepted before, or a larger one.
    pub(crate) fn accepted(&self, device: &str, heap: &str, bytes: u64, pair: (Fourcc, Modifier)) -> bool {
        self.known().probes.iter().any(|(probe, tried)| {
            let link = &probe.link;
            link.verdict == Verdict::Accepts
                && link.device == device
                && link.heap == heap
                && *tried == pair
                && link.bytes.is_none_or(|tried| tried >= bytes)
        })
    }

    /// Forgets a device.
    pub(crate) fn forget(&self, device: &str) {
        let mut known = self.known();
        known.probes.retain(|(probe, _)| probe.link.device != device);
        known.pitches.retain(|(name, _)| name != device);
    }

    /// Keeps a finding, in place of those it makes superfluous. What is unknown is not kept: it may pass next time.
    pub(crate) fn keep(&self, probe: Probe, pair: (Fourcc, Modifier)) {
        let new = &probe.link;
        if new.verdict == Verdict::Unknown {
            return;
        }
        let superfluous = |(old, tried): &(Probe, (Fourcc, Modifier))| {
            let old = &old.link;
            let same = old.device == new.device && old.heap == new.heap && *tried == pair;
            same && match (old.verdict, new.verdict) {
                (Verdict::Accepts, Verdict::Accepts) => old.bytes <= new.bytes,
                (Verdict::Refuses, Verdict::Refuses) => old.bytes >= new.bytes,
                // Luck ended: an acceptance at this size or less is disproved by a refusal at it.
                (Verdict::Accepts, Verdict::Refuses) => old.bytes >= new.bytes,
                (Verdict::Refuses, Verdict::Accepts) => old.bytes <= new.bytes,
                _ => false,
            }
        };
        let mut known = self.known();
        known.probes.retain(|old| !superfluous(old));
        known.probes.push((probe, pair));
    }

    /// The pitch alignment in bytes this device was found to insist on.
    pub(crate) fn pitch_align(&self, device: &str, pair: (Fourcc, Modifier)) -> Option<u64> {
        let known = self.known();
        let rule = known.pitches.iter().find(|(name, rule)| name == device && rule.pair == pair);
        rule.map(|(_, rule)| rule.align)
    }

    /// Keeps a pitch alignment in bytes.
    pub(crate) fn keep_pitch_align(&self, device: &str, pair: (Fourcc, Modifier), align: u64) {
        let mut known = self.known();
        known.pitches.retain(|(name, rule)| name != device || rule.pair != pair);
        known.pitches.push((device.to_owned(), PitchRule { pair, align }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::problem::Evidence;

    const PAIR: (Fourcc, Modifier) = (Fourcc::XRGB8888, Modifier::LINEAR);

    fn probe(verdict: Verdict, bytes: u64) -> Probe {
        let link = Link {
            device: "card0".to_owned(),
            heap: "h0".to_owned(),
            verdict,
            evidence: Evidence::Probed,
            bytes: Some(bytes),
        };
        Probe { link, steps: Vec::new() }
    }

    #[test]
    fn a_larger_acceptance_replaces_a_smaller_one_and_serves_smaller_buffers() {
        let cache = LinkCache::default();
        cache.keep(probe(Verdict::Accepts, 4096), PAIR);
        cache.keep(probe(Verdict::Accepts, 65536), PAIR);
        assert_eq!(cache.probes().len(), 1);
        assert!(cache.accepted("card0", "h0", 8192, PAIR));
        assert!(!cache.accepted("card0", "h0", 65537, PAIR));
        assert!(!cache.accepted("card0", "h0", 8192, (Fourcc::NV12, Modifier::LINEAR)));
    }

    #[test]
    fn a_refusal_disproves_luck_but_says_nothing_of_smaller_buffers() {
        let cache = LinkCache::default();
        cache.keep(probe(Verdict::Accepts, 65536), PAIR);
        cache.keep(probe(Verdict::Refuses, 8192), PAIR);
        assert!(!cache.accepted("card0", "h0", 8192, PAIR));
        assert!(cache.links(4096).is_empty());
        assert_eq!(cache.links(8192).len(), 1);
    }

    #[test]
    fn what_is_unknown_is_not_kept() {
        let cache = LinkCache::default();
        cache.keep(probe(Verdict::Unknown, 4096), PAIR);
        assert!(cache.probes().is_empty());
    }
}
