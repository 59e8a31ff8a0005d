//! Pools that ran dry, and when to try them again. Pure: time is what the caller says.
//!
//! The kernel tells the free space of few pools, and of none whether it is in one piece. So a failure teaches: as many
//! bytes as were asked are not to be had. What is learned holds until memory of that pool is given back, or until it is
//! time to try again; each try that fails doubles the time to the next.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// From a failure to the first new try.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// The longest time between two tries: what a user would wait for a picture to come back.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// A pool that could not give what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The pool.
    pub pool: String,
    /// Bytes it may still be able to give: less than what it failed to.
    pub free: u64,
    /// When it will be tried again, in the caller's time; `None` where the caller tells no time, and then what was
    /// learned holds for one allocation only.
    pub retry_at: Option<Duration>,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {} is short: at most {} bytes free", self.pool, self.free)
    }
}

#[derive(Debug, Clone)]
struct Dry {
    free: u64,
    retry_at: Duration,
    wait: Duration,
    /// Being tried again: the wait is kept for the case that it fails once more.
    on_trial: bool,
}

/// What is known of dry pools.
#[derive(Debug, Clone, Default)]
pub(super) struct Shortages {
    dry: BTreeMap<String, Dry>,
    now: Option<Duration>,
}

impl Shortages {
    /// It is `now`: pools whose time has come are tried again.
    pub(super) fn tick(&mut self, now: Duration) {
        // A clock that goes back would make pools wait for a time that may be far away.
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        for dry in self.dry.values_mut().filter(|dry| now >= dry.retry_at) {
            dry.on_trial = true;
        }
    }

    /// A pool could not give more than `free` bytes.
    pub(super) fn learn(&mut self, pool: &str, free: u64) -> Shortage {
        let Some(now) = self.now else {
            return Shortage { pool: pool.to_owned(), free, retry_at: None };
        };
        let dry = self.dry.entry(pool.to_owned()).or_insert(Dry {
            free,
            retry_at: Duration::ZERO,
            wait: Duration::ZERO,
            on_trial: true,
        });
        if dry.on_trial {
            dry.wait = (dry.wait * 2).clamp(FIRST_RETRY, LAST_RETRY);
            dry.retry_at = now.saturating_add(dry.wait);
            dry.free = free;
            dry.on_trial = false;
        }
        // Within one wait only a smaller buffer can have been tried.
        dry.free = dry.free.min(free);
        Shortage { pool: pool.to_owned(), free: dry.free, retry_at: Some(dry.retry_at) }
    }

    /// Memory of this pool was given back: it can be tried at once.
    pub(super) fn freed(&mut self, pool: &str) {
        if let Some(dry) = self.dry.get_mut(pool) {
            dry.on_trial = true;
        }
    }

    /// A pool gave what was asked, although it was known to be short: it is not any more.
    pub(super) fn gave(&mut self, pool: &str) {
        if self.dry.get(pool).is_some_and(|dry| dry.on_trial) {
            self.dry.remove(pool);
        }
    }

    /// What holds now.
    pub(super) fn all(&self) -> Vec<Shortage> {
        let dry = self.dry.iter().filter(|(_, dry)| !dry.on_trial);
        dry.map(|(pool, dry)| Shortage { pool: pool.clone(), free: dry.free, retry_at: Some(dry.retry_at) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn retry_at(shortages: &Shortages) -> Option<Duration> {
        shortages.all().first().and_then(|shortage| shortage.retry_at)
    }

    #[test]
    fn without_a_clock_nothing_is_kept() {
        let mut shortages = Shortages::default();
        let learned = shortages.learn("cma", 9);
        assert_eq!(learned, Shortage { pool: "cma".into(), free: 9, retry_at: None });
        assert!(shortages.all().is_empty());
    }

    #[test]
    fn the_wait_doubles_with_each_failed_try_up_to_a_bound_and_starts_anew_after_success() {
        let mut shortages = Shortages::default();
        let mut now = milliseconds(1000);
        shortages.tick(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            shortages.learn("cma", 9);
            let at = retry_at(&shortages).unwrap();
            waits.push((at - now).as_millis());
            shortages.tick(at - milliseconds(1));
            assert_eq!(shortages.all().len(), 1);
            shortages.tick(at);
            assert!(shortages.all().is_empty());
            now = at;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        shortages.gave("cma");
        shortages.learn("cma", 9);
        assert_eq!(retry_at(&shortages), Some(now + FIRST_RETRY));
    }

    #[test]
    fn memory_that_is_given_back_ends_the_wait_of_its_pool_only() {
        let mut shortages = Shortages::default();
        shortages.tick(Duration::ZERO);
        shortages.learn("cma", 9);
        shortages.learn("ram", 9);
        shortages.freed("cma");
        assert_eq!(shortages.all().into_iter().map(|it| it.pool).collect::<Vec<_>>(), ["ram"]);
        shortages.learn("cma", 9);
        assert_eq!(retry_at(&shortages), Some(milliseconds(200)));
    }

    #[test]
    fn within_a_wait_a_smaller_failure_teaches_more_and_a_success_nothing() {
        let mut shortages = Shortages::default();
        shortages.tick(Duration::ZERO);
        shortages.learn("cma", 100);
        shortages.learn("cma", 10);
        shortages.learn("cma", 50);
        // A smaller buffer that fitted says nothing of the larger one that did not.
        shortages.gave("cma");
        assert_eq!(shortages.all()[0].free, 10);
        assert_eq!(retry_at(&shortages), Some(FIRST_RETRY));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_delay_the_next_try() {
        let mut shortages = Shortages::default();
        shortages.tick(milliseconds(5000));
        shortages.tick(Duration::ZERO);
        shortages.learn("cma", 1);
        shortages.tick(milliseconds(5100));
        assert!(shortages.all().is_empty());
    }
}
