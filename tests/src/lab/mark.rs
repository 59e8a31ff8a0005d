//! Processor times of a guest at a moment that its scenario names with `lab-mark NAME`.
//!
//! Each address space of a User-Mode Linux guest is a process of the host, child of the guest's kernel. Nothing on the
//! host says which of the guest's processes it is, but its memory map does: the offset of a mapping is the guest's
//! physical address, and the guest's `/proc/PID/pagemap` says which process has which frame at which address.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde::Serialize;

use super::{
    LabError,
    cpu::{self, Used, milliseconds},
};

/// A page of the guest.
const PAGE_BYTES: u64 = 4096;

/// One process of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number in the guest.
    pub pid: u32,
    /// Its name in the guest: the first 15 bytes of its program's.
    pub name: String,
    /// The process of the host that runs its user space.
    pub host_pid: u32,
    /// Time of its user code; what the host spends on switching to the guest's kernel and back is `system`.
    pub used: Used,
}

/// What a guest had used at a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The name that the scenario gave.
    pub name: String,
    /// Time since the guest was started.
    #[serde(rename = "at_ms", serialize_with = "milliseconds")]
    pub at: Duration,
    /// The guest's kernel, devices included.
    pub kernel: Used,
    /// All processes of the guest that had ended.
    pub ended: Used,
    /// Those that ran.
    pub processes: Vec<Process>,
    /// Processes of the host that belong to the guest, and could not be told to be which of the guest's.
    pub unknown: Used,
}

/// What a guest used between two marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Between {
    /// Time that passed.
    #[serde(rename = "wall_ms", serialize_with = "milliseconds")]
    pub wall: Duration,
    /// The guest's kernel, devices included. Of this, a mark itself costs about 60 ms: two in a row tell.
    pub kernel: Used,
    /// The processes that ran at the second mark; one that came in between counts from its start.
    pub processes: Vec<Process>,
    /// Those that ended in between, with what they had used before the first mark.
    pub ended: Used,
}

impl Between {
    /// Time of all processes of this name; `None` when there is none.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Used> {
        let name: String = name.chars().take(15).collect();
        let mut all = self.processes.iter().filter(|process| process.name == name).peekable();
        all.peek()?;
        Some(all.map(|process| process.used).sum())
    }
}

/// What was used from the mark `from` to the mark `to`.
pub(super) fn between(marks: &[Mark], from: &str, to: &str) -> Result<Between, LabError> {
    let find = |name: &str| {
        marks.iter().find(|mark| mark.name == name).ok_or_else(|| LabError::NoMark { name: name.to_owned() })
    };
    let (first, second) = (find(from)?, find(to)?);
    let before: BTreeMap<_, _> =
        first.processes.iter().map(|process| (process.host_pid, process.used)).collect();
    let processes = second.processes.iter().cloned().map(|mut process| {
        // A process that runs another program gets another one on the host, which starts at zero.
        process.used = process.used - before.get(&process.host_pid).copied().unwrap_or_default();
        process
    });
    Ok(Between {
        wall: second.at.saturating_sub(first.at),
        kernel: second.kernel - first.kernel,
        processes: processes.collect(),
        ended: second.ended - first.ended,
    })
}

/// Times on the host at the moment of a mark, before the guest has said which process is which.
#[derive(Debug)]
pub(super) struct Taken {
    name: String,
    at: Duration,
    kernel: Used,
    ended: Used,
    children: Vec<(u32, Used)>,
}

/// Notes the times of the guest whose kernel is `kernel` now; `None` when it has gone.
pub(super) fn take(name: &str, at: Duration, kernel: u32) -> Option<Taken> {
    let sample = cpu::of_process(kernel)?;
    Some(Taken {
        name: name.to_owned(),
        at,
        kernel: sample.own,
        ended: sample.ended_children,
        children: cpu::children(kernel),
    })
}

impl Taken {
    /// Tells the processes apart by the list that the guest left in `directory`, and lets the guest go on.
    pub(super) fn finish(self, directory: &Path) -> Result<Mark, LabError> {
        let path = directory.join(&self.name);
        let list = fs::read_to_string(&path).map_err(LabError::file(&path))?;
        let maps: Vec<_> = self
            .children
            .iter()
            .filter_map(|(pid, _)| {
                Some((*pid, Map::parse(&fs::read_to_string(format!("/proc/{pid}/maps")).ok()?)))
            })
            .collect();
        let times: BTreeMap<_, _> = self.children.iter().copied().collect();
        let mut processes: Vec<Process> = Vec::new();
        for line in list.lines() {
            let Some((pid, name, pages)) = listed(line) else { continue };
            let Some(host_pid) = same(&pages, &maps) else { continue };
            // After vfork two share one; the first is the parent.
            if processes.iter().any(|process| process.host_pid == host_pid) {
                continue;
            }
            let used = times.get(&host_pid).copied().unwrap_or_default();
            processes.push(Process { pid, name, host_pid, used });
        }
        let unknown = self
            .children
            .iter()
            .filter(|(pid, _)| !processes.iter().any(|process| process.host_pid == *pid))
            .map(|(_, used)| *used)
            .sum();
        let taken = directory.join(format!("{}.taken", self.name));
        fs::write(&taken, "").map_err(LabError::file(taken))?;
        let Taken { name, at, kernel, ended, .. } = self;
        Ok(Mark { name, at, kernel, ended, processes, unknown })
    }
}

