//! A machine of QEMU's, of whatever kind: its monitor, its console, and the directories that it shares with the host.

use std::{
    ffi::OsString,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
};

use super::{
    LabError, Outcome, Scenario, binds,
    emulator::Emulator,
    exchange::{Exchange, quoted},
    guest::Guest,
    monitor::Monitor,
};

/// The command with which a script asks something of the host, under the names of what it asks.
const LAB_ASK: &str = include_str!("../../lab/lab-ask");
const REQUESTS: [&str; 2] = ["lab-shot", "lab-input"];
/// Here instead of a silent failure.
const LAB_MARK: &str = "#!/bin/sh\necho 'lab-mark: only the uml lane tells processor times' >&2\nexit 1\n";
/// Options of every shared directory: the largest packets there are room for.
const NINE_P: &str = "trans=virtio,version=9p2000.L,msize=512000";
/// For what only the host changes, before the guest boots: what was read once is kept.
const KEPT: &str = "cache=loose";
/// The directory of the exchange below which others are bound.
const BOUND: &str = "bound";

/// What tells one kind of machine from another.
pub(super) struct Machine {
    /// The emulator's program.
    pub program: &'static str,
    /// How it emulates the two processors.
    pub accelerator: &'static str,
    /// What it is given beside what every machine is.
    pub arguments: Vec<OsString>,
    /// How devices that share directories are attached.
    pub bus: Bus,
    /// The kernel's options: its console, and what else this kind of machine needs.
    pub kernel_options: &'static str,
    pub kernel: PathBuf,
    /// The guest's root.
    pub root: PathBuf,
    /// The screen of a machine's own, which the monitor knows by no name.
    pub screen: Option<&'static str>,
}

/// A bus for virtio devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    /// With room for any number.
    Pci,
    /// With room for four: the scenario's directories are seen through the exchange's device.
    Mmio,
}

impl Machine {
    /// Runs a scenario in a new guest.
    pub fn run(
        self,
        emulator: &Emulator,
        scenario: &Scenario,
        live: &mut dyn FnMut(&str),
    ) -> Result<Outcome, LabError> {
        let mut programs = REQUESTS.map(|name| (name, LAB_ASK)).to_vec();
        programs.push(("lab-mark", LAB_MARK));
        let exchange = Exchange::new(scenario, &self.mounts(scenario), &programs)?;

        // The machine's monitor is its standard input, its console its standard output; the error is for what comes before.
        let (monitor, theirs) = UnixStream::pair().map_err(LabError::file("a socket"))?;
        let mut command = emulator.program(self.program);
        command
            .args(["-accel", self.accelerator, "-smp", "2", "-m", &scenario.memory])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none"])
            .args(["-chardev", "socket,id=monitor,fd=0", "-mon", "chardev=monitor,mode=control"])
            .args(["-chardev", "file,id=console,path=/dev/stdout"])
            .args(["-chardev", "file,id=early,path=/dev/stderr"])
            .args(&self.arguments);
        let mut share = |tag: &str, directory: &Path, read_only| {
            command.args(self.bus.share(tag, directory, read_only));
        };
        share("root", &self.root, true);
        share("lab", exchange.path(), false);
        let mut bound = Vec::new();
        for (number, (host, _)) in scenario.mounts.iter().enumerate() {
            match self.bus {
                Bus::Pci => share(&tag(number), host, false),
                Bus::Mmio => bound.push((host.as_path(), exchange.place(BOUND, number)?)),
            }
        }
        command.arg("-kernel").arg(&self.kernel).arg("-append").arg(self.kernel_arguments(scenario));
        if !bound.is_empty() {
            command = binds::wrapped(binds::command(bound), &command);
        }
        command.stdin(OwnedFd::from(theirs));
        let guest = Guest::start(&mut command)?;
        // The guest's end of the socket, or the monitor would not see the machine end.
        drop(command);
        let mut monitor = Monitor::new(monitor, exchange.path(), self.screen)?;
        let said = guest.follow(scenario.timeout, live, &mut monitor)?;
        exchange.outcome(&said, Vec::new())
    }

    /// The shell lines that make the scenario's directories visible.
    fn mounts(&self, scenario: &Scenario) -> String {
        let mut mounts = String::new();
        for (number, (_, guest)) in scenario.mounts.iter().enumerate() {
            let (guest, tag) = (quoted(guest), tag(number));
            let mount = match self.bus {
                Bus::Pci => format!("mount -t 9p {tag} {guest} -o {NINE_P},{KEPT}"),
                Bus::Mmio => format!("mount --bind /run/lab/{BOUND}/{number} {guest}"),
            };
            mounts.push_str(&format!("mkdir -p {guest}\n{mount}\n"));
        }
        mounts
    }

    fn kernel_arguments(&self, scenario: &Scenario) -> String {
        // The root may be that of the other lane, whose first program knows only that lane's file system.
        let init = format!(
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin; mount -t tmpfs run /run; mkdir /run/lab; \
             mount -t 9p lab /run/lab -o {NINE_P}{}; . /run/lab/init",
            self.bus.exchange_options()
        );
        let arguments = scenario.kernel_arguments.join(" ");
        format!(
            "{} root=root rootfstype=9p rootflags={NINE_P},{KEPT} ro quiet panic=-1 {arguments} init=/bin/sh -- -c \"{init}\"",
            self.kernel_options
        )
    }
}

impl Bus {
    /// Options that make a directory of the host one that the guest can mount.
    fn share(self, tag: &str, directory: &Path, read_only: bool) -> [String; 4] {
        // QEMU's own way to write a comma.
        let path = directory.display().to_string().replace(',', ",,");
        let read_only = if read_only { ",readonly=on" } else { "" };
        let directory = format!("local,id={tag},path={path},security_model=none,multidevs=remap{read_only}");
        let bus = match self {
            Bus::Pci => "pci",
            Bus::Mmio => "device",
        };
        let device = format!("virtio-9p-{bus},fsdev={tag},mount_tag={tag}");
        ["-fsdev".to_owned(), directory, "-device".to_owned(), device]
    }

    /// Further options for mounting the exchange, in which the host leaves files while the guest runs.
    fn exchange_options(self) -> &'static str {
        match self {
            Bus::Pci => "",
            // Programs are read through it: by more than a page at a time, while their names are looked up each time.
            Bus::Mmio => ",cache=readahead",
        }
    }
}

fn tag(number: usize) -> String {
    format!("mount{number}")
}
