//! What can go wrong in the lab itself, as opposed to in what is tested.

use std::{io, path::PathBuf, time::Duration};

/// The lab failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or directory of the lab.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the host that builds an artefact.
    #[error("{what} failed ({status}); the end of {log}:\n{tail}")]
    Step {
        /// What was being done.
        what: String,
        /// How it ended.
        status: String,
        /// Where its output is.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// No place for artefacts.
    #[error("no cache directory: set HEAPWRIGHT_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
    /// An artefact that is not built yet, where nothing may be built.
    #[error("{name} is not built yet")]
    Cold {
        /// Of the artefact.
        name: String,
    },
    /// The host's apt names no Debian mirror.
    #[error("apt knows no mirror of Debian: {0}")]
    NoMirror(String),
    /// The guest never came to run the scenario.
    #[error("the guest did not boot; the end of its console:\n{tail}")]
    Boot {
        /// Last lines of the console.
        tail: String,
    },
    /// The guest ran, and died before the scenario had ended.
    #[error("the guest died before the scenario had ended; the end of its console:\n{tail}")]
    Lost {
        /// Last lines of the console.
        tail: String,
    },
    /// The time was up.
    #[error("not done after {after:?}; the end of the console:\n{tail}")]
    Timeout {
        /// The time allowed.
        after: Duration,
        /// Last lines of the console.
        tail: String,
    },
    /// A scenario did not reach a mark, or called `lab-mark` with another name.
    #[error("the scenario made no mark {name:?}: call `lab-mark {name}` in it")]
    NoMark {
        /// The mark that was asked for.
        name: String,
    },
    /// The emulator's directory is not what its packages should have made.
    #[error("{path} has no program loader: remove the emulator's directory and prepare the lab again")]
    NoEmulator {
        /// Where it should be.
        path: PathBuf,
    },
    /// A test program for a guest.
    #[error("cannot build the test {name}; the end of what cargo says:\n{tail}")]
    Build {
        /// The test.
        name: String,
        /// The last lines of it.
        tail: String,
    },
    /// Programs under test are not where they should be.
    #[error("{path} is missing: build it first with `cargo build --workspace --bins --examples`")]
    NotBuilt {
        /// The program.
        path: PathBuf,
    },
}

impl LabError {
    /// Wraps an I/O error with the path it was about.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LabError {
        let path = path.into();
        move |source| LabError::File { path, source }
    }
}

/// The last `lines` lines of `text`.
#[must_use]
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