/// A page of a process: its address, and its physical address in the guest.
type Page = (u64, u64);

/// A line of `lab-mark`'s list: process, name and pages.
fn listed(line: &str) -> Option<(u32, String, Vec<Page>)> {
    let mut words = line.split(' ');
    let (pid, name) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let pages = words.filter_map(|word| {
        let (address, frame) = word.split_once(':')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((hex(address)?, hex(frame)?.checked_mul(PAGE_BYTES)?))
    });
    Some((pid, name, pages.collect()))
}

/// The process of the host that has most of these pages at the same addresses, if it is one.
fn same(pages: &[Page], maps: &[(u32, Map)]) -> Option<u32> {
    let mut scores: Vec<_> = maps
        .iter()
        .map(|(pid, map)| {
            (pages.iter().filter(|(address, physical)| map.has(*address, *physical)).count(), *pid)
        })
        .filter(|(score, _)| *score > 0)
        .collect();
    scores.sort_unstable_by(|one, other| other.cmp(one));
    match scores.as_slice() {
        [(_, pid)] => Some(*pid),
        [(most, pid), (next, _), ..] if most > next => Some(*pid),
        _ => None,
    }
}

/// Which offset of its file a process has at which address.
#[derive(Debug)]
struct Map(Vec<(u64, u64, u64)>);

impl Map {
    /// From the text of `/proc/PID/maps`.
    fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            Some((hex(start)?, hex(end)?, hex(words.nth(1)?)?))
        };
        Map(text.lines().filter_map(range).collect())
    }

    fn has(&self, address: u64, offset: u64) -> bool {
        let after = self.0.partition_point(|(start, ..)| *start <= address);
        after > 0 && {
            let (start, end, first) = self.0[after - 1];
            address < end && first + (address - start) == offset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        7ff000-800000 rw-s 00300000 00:1a 51 /dev/shm/#51 (deleted)\n\
        40000000-40002000 rw-s 00010000 00:1a 51 /dev/shm/#51 (deleted)\n";

    #[test]
    fn a_page_is_found_where_it_is_and_nowhere_else() {
        let map = Map::parse(MAPS);
        assert!(
            map.has(0x4000_0000, 0x10000) && map.has(0x4000_1000, 0x11000) && map.has(0x7f_f000, 0x30_0000)
        );
        assert!(!map.has(0x4000_1000, 0x10000), "another offset");
        assert!(!map.has(0x4000_2000, 0x12000), "past the end");
        assert!(!map.has(0x1000, 0), "before all");
    }

    #[test]
    fn the_process_with_most_of_the_pages_is_it_and_a_tie_is_none() {
        let (_, name, pages) = listed("12 weston 40000000:10 40001000:11 50000000:99").expect("a process");
        assert_eq!(name, "weston");
        let map = |text: &str| Map::parse(text);
        let whole = "40000000-40002000 rw-s 00010000 00:1a 51\n";
        let half = "40000000-40001000 rw-s 00010000 00:1a 51\n";
        assert_eq!(same(&pages, &[(1, map(half)), (2, map(whole))]), Some(2));
        assert_eq!(same(&pages, &[(1, map(half)), (2, map(half))]), None);
        assert_eq!(same(&pages, &[(1, map(""))]), None);
    }

    #[test]
    fn what_was_used_before_the_first_mark_does_not_count() {
        let used = |run| Used { run: Duration::from_millis(run), ..Used::default() };
        let process = |host_pid, run| Process { pid: 7, name: "a".to_owned(), host_pid, used: used(run) };
        let mark = |name: &str, at, kernel, processes| Mark {
            name: name.to_owned(),
            at: Duration::from_millis(at),
            kernel: used(kernel),
            ended: used(0),
            processes,
            unknown: used(0),
        };
        let marks = [
            mark("start", 1000, 300, vec![process(70, 50)]),
            mark("end", 3000, 450, vec![process(70, 65), process(71, 5)]),
        ];
        let between = between(&marks, "start", "end").expect("two marks");
        assert_eq!(between.wall, Duration::from_secs(2));
        assert_eq!(between.kernel, used(150));
        assert_eq!(between.of("a"), Some(used(20)));
        assert_eq!(between.of("b"), None);
        assert!(
            matches!(super::between(&marks, "start", "no"), Err(LabError::NoMark { name }) if name == "no")
        );
    }
}
