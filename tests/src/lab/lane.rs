//! The kinds of guest.

use super::{LabError, Outcome, Scenario, board, cache::Cache, emulator::Emulator, kernel, qemu, root, uml};

/// A kind of guest. All run the same scenarios.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Lane {
    /// User-Mode Linux: boots in a second; vkms, vgem, the system heap and udmabuf; cameras and codecs (vivid,
    /// vicodec, vim2m); no CMA. Has `lab-mark`.
    Uml,
    /// QEMU without KVM: boots in 6 seconds; vkms, bochs and virtio-gpu, the system heap, CMA behind two heaps, and
    /// udmabuf. Has `lab-shot` and `lab-input`.
    Qemu,
    /// An emulated ARM board: boots in 9 seconds; one display, that takes only contiguous memory, and one pool of that.
    /// Has `lab-shot` and `lab-input`. Takes a quarter of an hour to build, and so is not one of [`Lane::ALWAYS`].
    Board,
}

impl Lane {
    /// Those that every check needs.
    pub const ALWAYS: [Lane; 2] = [Lane::Uml, Lane::Qemu];

    /// Builds what the lane's guests are made of, if it is not there.
    ///
    /// # Errors
    /// [`LabError`] of the step that failed.
    pub fn prepare(self, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        self.make(&Cache::open()?, progress)
    }

    /// The first thing that is still to be built for the lane's guests, `None` if nothing is.
    ///
    /// # Errors
    /// [`LabError`] when the cache can't be read.
    pub fn missing(self) -> Result<Option<String>, LabError> {
        match self.make(&Cache::open()?.as_it_is(), &mut |_| {}) {
            Ok(()) => Ok(None),
            Err(LabError::Cold { name }) => Ok(Some(name)),
            Err(other) => Err(other),
        }
    }

    fn make(self, cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        match self {
            Lane::Uml => {
                kernel::uml(cache, progress)?;
            }
            Lane::Qemu => {
                kernel::qemu(cache, progress)?;
                Emulator::prepare(cache, progress)?;
            }
            Lane::Board => return board::prepare(cache, progress),
        }
        root::debian(cache, progress)?;
        Ok(())
    }

    /// Runs a scenario; `live` gets its output line by line.
    pub(super) fn run(self, scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
        match self {
            Lane::Uml => uml::run(scenario, live),
            Lane::Qemu => qemu::run(scenario, live),
            Lane::Board => board::run(scenario, live),
        }
    }
}
