//! A running guest, in any lane a process of the host, and what it says up to its end.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use super::{LabError, error::tail};

/// The line with which a scenario's output begins.
const BEGIN: &str = "@@lab begin";
/// How often a silent guest is looked at, whether it is alive.
const LOOK: Duration = Duration::from_millis(200);
/// Console lines that a failure shows.
pub(super) const TAIL: usize = 40;

/// A running guest; killed when dropped, with all its processes.
pub(super) struct Guest {
    process: Child,
    started: Instant,
    lines: Receiver<String>,
}

/// What a guest said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// All lines that asked nothing of the host.
    pub text: String,
    /// Whether the scenario was begun.
    pub begun: bool,
}

/// What a lane does when its guest asks something of the host.
pub(super) trait Host {
    /// Takes a line of the guest; whether it was a request.
    fn asked(&mut self, line: &str) -> Result<bool, LabError>;
}

impl Guest {
    /// Starts one. Its standard output and standard error are what it says.
    pub fn start(command: &mut Command) -> Result<Self, LabError> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec, this makes one system call and touches no memory of the parent's.
        unsafe {
            // A test runner that is killed takes no guest with it otherwise; the guest's processes follow theirs.
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let started = Instant::now();
        let program = command.get_program().to_owned();
        let mut process = command.spawn().map_err(LabError::file(program))?;
        let (sender, lines) = channel();
        let streams = [process.stdout.take().map(boxed), process.stderr.take().map(boxed)];
        for stream in streams.into_iter().flatten() {
            forward(stream, sender.clone());
        }
        Ok(Guest { process, started, lines })
    }

    /// Its process on the host.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Reads what it says until it ends.
    pub fn follow(
        mut self,
        timeout: Duration,
        live: &mut dyn FnMut(&str),
        host: &mut dyn Host,
    ) -> Result<Said, LabError> {
        let end = self.started + timeout;
        let mut said = Said::default();
        let mut ended = false;
        loop {
            let wait = end.saturating_duration_since(Instant::now()).min(LOOK);
            match self.lines.recv_timeout(wait) {
                Ok(line) => {
                    if !host.asked(&line)? {
                        said.line(&line, live);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(said),
                // A guest that died may leave processes which hold its output open.
                Err(RecvTimeoutError::Timeout) if ended => return Ok(said),
                Err(RecvTimeoutError::Timeout) => {
                    ended = matches!(self.process.try_wait(), Ok(Some(_)));
                }
            }
            if !ended && Instant::now() >= end {
                return Err(LabError::Timeout { after: timeout, tail: tail(&said.text, TAIL) });
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Every address space of a User-Mode Linux guest is a process of its own, in the kernel's group.
        if let Some(group) = Pid::from_raw(self.process.id() as i32) {
            // They may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

impl Said {
    fn line(&mut self, line: &str, live: &mut dyn FnMut(&str)) {
        if self.begun {
            live(line);
        }
        self.begun |= line == BEGIN;
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn boxed(stream: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(stream)
}

fn forward(stream: Box<dyn Read + Send>, to: Sender<String>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(bytes) if bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if to.send(text).is_err() {
                return;
            }
        }
    });
}
