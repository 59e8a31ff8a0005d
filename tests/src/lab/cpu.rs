//! Processor time of a guest, taken on the host: clocks inside a User-Mode Linux guest tick only every 10 ms.

use std::{fs, time::Duration};

/// Processor time of one process of the host.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// In user space.
    pub user: Duration,
    /// In the host's kernel.
    pub system: Duration,
}

/// Time used so far by process `pid`; `None` when it has gone.
#[must_use]
pub fn of_process(pid: u32) -> Option<Used> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 14 and 15 of `/proc/PID/stat` (proc_pid_stat(5)), in ticks of 10 ms.
fn parse(stat: &str) -> Option<Used> {
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok().map(|ticks| Duration::from_millis(ticks * 10));
    Some(Used { user: ticks()?, system: ticks()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_trap() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 34 0 0 20 0 1 0";
        let used = parse(stat).expect("a process");
        assert_eq!((used.user.as_millis(), used.system.as_millis()), (120, 340));
    }
}
