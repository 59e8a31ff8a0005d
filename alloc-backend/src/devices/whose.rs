//! Which device an API speaks of.

use std::path::PathBuf;

use super::Hardware;
use super::nodes::DrmNodes;
use crate::heaps::Root;

/// How an API names a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// It is none: software.
    Software,
    /// By its nodes.
    Nodes(Vec<PathBuf>),
    /// By the major and minor numbers of its nodes.
    #[cfg_attr(not(feature = "vulkan"), allow(dead_code, reason = "Vulkan's way"))]
    Numbers(Vec<(u32, u32)>),
}

impl Whose {
    /// Whether it speaks of this device. Numbers are only good for finding the device's directory: see [`Hardware`].
    pub(super) fn is(&self, nodes: &DrmNodes, root: &Root) -> bool {
        match self {
            Whose::Software => false,
            Whose::Nodes(paths) => {
                nodes.primary.iter().chain(&nodes.render).any(|own| paths.iter().any(|path| path == own))
            }
            Whose::Numbers(numbers) => numbers.iter().any(|(major, minor)| {
                let hardware = Hardware::of_node(root, rustix::fs::makedev(*major, *minor));
                hardware.is_some_and(|it| it.is_same_device(&nodes.hardware))
            }),
        }
    }
}
