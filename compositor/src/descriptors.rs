//! How many files this process may have open: each buffer of each client is one, and each client another.

use rustix::{
    io::Errno,
    process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit},
};
use tracing::debug;

/// The limit as it was, for the programs that we start: some of them cannot count beyond 1024.
#[derive(Debug, Clone)]
pub struct Inherited(Rlimit);

/// Raises the limit as far as may be done without privilege, before anything counts on it.
#[must_use]
pub fn raise() -> Inherited {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        debug!(%error, "the limit of open files stays as it is");
    }
    Inherited(before)
}

impl Inherited {
    /// Gives a child the limit back.
    ///
    /// # Errors
    /// When it has ended already, which is no harm.
    pub fn restore(&self, child: Pid) -> Result<(), Errno> {
        prlimit(Some(child), Resource::Nofile, self.0).map(|_| ())
    }
}

/// A part of all that may be open now: one of `parts`, within bounds.
#[must_use]
pub fn share(parts: u64, least: u64, most: u64) -> u64 {
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (open_files / parts).clamp(least, most)
}
