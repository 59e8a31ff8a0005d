//! Debian packages of a release that is not the host's, from the mirror that the host's apt uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{LabError, step};

/// Debian's own keys, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The URI from which the host's apt gets Debian itself.
///
/// # Errors
/// [`LabError::NoMirror`] when apt has no such source.
pub fn uri() -> Result<String, LabError> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)",
            "Created-By: Packages",
        ])
        .output()
        .map_err(|error| LabError::NoMirror(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Security updates have the same origin, but another label.
    text.lines()
        .find_map(|line| line.split_once(' ').filter(|(_, rest)| *rest == "Debian Debian main"))
        .map(|(uri, _)| uri.trim_end_matches('/').to_owned())
        .ok_or_else(|| LabError::NoMirror("run `apt-get update` on a Debian 12 or 13 machine".to_owned()))
}

/// Downloads and unpacks one package of `suite` below `directory`.
///
/// # Errors
/// [`LabError`] of the step that failed.
pub fn unpack(package: &str, suite: &str, directory: &Path, log: &Path) -> Result<PathBuf, LabError> {
    let apt = directory.join("apt");
    for path in ["lists/partial", "cache/archives/partial"] {
        let path = apt.join(path);
        fs::create_dir_all(&path).map_err(LabError::file(&path))?;
    }
    let sources = apt.join("sources.list");
    let line = format!("deb [signed-by={KEYRING}] {} {suite} main\n", uri()?);
    fs::write(&sources, line).map_err(LabError::file(&sources))?;
    let status = apt.join("status");
    fs::write(&status, "").map_err(LabError::file(&status))?;
    let get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        for (key, path) in [
            ("Dir::Etc::sourcelist", &sources),
            ("Dir::State", &apt),
            ("Dir::State::lists", &apt.join("lists")),
            ("Dir::State::status", &status),
            ("Dir::Cache", &apt.join("cache")),
        ] {
            command.arg("-o").arg(format!("{key}={}", path.display()));
        }
        // A private apt has no use for the unprivileged user, who can't write below a home directory.
        command.args(["-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=root"]);
        command.args(arguments).current_dir(directory);
        command
    };
    step::run("reading the package lists", log, &mut get(&["update"]))?;
    step::run(&format!("downloading {package}"), log, &mut get(&["download", package]))?;
    let archive = fs::read_dir(directory)
        .map_err(LabError::file(directory))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| LabError::NoMirror(format!("{package} is not in {suite}")))?;
    let unpacked = directory.join("unpacked");
    step::run("unpacking", log, Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    Ok(unpacked)
}
