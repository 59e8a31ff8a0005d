//! The lab: real kernels with real KMS, dma-heaps and udmabuf, on a machine that has none.
//!
//! | module | what it holds |
//! |---|---|
//! | [`lane`] | the kinds of guest, one interface |
//! | [`scenario`] | what is run in a guest, and what came of it |
//! | [`mod@uml`], [`mod@qemu`], [`mod@board`] | booting a guest of each kind |
//! | `machine` | what QEMU's machines have in common |
//! | `guest`, `exchange` | a running guest and what it says; the directory it shares with the host |
//! | `monitor` | photographs of a QEMU guest's screens, its keyboard and tablet |
//! | [`kernel`], [`root`], [`board_root`] | what a guest is made of, built once and cached |
//! | [`emulator`] | QEMU, run from a directory |
//! | [`program`] | test programs of the workspace, for a guest |
//! | [`cross`], `crossbuild` | compilers for the board; the workspace's programs, built with them |
//! | `binds` | directories visible in other places, for one command |
//! | [`debian`] | a directory of Debian packages |
//! | [`mirror`] | Debian packages of another release, by the host's own apt |
//! | [`cache`] | artefacts keyed by what they are made from |
//! | [`cpu`], [`mark`] | processor time of a guest and of each of its processes, taken on the host |

mod binds;
pub mod board;
pub mod board_root;
pub mod cache;
pub mod cpu;
pub mod cross;
mod crossbuild;
pub mod debian;
pub mod emulator;
pub mod error;
mod exchange;
mod guest;
pub mod kernel;
pub mod lane;
mod machine;
pub mod mark;
pub mod mirror;
mod monitor;
pub mod program;
pub mod qemu;
pub mod root;
pub mod scenario;
pub mod step;
pub mod uml;

pub use board::DeviceTree;
pub use error::LabError;
pub use lane::Lane;
pub use mark::{Between, Mark, Process};
pub use program::test_program;
pub use scenario::{Outcome, Scenario};

/// A scenario for the User-Mode Linux lane.
#[must_use]
pub fn uml() -> Scenario {
    Scenario::new(Lane::Uml)
}

/// A scenario for the QEMU lane.
#[must_use]
pub fn qemu() -> Scenario {
    Scenario::new(Lane::Qemu)
}

/// A scenario for the board.
#[must_use]
pub fn board() -> Scenario {
    Scenario::new(Lane::Board)
}
