//! The guest's root: a Debian with real clients and the peers that we measure ourselves against.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::{
    LabError,
    cache::Cache,
    debian::{self, Tree},
    step,
};

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
        let root = done.join("root");
        let tree =
            Tree { variant: "minbase", packages: PACKAGES, suite: SUITE, architectures: "", stale: false };
        debian::unpack("the guest's root", tree, &root, &log)?;
        let stub = root.join("sbin/lab-init");
        fs::write(&stub, STUB).map_err(LabError::file(&stub))?;
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).map_err(LabError::file(&stub))
    })?;
    Ok(artefact.join("root"))
}
