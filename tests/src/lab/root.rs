//! The guest's root: a Debian with real clients and the peers that we measure ourselves against.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use super::{LabError, cache::Cache, mirror, step};

/// Packages, one a line.
const PACKAGES: &str = include_str!("../../lab/packages");
/// The guest's first program.
const STUB: &str = include_str!("../../lab/stub");
/// Suite of the guest.
const SUITE: &str = "trixie";
/// Changed when the steps below change.
const RECIPE: &str = "2";

/// The guest's root directory; made if it is not there (about a minute and 1.2 GB).
///
/// Guests mount it read-only, so that any number of them can share it. All of it belongs to whoever made it: a guest's
/// kernel reads it as that user, and that user removes it.
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn debian(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    let logs = cache.logs()?;
    let artefact = cache.artefact("root", &[RECIPE, PACKAGES, STUB, SUITE], |done| {
        let log = step::fresh_log(&logs, "root")?;
        progress("making the guest's root (a minute or two)");
        let include = PACKAGES.split_whitespace().collect::<Vec<_>>().join(",");
        // For a user who is not root, mmdebstrap makes files of other users; an archive takes them out of its hands.
        let archive = done.join("root.tar");
        let mut command = Command::new("mmdebstrap");
        command.args(["--variant=minbase", &format!("--include={include}"), SUITE]);
        // Those other users can't enter a home directory, and Debian 13 keeps /tmp in memory.
        command.arg(&archive).arg(mirror::uri()?).env("TMPDIR", "/var/tmp");
        step::run("making the guest's root", &log, &mut command)?;
        let root = done.join("root");
        fs::create_dir(&root).map_err(LabError::file(&root))?;
        let mut unpack = Command::new("tar");
        // Only root can make device nodes, and guests have devices of their own.
        unpack.args(["--extract", "--no-same-owner", "--exclude=./dev/*", "--file"]).arg(&archive);
        step::run("unpacking the guest's root", &log, unpack.arg("--directory").arg(&root))?;
        fs::remove_file(&archive).map_err(LabError::file(&archive))?;
        let stub = root.join("sbin/lab-init");
        fs::write(&stub, STUB).map_err(LabError::file(&stub))?;
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).map_err(LabError::file(&stub))
    })?;
    Ok(artefact.join("root"))
}
