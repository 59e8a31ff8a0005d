//! Devices that render, and what they import.

use std::path::PathBuf;

use super::egl::{self, EglError};
use super::nodes::{DrmNodes, drm_nodes};
use crate::constraints::{Fourcc, Modifier};
use crate::heaps::Root;
use crate::solver::problem::{OptionSpec, Participant, Role};

/// One (format, modifier) that a renderer imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportPair {
    /// The format.
    pub format: Fourcc,
    /// The modifier.
    pub modifier: Modifier,
    /// It can be read from, but not drawn to.
    pub sample_only: bool,
}

/// A device that renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderDevice {
    /// Its nodes, and what is declared of it; `None`: software, which touches memory with the CPU.
    pub nodes: Option<DrmNodes>,
    /// What it imports, in the driver's order; `None`: it does not say.
    pub imports: Option<Vec<ImportPair>>,
}

impl RenderDevice {
    /// It reads the buffer as a texture; `None` when it does not say what it imports.
    pub fn sample_participant(&self, name: &str) -> Option<Participant> {
        self.participant(Role::Sample, name)
    }

    /// It draws into the buffer; `None` when it does not say what it imports.
    pub fn render_participant(&self, name: &str) -> Option<Participant> {
        self.participant(Role::Render, name)
    }

    fn participant(&self, role: Role, name: &str) -> Option<Participant> {
        let wanted = |pair: &&ImportPair| role == Role::Sample || !pair.sample_only;
        let option = |pair: &ImportPair| OptionSpec {
            format: pair.format.into(),
            modifier: pair.modifier.into(),
            ..OptionSpec::default()
        };
        Some(Participant {
            name: name.to_owned(),
            device: self.nodes.as_ref().map(DrmNodes::name),
            role,
            options: Some(self.imports.as_ref()?.iter().filter(wanted).map(option).collect()),
            ..Participant::default()
        })
    }
}

/// Asks EGL about every device that renders.
///
/// This loads their drivers, which takes tens of milliseconds and megabytes, and they stay loaded.
///
/// # Errors
/// [`EglError`] where there is no EGL, or one that cannot be asked.
pub fn render_devices(root: &Root) -> Result<Vec<RenderDevice>, EglError> {
    let known = drm_nodes(root);
    let nodes = |device: &egl::EglDevice| {
        let is = |own: &Option<PathBuf>, told: &Option<PathBuf>| told.is_some() && own == told;
        let same = |it: &&DrmNodes| is(&it.render, &device.render) || is(&it.primary, &device.primary);
        known.iter().find(same).cloned()
    };
    let mut found = Vec::new();
    for device in egl::devices()? {
        let hardware = device.primary.is_some() || device.render.is_some();
        let nodes = nodes(&device);
        // Without its name no link would be known to concern it.
        if hardware && nodes.is_none() {
            tracing::debug!(?device.primary, ?device.render, "EGL names a device that sysfs does not know");
            continue;
        }
        found.push(RenderDevice { nodes, imports: device.imports });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_only_be_read_is_no_target() {
        let pair = |format, sample_only| ImportPair { format, modifier: Modifier::LINEAR, sample_only };
        let imports = Some(vec![pair(Fourcc::XRGB8888, false), pair(Fourcc::NV12, true)]);
        let device = RenderDevice { nodes: None, imports };
        let formats = |participant: Option<Participant>| participant.unwrap().options.unwrap().len();
        assert_eq!(formats(device.sample_participant("texture")), 2);
        assert_eq!(formats(device.render_participant("target")), 1);
        let silent = RenderDevice { nodes: None, imports: None };
        assert_eq!(silent.sample_participant("texture"), None);
    }
}
