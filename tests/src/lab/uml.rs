//! Booting a User-Mode Linux guest: the kernel is a process of the host, its root a directory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{LabError, Outcome, Scenario, cache::Cache, error::tail, kernel, root};

/// The guest's script.
const INIT: &str = include_str!("../../lab/init");
/// The line with which a scenario's output begins.
const BEGIN: &str = "@@lab begin";
/// Console lines that a failure shows.
const TAIL: usize = 40;

/// A running guest; killed when dropped, with all its processes.
struct Guest {
    kernel: Child,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Every address space of the guest is a process of its own, in the kernel's group.
        if let Some(group) = Pid::from_raw(self.kernel.id() as i32) {
            // They may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.kernel.wait();
    }
}

/// Runs a scenario in a new guest.
pub(super) fn run(scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
    let cache = Cache::open()?;
    let linux = kernel::uml(&cache, &mut |_| {})?;
    let root = root::debian(&cache, &mut |_| {})?;
    let directory =
        tempfile::Builder::new().prefix("lab").tempdir().map_err(LabError::file("a lab directory"))?;
    write_scenario(scenario, directory.path())?;

    let mut command = Command::new(linux);
    command
        .args([format!("mem={}", scenario.memory), "ncpus=2".to_owned(), "seccomp=on".to_owned()])
        .arg("rootfstype=hostfs")
        .arg(format!("rootflags={}", root.display()))
        .args(["ro", "init=/sbin/lab-init", "quiet", "con=null", "con0=null,fd:1", "ssl=null", "ssl0=null"])
        .arg(format!("labdir={}", directory.path().display()))
        .args(&scenario.kernel_arguments)
        // The kernel keeps its guest's memory in a file there.
        .env("TMPDIR", directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut kernel = command.spawn().map_err(LabError::file("the guest's kernel"))?;
    let (sender, lines) = channel();
    let streams = [kernel.stdout.take().map(boxed), kernel.stderr.take().map(boxed)];
    let guest = Guest { kernel };
    for stream in streams.into_iter().flatten() {
        forward(stream, sender.clone());
    }
    drop(sender);
    let (console, begun) = follow(scenario, &lines, live)?;
    drop(guest);

    let code =
        fs::read_to_string(directory.path().join("code")).ok().and_then(|code| code.trim().parse().ok());
    let log = fs::read(directory.path().join("log")).unwrap_or_default();
    match (code, begun) {
        (Some(code), _) => {
            Ok(Outcome { code, output: String::from_utf8_lossy(&log).into_owned(), directory })
        }
        (None, true) => Err(LabError::Lost { tail: tail(&console, TAIL) }),
        (None, false) => Err(LabError::Boot { tail: tail(&console, TAIL) }),
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

/// Reads the console to its end. Returns it, and whether the scenario was begun.
fn follow(
    scenario: &Scenario,
    lines: &Receiver<String>,
    live: &mut dyn FnMut(&str),
) -> Result<(String, bool), LabError> {
    let end = Instant::now() + scenario.timeout;
    let mut console = String::new();
    let mut begun = false;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if begun {
                    live(&line);
                }
                begun |= line == BEGIN;
                console.push_str(&line);
                console.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => return Ok((console, begun)),
            Err(RecvTimeoutError::Timeout) => {
                return Err(LabError::Timeout { after: scenario.timeout, tail: tail(&console, TAIL) });
            }
        }
    }
}

/// A word that a POSIX shell takes as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn write_scenario(scenario: &Scenario, directory: &Path) -> Result<(), LabError> {
    let mut mounts = String::new();
    for (host, guest) in &scenario.mounts {
        let guest = quoted(guest);
        let option = quoted(&format!("hostfs={}", host.display()));
        mounts.push_str(&format!("mkdir -p {guest}\nmount -t hostfs host {guest} -o {option}\n"));
    }
    let path = scenario.path.iter().fold(String::new(), |all, path| all + path + ":");
    mounts.push_str(&format!("export PATH={path}$PATH\n"));
    let out = directory.join("out");
    fs::create_dir(&out).map_err(LabError::file(out))?;
    for (name, text) in [("init", INIT), ("scenario", &scenario.script), ("mounts", &mounts)] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(LabError::file(path))?;
    }
    Ok(())
}
