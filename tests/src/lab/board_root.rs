//! The board's root: packages unpacked without running any program of theirs, as the host can run none.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    LabError,
    cache::Cache,
    debian::{self, Tree},
    step,
};

/// Packages, one a line.
const PACKAGES: &str = include_str!("../../lab/board-packages");
/// Releases, the one to take first: mirrors are at times without a whole list of the packages of one architecture.
const SUITES: [&str; 2] = ["trixie", "forky"];
const ARCHITECTURE: &str = "armhf";
/// Changed when the steps below change.
const RECIPE: &str = "1";
/// Files that the packages' scripts would copy, and where to.
const COPIES: [(&str, &str); 3] = [
    ("usr/share/base-passwd/passwd.master", "etc/passwd"),
    ("usr/share/base-passwd/group.master", "etc/group"),
    ("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf"),
];

/// The board's root directory; made if it is not there (a minute or two and 700 MB).
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn debian(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, LabError> {
    let logs = cache.logs()?;
    let mut inputs = vec![RECIPE, PACKAGES, ARCHITECTURE];
    inputs.extend(SUITES);
    let artefact = cache.artefact("board-root", &inputs, |done| {
        let log = step::fresh_log(&logs, "board-root")?;
        let root = done.join("root");
        unpack(&root, &log, progress)?;
        for (from, to) in COPIES {
            let from = root.join(from);
            fs::copy(&from, root.join(to)).map_err(LabError::file(from))?;
        }
        let awk = root.join("usr/bin/awk");
        symlink("mawk", &awk).map_err(LabError::file(awk))
    })?;
    Ok(artefact.join("root"))
}

/// Unpacks the first release that can be had.
fn unpack(root: &Path, log: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
    let mut result = Ok(());
    for suite in SUITES {
        progress(&format!("unpacking the board's root, {suite} (a minute or two)"));
        let tree =
            Tree { variant: "extract", packages: PACKAGES, suite, architectures: ARCHITECTURE, stale: true };
        result = debian::unpack("the board's root", tree, root, log);
        if result.is_ok() {
            break;
        }
    }
    result
}
