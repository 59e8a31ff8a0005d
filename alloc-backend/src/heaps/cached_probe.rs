//! Does the CPU reach a heap's memory through its caches? Found by reading.
//!
//! Nothing in the kernel tells, and it decides which heap a painter gets. But memory that is not cached is read tens of
//! times slower: each access goes to memory, where a cached one is answered next to the CPU. So: read a few pages of the
//! heap again and again, one byte per cache line, beside as many ordinary pages in the same run, and compare the fastest
//! rounds. Up to twice as slow is cached, eight times and more is not; what lies between is not known. The fastest of
//! several rounds, taken in turns, is what a busy machine disturbs least.
//!
//! On an emulated CPU all memory is the host's cached memory, and is said to be cached: which is how it behaves.

use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::memfd::page_size;
use crate::buffers::Mapping;

/// Pages read: few enough for the first cache of any CPU.
const PAGES: u64 = 2;
/// Bytes from one read to the next: no cache line is shorter than 32 and most are 64.
const STRIDE: usize = 64;
/// Rounds of each kind.
const ROUNDS: usize = 7;
/// How long a round of ordinary memory takes at least, so that clocks can tell.
const ROUND: Duration = Duration::from_micros(20);
/// Most passes of a round, should the clock stand still.
const MAX_PASSES: u32 = 1 << 14;

/// Measures memory that `allocate` makes; `None`: not known.
pub(super) fn observe<E>(allocate: impl FnOnce(u64) -> Result<OwnedFd, E>) -> Option<bool> {
    let bytes = PAGES.saturating_mul(page_size());
    let buffer = allocate(bytes).ok()?;
    let mapping = Mapping::new(buffer.as_fd(), bytes, false).ok()?;
    let memory = mapping.read().ok()?;
    let ordinary = vec![1_u8; memory.len()];
    let passes = passes(|passes| read(&ordinary, passes))?;
    // The first touch of a page is a fault, and no measure of anything.
    read(&memory, 1);
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best.0 = best.0.min(read(&ordinary, passes));
        best.1 = best.1.min(read(&memory, passes));
    }
    let found = judge(best.0, best.1);
    tracing::debug!(ordinary = ?best.0, memory = ?best.1, passes, ?found, "read to see whether it is cached");
    found
}

/// How often to read so that a round of ordinary memory can be timed.
fn passes(mut round: impl FnMut(u32) -> Duration) -> Option<u32> {
    let doubled = std::iter::successors(Some(1_u32), |passes| passes.checked_mul(2));
    doubled.take_while(|passes| *passes <= MAX_PASSES).find(|passes| round(*passes) >= ROUND)
}

fn judge(ordinary: Duration, memory: Duration) -> Option<bool> {
    if ordinary.is_zero() {
        None
    } else if memory <= ordinary.saturating_mul(2) {
        Some(true)
    } else if memory >= ordinary.saturating_mul(8) {
        Some(false)
    } else {
        None
    }
}

fn read(memory: &[u8], passes: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..passes {
        // Hidden from the compiler, so that every pass is read again.
        let memory = black_box(memory);
        for at in (0..memory.len()).step_by(STRIDE) {
            black_box(memory[at]);
        }
    }
    began.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_not_cached_alike_is_cached_and_between_is_not_known() {
        let us = Duration::from_micros;
        for (ordinary, memory, cached) in [
            (20, 18, Some(true)),
            (20, 40, Some(true)),
            (20, 41, None),
            (20, 159, None),
            (20, 160, Some(false)),
            (20, 4000, Some(false)),
            (0, 0, None),
        ] {
            assert_eq!(judge(us(ordinary), us(memory)), cached, "{ordinary} {memory}");
        }
    }

    #[test]
    fn a_round_is_long_enough_to_be_timed_and_ends_when_the_clock_stands() {
        assert_eq!(passes(|passes| Duration::from_micros(passes.into())), Some(32));
        assert_eq!(passes(|_| Duration::ZERO), None);
    }

    #[test]
    fn ordinary_memory_is_cached_and_what_cannot_be_had_is_not_known() {
        let sealed = |bytes| super::super::memfd::sealed("probe", bytes);
        // Two measurements of one kind of memory: a busy machine may blur them, but never into the opposite.
        assert_ne!(observe(sealed), Some(false));
        assert_eq!(observe(|_| Err::<OwnedFd, _>(())), None);
    }
}
