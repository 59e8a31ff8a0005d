//! The kinds of guest.

use super::{LabError, Outcome, Scenario, cache::Cache, emulator::Emulator, kernel, qemu, root, uml};

/// A kind of guest. All run the same scenarios.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Lane {
    /// User-Mode Linux: boots in a second; vkms, vgem, the system heap and udmabuf; cameras and codecs (vivid,
    /// vicodec, vim2m); no CMA. Has `lab-mark`.
    Uml,
    /// QEMU without KVM: boots in 6 seconds; vkms, bochs and virtio-gpu, the system heap, CMA behind two heaps, and
    /// udmabuf. Has `lab-shot` and `lab-input`.
    Qemu,
}

impl Lane {
    /// All of them.
    pub const ALL: [Lane; 2] = [Lane::Uml, Lane::Qemu];

    /// Builds what the lane's guests are made of, if it is not there.
    ///
    /// # Errors
    /// [`LabError`] of the step that failed.
    pub fn prepare(self, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let cache = Cache::open()?;
        match self {
            Lane::Uml => {
                kernel::uml(&cache, progress)?;
            }
            Lane::Qemu => {
                kernel::qemu(&cache, progress)?;
                Emulator::prepare(&cache, progress)?;
            }
        }
        root::debian(&cache, progress)?;
        Ok(())
    }

    /// Runs a scenario; `live` gets its output line by line.
    pub(super) fn run(self, scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
        match self {
            Lane::Uml => uml::run(scenario, live),
            Lane::Qemu => qemu::run(scenario, live),
        }
    }
}
