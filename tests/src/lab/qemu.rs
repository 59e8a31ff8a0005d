//! Booting a QEMU guest: the processor is emulated, so it runs wherever its program does, with real buses and devices.

use super::{
    LabError, Outcome, Scenario,
    cache::Cache,
    emulator::Emulator,
    kernel,
    machine::{Bus, Machine},
    root,
};

const PROGRAM: &str = "qemu-system-x86_64";
/// One that Debian's programs and llvmpipe run well on, without what QEMU says it cannot emulate; `max` panics the kernel.
const PROCESSOR: &str = "Haswell-noTSX,-pcid,-x2apic,-tsc-deadline,-invpcid";
/// Both processors take turns in one thread. In threads of their own, on a busy host, about one guest in a hundred does not
/// boot: one waits in a spin lock for the other, which the host does not run, and once the emulator gave a device a
/// write that was another's.
const ACCELERATOR: &str = "tcg,thread=single";
/// The console, and no test at boot of whether the timer interrupts in time, which on a busy host it does not.
const KERNEL_OPTIONS: &str = "console=hvc0 earlycon=uart8250,io,0x3f8 no_timer_check";
/// The displays, by the name that `lab-shot` takes, beside the kernel's own vkms, which has no screen.
const DISPLAYS: [(&str, &str); 2] = [("bochs", "bochs-display"), ("virtio", "virtio-gpu-pci")];
/// The other devices: the console and the port that says only what goes wrong early, keyboard and tablet.
const DEVICES: [&str; 10] = [
    "-device",
    "virtio-serial-pci",
    "-device",
    "virtconsole,chardev=console",
    "-serial",
    "chardev:early",
    "-device",
    "virtio-keyboard-pci",
    "-device",
    "virtio-tablet-pci",
];

/// Runs a scenario in a new guest.
pub(super) fn run(scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
    let cache = Cache::open()?;
    let mut arguments: Vec<_> = ["-cpu", PROCESSOR].into_iter().chain(DEVICES).map(Into::into).collect();
    for (name, device) in DISPLAYS {
        arguments.extend(["-device".into(), format!("{device},id={name},xres=1024,yres=768").into()]);
    }
    let machine = Machine {
        program: PROGRAM,
        accelerator: ACCELERATOR,
        arguments,
        bus: Bus::Pci,
        kernel_options: KERNEL_OPTIONS,
        kernel: kernel::qemu(&cache, &mut |_| {})?,
        root: root::debian(&cache, &mut |_| {})?,
        screen: None,
    };
    machine.run(&Emulator::prepare(&cache, &mut |_| {})?, scenario, live)
}
