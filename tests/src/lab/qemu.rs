//! Booting a QEMU guest: the processor is emulated, so it runs wherever its program does, with real buses and devices.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::Command,
};

use super::{
    LabError, Outcome, Scenario,
    cache::Cache,
    emulator::Emulator,
    exchange::{Exchange, quoted},
    guest::Guest,
    kernel,
    monitor::Monitor,
    root,
};

const PROGRAM: &str = "qemu-system-x86_64";
/// One that Debian's programs and llvmpipe run well on, without what QEMU says it cannot emulate; `max` panics the kernel.
const PROCESSOR: &str = "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid";
/// The displays, by the name that `lab-shot` takes, beside the kernel's own vkms, which has no screen.
const DISPLAYS: [(&str, &str); 2] = [("bochs", "bochs-display"), ("virtio", "virtio-gpu-pci")];
/// The command with which a script asks something of the host, under the names of what it asks.
const LAB_ASK: &str = include_str!("../../lab/lab-ask");
const REQUESTS: [&str; 2] = ["lab-shot", "lab-input"];
/// Here instead of a silent failure.
const LAB_MARK: &str = "#!/bin/sh\necho 'lab-mark: only the uml lane tells processor times' >&2\nexit 1\n";
/// Options of every shared directory: the largest packets there are room for.
const NINE_P: &str = "trans=virtio,version=9p2000.L,msize=512000";
/// For what only the host changes, before the guest boots: what was read once is kept.
const KEPT: &str = "cache=loose";

/// Runs a scenario in a new guest.
pub(super) fn run(scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
    let cache = Cache::open()?;
    let kernel = kernel::qemu(&cache, &mut |_| {})?;
    let root = root::debian(&cache, &mut |_| {})?;
    let mut programs = REQUESTS.map(|name| (name, LAB_ASK)).to_vec();
    programs.push(("lab-mark", LAB_MARK));
    let exchange = Exchange::new(scenario, &mounts(scenario), &programs)?;
    let emulator = Emulator::prepare(&cache, &mut |_| {})?;

    // The machine's monitor is its standard input, its console its standard output; the error is for what comes before.
    let (monitor, theirs) = UnixStream::pair().map_err(LabError::file("a socket"))?;
    let mut command = emulator.program(PROGRAM);
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-smp", "2", "-m", &scenario.memory])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none"])
        .args(["-chardev", "socket,id=monitor,fd=0", "-mon", "chardev=monitor,mode=control"])
        .args(["-chardev", "file,id=console,path=/dev/stdout", "-device", "virtio-serial-pci"])
        .args(["-device", "virtconsole,chardev=console"])
        .args(["-chardev", "file,id=early,path=/dev/stderr", "-serial", "chardev:early"])
        .args(["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"]);
    for (name, device) in DISPLAYS {
        command.args(["-device", &format!("{device},id={name},xres=1024,yres=768")]);
    }
    share(&mut command, "root", &root, true);
    share(&mut command, "lab", exchange.path(), false);
    for (number, (host, _)) in scenario.mounts.iter().enumerate() {
        share(&mut command, &tag(number), host, false);
    }
    command.arg("-kernel").arg(kernel).arg("-append").arg(kernel_arguments(scenario));
    command.stdin(OwnedFd::from(theirs));
    let guest = Guest::start(&mut command)?;
    // The guest's end of the socket, or the monitor would not see the machine end.
    drop(command);
    let mut monitor = Monitor::new(monitor, exchange.path())?;
    let said = guest.follow(scenario.timeout, live, &mut monitor)?;
    exchange.outcome(&said, Vec::new())
}

/// Makes a directory of the host one that the guest can mount.
fn share(command: &mut Command, tag: &str, directory: &Path, read_only: bool) {
    // QEMU's own way to write a comma.
    let path = directory.display().to_string().replace(',', ",,");
    let read_only = if read_only { ",readonly=on" } else { "" };
    let directory = format!("local,id={tag},path={path},security_model=none,multidevs=remap{read_only}");
    command.args(["-fsdev", &directory, "-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
}

fn tag(number: usize) -> String {
    format!("mount{number}")
}

fn mounts(scenario: &Scenario) -> String {
    let mut mounts = String::new();
    for (number, (_, guest)) in scenario.mounts.iter().enumerate() {
        let (guest, tag) = (quoted(guest), tag(number));
        mounts.push_str(&format!("mkdir -p {guest}\nmount -t 9p {tag} {guest} -o {NINE_P},{KEPT}\n"));
    }
    mounts
}

fn kernel_arguments(scenario: &Scenario) -> String {
    // The root is that of the other lane, whose first program knows only that lane's file system.
    let init = format!(
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin; mount -t tmpfs run /run; mkdir /run/lab; \
         mount -t 9p lab /run/lab -o {NINE_P}; . /run/lab/init"
    );
    let arguments = scenario.kernel_arguments.join(" ");
    format!(
        "console=hvc0 earlycon=uart8250,io,0x3f8 root=root rootfstype=9p rootflags={NINE_P},{KEPT} ro quiet panic=-1 {arguments} \
         init=/bin/sh -- -c \"{init}\""
    )
}
