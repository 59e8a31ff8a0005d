//! A directory of Debian packages, of a release that need not be the host's.

use std::{fs, path::Path, process::Command};

use super::{LabError, mirror, step};

/// Which packages, and how far they are installed.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// What mmdebstrap calls a variant: `minbase` is a system that boots, `extract` only the packages' files, without the
    /// links and settings that their scripts would make.
    pub variant: &'a str,
    /// White space between them; what they depend on comes along.
    pub packages: &'a str,
    /// The release.
    pub suite: &'a str,
    /// Separated by commas, the one of packages without `:ARCHITECTURE` first; empty for the host's.
    pub architectures: &'a str,
    /// Take lists of packages whose date is past too, as of a mirror that lags: what they name is still signed for.
    pub stale: bool,
}

/// Makes `directory`, a new one, hold these packages. All of it belongs to whoever calls.
///
/// # Errors
/// [`LabError`] of the step that failed; `what` names it.
pub fn unpack(what: &str, tree: Tree<'_>, directory: &Path, log: &Path) -> Result<(), LabError> {
    // For a user who is not root, mmdebstrap makes files of other users; an archive takes them out of its hands.
    let archive = directory.with_extension("tar");
    let include = tree.packages.split_whitespace().collect::<Vec<_>>().join(",");
    let mut command = Command::new("mmdebstrap");
    command.arg(format!("--variant={}", tree.variant)).arg(format!("--include={include}"));
    if !tree.architectures.is_empty() {
        command.arg(format!("--architectures={}", tree.architectures));
    }
    if tree.stale {
        command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    }
    // Those other users can't enter a home directory, and Debian 13 keeps /tmp in memory.
    command.arg(tree.suite).arg(&archive).arg(mirror::uri()?).env("TMPDIR", "/var/tmp");
    step::run(&format!("making {what}"), log, &mut command)?;
    fs::create_dir(directory).map_err(LabError::file(directory))?;
    let mut unpack = Command::new("tar");
    // Only root can make device nodes, and guests have devices of their own.
    unpack.args(["--extract", "--no-same-owner", "--exclude=./dev/*", "--file"]).arg(&archive);
    step::run(&format!("unpacking {what}"), log, unpack.arg("--directory").arg(directory))?;
    fs::remove_file(&archive).map_err(LabError::file(&archive))
}
