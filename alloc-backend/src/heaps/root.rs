//! Where `/dev`, `/sys` and `/proc` are: elsewhere in tests.

use std::path::{Path, PathBuf};

/// The directories that listing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// `/dev`.
    pub dev: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Root {
    fn default() -> Self {
        Root::at(Path::new("/"))
    }
}

impl Root {
    /// `dev`, `sys` and `proc` below one directory.
    pub fn at(root: &Path) -> Self {
        Root { dev: root.join("dev"), sys: root.join("sys"), proc: root.join("proc") }
    }

    /// A number in a one-line file of sysfs; `None` when it is missing or unreadable.
    pub(crate) fn sys_number(&self, path: &str) -> Option<u64> {
        number(&self.sys.join(path))
    }

    /// The machine's memory in bytes, from `/proc/meminfo`.
    pub(crate) fn total_ram(&self) -> Option<u64> {
        self.meminfo("MemTotal:")
    }

    /// One line of `/proc/meminfo`, in bytes; `key` with its colon.
    pub(crate) fn meminfo(&self, key: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.proc.join("meminfo")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    }

    /// One counter of `/proc/vmstat`.
    pub(crate) fn vmstat(&self, key: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.proc.join("vmstat")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
    }
}

/// A number in a one-line file.
pub(crate) fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
