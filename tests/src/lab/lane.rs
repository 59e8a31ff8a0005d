//! The kinds of guest.

use super::{LabError, Outcome, Scenario, cache::Cache, kernel, root, uml};

/// A kind of guest. All run the same scenarios.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Lane {
    /// User-Mode Linux: boots in a second; vkms, vgem, the system heap and udmabuf; no CMA.
    Uml,
}

impl Lane {
    /// Builds what the lane's guests are made of, if it is not there.
    ///
    /// # Errors
    /// [`LabError`] of the step that failed.
    pub fn prepare(self, progress: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let cache = Cache::open()?;
        match self {
            Lane::Uml => {
                kernel::uml(&cache, progress)?;
                root::debian(&cache, progress)?;
                Ok(())
            }
        }
    }

    /// Runs a scenario; `live` gets its output line by line.
    pub(super) fn run(self, scenario: &Scenario, live: &mut dyn FnMut(&str)) -> Result<Outcome, LabError> {
        match self {
            Lane::Uml => uml::run(scenario, live),
        }
    }
}
