//! Booting a User-Mode Linux guest: the kernel is a process of the host, its root a directory.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use super::{LabError, Mark, Outcome, Scenario, cache::Cache, error::tail, kernel, mark, root};

/// The guest's script.
const INIT: &str = include_str!("../../lab/init");
/// The command with which a script names a moment.
const LAB_MARK: &str = include_str!("../../lab/lab-mark");
/// The line with which a scenario's output begins.
const BEGIN: &str = "@@lab begin";
/// How `lab-mark` says that it is a moment now, and that its list of processes is there.
const MARK: &str = "@@lab mark ";
const MARKED: &str = "@@lab marked ";
/// How often a silent guest is looked at, whether it is alive.
const LOOK: Duration = Duration::from_millis(200);
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
        .env("TMPDIR", memory_directory(directory.path()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec, this makes one system call and touches no memory of the parent's.
    unsafe {
        // A test runner that is killed takes no guest's kernel with it otherwise; the guest's processes follow theirs.
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let started = Instant::now();
    let mut kernel = command.spawn().map_err(LabError::file("the guest's kernel"))?;
    let (sender, lines) = channel();
    let streams = [kernel.stdout.take().map(boxed), kernel.stderr.take().map(boxed)];
    for stream in streams.into_iter().flatten() {
        forward(stream, sender.clone());
    }
    drop(sender);
    let mut console = Console {
        guest: Guest { kernel },
        started,
        directory: directory.path(),
        text: String::new(),
        begun: false,
        taken: None,
        marks: Vec::new(),
    };
    console.follow(&lines, scenario.timeout, live)?;
    let Console { guest, text, begun, marks, .. } = console;
    drop(guest);

    let code =
        fs::read_to_string(directory.path().join("code")).ok().and_then(|code| code.trim().parse().ok());
    let log = fs::read(directory.path().join("log")).unwrap_or_default();
    match (code, begun) {
        (Some(code), _) => {
            Ok(Outcome { code, output: String::from_utf8_lossy(&log).into_owned(), marks, directory })
        }
        (None, true) => Err(LabError::Lost { tail: tail(&text, TAIL) }),
        (None, false) => Err(LabError::Boot { tail: tail(&text, TAIL) }),
    }
}

/// Where the guest's memory is kept: in memory, if there is room for a guest; a disk would be written to all the time.
fn memory_directory(otherwise: &Path) -> &Path {
    /// Several guests, that seldom use all they are given.
    const ENOUGH: u64 = 4 << 30;
    let shared = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shared).map_or(0, |room| room.f_bavail.saturating_mul(room.f_frsize));
    if room >= ENOUGH { shared } else { otherwise }
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

/// What a guest says, up to its end.
struct Console<'a> {
    guest: Guest,
    started: Instant,
    directory: &'a Path,
    text: String,
    /// Whether the scenario was begun.
    begun: bool,
    /// A mark whose list of processes is awaited.
    taken: Option<mark::Taken>,
    marks: Vec<Mark>,
}

impl Console<'_> {
    fn follow(
        &mut self,
        lines: &Receiver<String>,
        timeout: Duration,
        live: &mut dyn FnMut(&str),
    ) -> Result<(), LabError> {
        let end = self.started + timeout;
        let mut ended = false;
        loop {
            let wait = end.saturating_duration_since(Instant::now()).min(LOOK);
            match lines.recv_timeout(wait) {
                Ok(line) => self.line(&line, live)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // A kernel that died may leave processes which hold its output open.
                Err(RecvTimeoutError::Timeout) if ended => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    ended = matches!(self.guest.kernel.try_wait(), Ok(Some(_)));
                }
            }
            if !ended && Instant::now() >= end {
                return Err(LabError::Timeout { after: timeout, tail: tail(&self.text, TAIL) });
            }
        }
    }

    fn line(&mut self, line: &str, live: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        if let Some(name) = line.strip_prefix(MARK) {
            self.taken = mark::take(name, self.started.elapsed(), self.guest.kernel.id());
            return Ok(());
        }
        if line.starts_with(MARKED) {
            if let Some(taken) = self.taken.take() {
                self.marks.push(taken.finish(&self.directory.join("marks"))?);
            }
            return Ok(());
        }
        if self.begun {
            live(line);
        }
        self.begun |= line == BEGIN;
        self.text.push_str(line);
        self.text.push('\n');
        Ok(())
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
    mounts.push_str(&format!("export PATH={path}/run/lab/bin:$PATH\n"));
    for (name, value) in &scenario.environment {
        mounts.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    for name in ["out", "marks", "bin"] {
        let path = directory.join(name);
        fs::create_dir(&path).map_err(LabError::file(path))?;
    }
    let files =
        [("init", INIT), ("scenario", &scenario.script), ("mounts", &mounts), ("bin/lab-mark", LAB_MARK)];
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(LabError::file(path))?;
    }
    let program = directory.join("bin/lab-mark");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(LabError::file(program))
}
