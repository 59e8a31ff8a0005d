//! Booting a User-Mode Linux guest: the kernel is a process of the host, its root a directory.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::{
    LabError, Mark, Outcome, Scenario,
    cache::Cache,
    exchange::{Exchange, quoted},
    guest::{Guest, Host},
    kernel, mark, root,
};

/// The command with which a script names a moment.
const LAB_MARK: &str = include_str!("../../lab/lab-mark");
/// How `lab-mark` says that it is a moment now, and that its list of processes is there.
const MARK: &str = "@@lab mark ";
const MARKED: &str = "@@lab marked ";

/// Runs a scenario in a new guest.
pub(super) fn run(scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
    let cache = Cache::open()?;
    let linux = kernel::uml(&cache, &mut |_| {})?;
    let root = root::debian(&cache, &mut |_| {})?;
    let exchange = Exchange::new(scenario, &mounts(scenario), &[("lab-mark", LAB_MARK)])?;

    let mut command = Command::new(linux);
    command
        .args([format!("mem={}", scenario.memory), "ncpus=2".to_owned(), "seccomp=on".to_owned()])
        .arg("rootfstype=hostfs")
        .arg(format!("rootflags={}", root.display()))
        .args(["ro", "init=/sbin/lab-init", "quiet", "con=null", "con0=null,fd:1", "ssl=null", "ssl0=null"])
        .arg(format!("labdir={}", exchange.path().display()))
        .args(&scenario.kernel_arguments)
        // The kernel keeps its guest's memory in a file there.
        .env("TMPDIR", memory_directory(exchange.path()))
        .stdin(Stdio::null());
    let guest = Guest::start(&mut command)?;
    let mut marks = Marks {
        kernel: guest.pid(),
        started: guest.started(),
        directory: exchange.file("marks"),
        taken: None,
        marks: Vec::new(),
    };
    let said = guest.follow(scenario.timeout, live, &mut marks)?;
    exchange.outcome(&said, marks.marks)
}

/// Where the guest's memory is kept: in memory, if there is room for a guest; a disk would be written to all the time.
fn memory_directory(otherwise: &Path) -> &Path {
    /// Several guests, that seldom use all they are given.
    const ENOUGH: u64 = 4 << 30;
    let shared = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(shared).map_or(0, |room| room.f_bavail.saturating_mul(room.f_frsize));
    if room >= ENOUGH { shared } else { otherwise }
}

fn mounts(scenario: &Scenario) -> String {
    let mut mounts = String::new();
    for (host, guest) in &scenario.mounts {
        let guest = quoted(guest);
        let option = quoted(&format!("hostfs={}", host.display()));
        mounts.push_str(&format!("mkdir -p {guest}\nmount -t hostfs host {guest} -o {option}\n"));
    }
    mounts
}

/// Takes the marks that a guest makes.
struct Marks {
    kernel: u32,
    started: Instant,
    directory: PathBuf,
    /// A mark whose list of processes is awaited.
    taken: Option<mark::Taken>,
    marks: Vec<Mark>,
}

impl Host for Marks {
    fn asked(&mut self, line: &str) -> Result<bool, LabError> {
        if let Some(name) = line.strip_prefix(MARK) {
            self.taken = mark::take(name, self.started.elapsed(), self.kernel);
            return Ok(true);
        }
        if line.starts_with(MARKED) {
            if let Some(taken) = self.taken.take() {
                self.marks.push(taken.finish(&self.directory)?);
            }
            return Ok(true);
        }
        Ok(false)
    }
}
