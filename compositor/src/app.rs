//! The application that the compositor was asked to run.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use smithay::reexports::calloop::{Interest, Mode, PostAction, generic::Generic};
use tracing::{debug, info, warn};

use crate::{events::Events, state::Heapwright};

/// The application could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No application was named.
    #[error("no application to start: give it after `--`")]
    Missing,
    /// It could not be executed.
    #[error("cannot start {name:?}: {source}")]
    Start {
        /// Its name.
        name: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// Its end could not be watched.
    #[error("cannot watch the application: {0}")]
    Watch(#[source] io::Error),
}

impl AppError {
    /// Exit code as a shell would give it: 127 not found, 126 found but not to be run, 125 everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            AppError::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            AppError::Start { .. } => 126,
            _ => 125,
        }
    }
}

/// A running application.
#[derive(Debug)]
pub struct App {
    pid: Pid,
}

impl App {
    /// Starts `command` as a client of `state` and calls `ended` with its exit code when it has ended.
    ///
    /// # Errors
    /// [`AppError`] when it can't be started.
    pub fn start(
        state: &Heapwright,
        command: &[String],
        ended: impl FnOnce(&mut Heapwright, u8) + 'static,
    ) -> Result<App, AppError> {
        let (name, arguments) = command.split_first().ok_or(AppError::Missing)?;
        let child = Command::new(name)
            .args(arguments)
            .stdin(Stdio::inherit())
            .env("WAYLAND_DISPLAY", &state.socket)
            .env("XDG_SESSION_TYPE", "wayland")
            // An X server of the surrounding session would draw applications off this screen.
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_SOCKET")
            .spawn()
            .map_err(|source| AppError::Start { name: name.into(), source })?;
        let pid = Pid::from_child(&child);
        if let Some(Err(error)) = state.inherited.as_ref().map(|inherited| inherited.restore(pid)) {
            debug!(%error, "the application keeps our limits");
        }
        info!(name, pid = pid.as_raw_nonzero().get(), "application started");
        watch(&state.events, child, pid, ended)?;
        Ok(App { pid })
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        if let Err(error) = kill_process(self.pid, Signal::TERM) {
            debug!(%error, "the application has ended already");
        }
    }
}

fn watch(
    events: &Events,
    mut child: Child,
    pid: Pid,
    ended: impl FnOnce(&mut Heapwright, u8) + 'static,
) -> Result<(), AppError> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| AppError::Watch(error.into()))?;
    let mut ended = Some(ended);
    events
        .insert_source(Generic::new(pidfd, Interest::READ, Mode::Level), move |_, _, state| {
            match child.try_wait() {
                Ok(None) => Ok(PostAction::Continue),
                Ok(Some(status)) => {
                    let code = code_of(status);
                    info!(code, "application ended");
                    if let Some(ended) = ended.take() {
                        ended(state, code);
                    }
                    Ok(PostAction::Remove)
                }
                Err(error) => {
                    warn!(%error, "the application's exit code is lost");
                    if let Some(ended) = ended.take() {
                        ended(state, 125);
                    }
                    Ok(PostAction::Remove)
                }
            }
        })
        .map_err(|error| AppError::Watch(io::Error::other(error.to_string())))?;
    Ok(())
}

/// The code a shell would report: 128 + n for an end by signal n.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(125);
    u8::try_from(code).unwrap_or(125)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_shells() {
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(15)), 143);
        assert_eq!(code_of(ExitStatus::from_raw(0)), 0);
    }
}
