//! Processor time of a guest, taken on the host: clocks inside a User-Mode Linux guest tick only every 10 ms.

use std::{
    fs,
    ops::{Add, Sub},
    time::Duration,
};

use rustix::param::clock_ticks_per_second;
use serde::{Serialize, Serializer};

/// Processor time of one process of the host, or of several.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Used {
    /// In user space, in ticks of the host (10 ms); the host guesses the split from where its ticks fall.
    #[serde(rename = "user_ms", serialize_with = "milliseconds")]
    pub user: Duration,
    /// In the host's kernel, in ticks of the host.
    #[serde(rename = "system_ms", serialize_with = "milliseconds")]
    pub system: Duration,
    /// Both together, to the nanosecond where the host has `schedstat`.
    #[serde(rename = "run_ms", serialize_with = "milliseconds")]
    pub run: Duration,
}

/// For `serde`: a duration as milliseconds with a fraction.
pub(super) fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

impl Add for Used {
    type Output = Used;

    fn add(self, other: Used) -> Used {
        Used { user: self.user + other.user, system: self.system + other.system, run: self.run + other.run }
    }
}

impl Sub for Used {
    type Output = Used;

    /// Stops at zero: the host's split of user and system may be corrected backwards.
    fn sub(self, other: Used) -> Used {
        Used {
            user: self.user.saturating_sub(other.user),
            system: self.system.saturating_sub(other.system),
            run: self.run.saturating_sub(other.run),
        }
    }
}

impl std::iter::Sum for Used {
    fn sum<I: Iterator<Item = Used>>(all: I) -> Used {
        all.fold(Used::default(), Add::add)
    }
}

/// One process of the host.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its parent.
    pub parent: u32,
    /// Its own time, all threads.
    pub own: Used,
    /// Time of its children that have ended.
    pub ended_children: Used,
}

/// Time used so far by process `pid`; `None` when it has gone.
#[must_use]
pub fn of_process(pid: u32) -> Option<Sample> {
    let mut sample = parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    // A process' own schedstat is that of its first thread.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let run: Option<Duration> =
        threads.map(|thread| nanoseconds(&fs::read_to_string(thread.path().join("schedstat")).ok()?)).sum();
    if let Some(run) = run {
        sample.own.run = run;
    }
    Some(sample)
}

/// The processes whose parent is `parent`.
#[must_use]
pub fn children(parent: u32) -> Vec<(u32, Used)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // Only of the right ones is all of it read.
        .filter(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            parse(&stat).is_some_and(|sample| sample.parent == parent)
        })
        .filter_map(|pid| Some((pid, of_process(pid)?.own)))
        .collect()
}

/// Fields 4 and 14 to 17 of `/proc/PID/stat` (proc_pid_stat(5)).
fn parse(stat: &str) -> Option<Sample> {
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let mut fields = fields.skip(9);
    let mut ticks = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_nanos(ticks * (1_000_000_000 / clock_ticks_per_second())))
    };
    let mut used = || {
        let (user, system) = (ticks()?, ticks()?);
        Some(Used { user, system, run: user + system })
    };
    Some(Sample { parent, own: used()?, ended_children: used()? })
}

/// The first field of `/proc/PID/task/TID/schedstat`.
fn nanoseconds(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_trap() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 100 0 0 0 12 34 5 6 20 0 1 0";
        let sample = parse(stat).expect("a process");
        let used = |user, system| {
            let (user, system) = (Duration::from_millis(user), Duration::from_millis(system));
            Used { user, system, run: user + system }
        };
        assert_eq!(sample, Sample { parent: 3, own: used(120, 340), ended_children: used(50, 60) });
    }

    #[test]
    fn a_busy_process_is_seen_to_be_busy() {
        let before = of_process(std::process::id()).expect("this process").own;
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {}
        let used = of_process(std::process::id()).expect("this process").own - before;
        // Others may want the processor too.
        assert!(used.run >= Duration::from_millis(10), "{used:?}");
    }
}
