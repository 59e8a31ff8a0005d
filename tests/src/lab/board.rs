//! Booting the board: an emulated ARM machine whose display can take only memory that is contiguous.
//!
//! No GPU, no IOMMU, one plane of at most 1024x768, and a pool of 64 MiB of contiguous memory (`cma=` on the kernel's
//! command line makes it another size, or none).

use super::{
    LabError, Outcome, Scenario, board_root,
    cache::Cache,
    cross::Cross,
    emulator::Emulator,
    kernel,
    machine::{Bus, Machine},
};

const PROGRAM: &str = "qemu-system-arm";
/// The time of an instruction, as a power of two of nanoseconds: the clock of the one processor counts them, 500 million a
/// second as a small board has. What something costs there, and what is late, does not depend on how busy the host is.
/// By the host's clock, guests stood still at boot: two processors that take turns in one thread always, in threads of
/// their own on a busy host.
const INSTRUCTION: &str = "shift=1,sleep=on";
/// The name that `lab-shot` takes.
const SCREEN: &str = "pl111";

/// Where the board's display takes its pictures from, as its device tree says.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub enum DeviceTree {
    /// The pool of contiguous memory that all share.
    #[default]
    DisplayCma,
    /// 8 MiB of video memory that no heap allocates from: the tree as the kernel's source has it.
    Untouched,
}

impl DeviceTree {
    fn file(self) -> &'static str {
        match self {
            DeviceTree::DisplayCma => "display-cma.dtb",
            DeviceTree::Untouched => "untouched.dtb",
        }
    }
}

/// Builds what guests are made of, except for the workspace's programs, if it is not there.
pub(super) fn prepare(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
    let cross = Cross::prepare(cache, progress)?;
    board_root::debian(cache, progress)?;
    Emulator::prepare(cache, progress)?;
    kernel::board(cache, &cross, progress).map(drop)
}

/// Runs a scenario in a new guest.
pub(super) fn run(scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
    let cache = Cache::open()?;
    let cross = Cross::prepare(&cache, &mut |_| {})?;
    let kernel = kernel::board(&cache, &cross, &mut |_| {})?;
    let arguments = [
        "-icount",
        INSTRUCTION,
        "-M",
        "vexpress-a15,audiodev=silent",
        "-audiodev",
        "none,id=silent",
        "-serial",
        "chardev:console",
        // Its input devices know only the newer registers.
        "-global",
        "virtio-mmio.force-legacy=false",
        "-device",
        "virtio-keyboard-device",
        "-device",
        "virtio-tablet-device",
    ];
    let mut arguments: Vec<_> = arguments.map(Into::into).to_vec();
    arguments.extend(["-dtb".into(), kernel.join(scenario.device_tree.file()).into()]);
    let machine = Machine {
        program: PROGRAM,
        accelerator: "tcg,thread=single",
        arguments,
        bus: Bus::Mmio,
        // The machine must have two: with one, guests stood still after udev's start.
        kernel_options: "console=ttyAMA0 maxcpus=1",
        kernel: kernel.join("zImage"),
        root: board_root::debian(&cache, &mut |_| {})?,
        screen: Some(SCREEN),
    };
    machine.run(&Emulator::prepare(&cache, &mut |_| {})?, scenario, live)
}
