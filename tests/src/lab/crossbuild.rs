//! The workspace's programs, built for the board: beside what cargo builds for the host, and only when something changed.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    LabError,
    cache::Cache,
    cross::{Cross, TARGET},
    step,
};

/// Changed when what was built before must be built anew, which cargo does not see.
const RECIPE: &str = "2";
/// What says which checkout the programs were built from.
const STAMP: &str = "checkout";

/// Builds the programs and examples of the workspace for the board, those of the host being in `profile`
/// (`target/debug`), and says in which directory they are.
///
/// # Errors
/// [`LabError`] of the step that failed.
pub(super) fn workspace(cache: &Cache, cross: &Cross, profile: &Path) -> Result<PathBuf, LabError> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = source.canonicalize().map_err(LabError::file(source))?;
    let target = profile.parent().unwrap_or(profile).join("board");
    fs::create_dir_all(&target).map_err(LabError::file(&target))?;
    let release = profile.file_name().is_some_and(|name| name == "release");
    let log = step::fresh_log(&cache.logs()?, "board-programs")?;

    // The host's cargo has the network; packages of other machines than these two are not wanted.
    let mut fetch = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    fetch.args(["fetch", "--locked", "--target", TARGET, "--target"]).arg(host()).current_dir(&source);
    step::run("fetching the packages of Rust", &log, &mut fetch)?;

    let stamp = target.join(STAMP);
    let checkout = checkout(&source)?;
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&checkout) {
        // Cargo tells a changed file by its time, and another checkout's times mean nothing here.
        let mut clean = cross.cargo(&source, &target)?;
        clean.args(["clean", "--locked", "--target", TARGET]);
        for package in own_packages(&source)? {
            clean.args(["--package", &package]);
        }
        step::run("forgetting what another checkout built", &log, &mut clean)?;
        fs::write(&stamp, checkout).map_err(LabError::file(&stamp))?;
    }
    let mut build = cross.cargo(&source, &target)?;
    build.args(["build", "--locked", "--workspace", "--bins", "--examples", "--target", TARGET]);
    if release {
        build.arg("--release");
    }
    step::run("building the workspace for the board", &log, &mut build)?;
    Ok(target.join(TARGET).join(if release { "release" } else { "debug" }))
}

/// Rust's name of the machine that this is built on.
fn host() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// One that tells a checkout from every other, also from one that takes its place.
fn checkout(source: &Path) -> Result<String, LabError> {
    let metadata = source.metadata().map_err(LabError::file(source))?;
    let place = (metadata.dev(), metadata.ino(), metadata.created().ok());
    Ok(format!("{RECIPE} {} {place:?}", source.display()))
}

/// The packages of the workspace itself.
fn own_packages(source: &Path) -> Result<Vec<String>, LabError> {
    let lock = source.join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(LabError::file(lock))?;
    let names = text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    Ok(names.filter(|name| name.starts_with("heapwright")).map(str::to_owned).collect())
}
