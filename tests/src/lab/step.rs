//! One program of the host that helps to build an artefact: its output goes to a log, whose end a failure shows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{LabError, error::tail};

/// Lines of a log that a failure shows.
const TAIL: usize = 40;

/// Runs `command`, appending its output to `log`.
///
/// # Errors
/// [`LabError::Step`] when it can't be started or fails.
pub fn run(what: &str, log: &Path, command: &mut Command) -> Result<(), LabError> {
    let open = || fs::OpenOptions::new().create(true).append(true).open(log).map_err(LabError::file(log));
    let status = command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).status().map_or_else(
        |error| Err(error.to_string()),
        |status| if status.success() { Ok(()) } else { Err(status.to_string()) },
    );
    status.map_err(|status| failed(what, status, log))
}

fn failed(what: &str, status: String, log: &Path) -> LabError {
    let text = fs::read(log).unwrap_or_default();
    LabError::Step {
        what: what.to_owned(),
        status,
        log: log.to_owned(),
        tail: tail(&String::from_utf8_lossy(&text), TAIL),
    }
}

/// A log file that starts empty.
///
/// # Errors
/// [`LabError::File`] when it can't be written.
pub fn fresh_log(directory: &Path, name: &str) -> Result<PathBuf, LabError> {
    let log = directory.join(format!("{name}.log"));
    fs::write(&log, "").map_err(LabError::file(&log))?;
    Ok(log)
}
