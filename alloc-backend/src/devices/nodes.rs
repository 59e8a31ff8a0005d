//! The DRM devices of a machine with their nodes: a GPU with a primary and a render node is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Hardware;
use crate::heaps::Root;

/// One device and its nodes in `/dev/dri`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrmNodes {
    /// Which device it is, and what is declared of it.
    pub hardware: Hardware,
    /// The node that sets modes (`card*`).
    pub primary: Option<PathBuf>,
    /// The node that renders (`renderD*`).
    pub render: Option<PathBuf>,
}

impl DrmNodes {
    /// What participants and links call the device: its primary node's name, else its render node's; as
    /// [`KmsDevice::name`](super::KmsDevice::name) has it, so that both nodes go by one name.
    pub fn name(&self) -> String {
        let node = self.primary.as_ref().or(self.render.as_ref()).and_then(|path| path.file_name());
        node.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

/// Lists them from sysfs, ordered by their directories there; opens nothing, and needs no permission.
pub fn drm_nodes(root: &Root) -> Vec<DrmNodes> {
    let Ok(entries) = std::fs::read_dir(root.sys.join("class/drm")) else { return Vec::new() };
    let mut found: BTreeMap<PathBuf, DrmNodes> = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Connectors stand beside the nodes, as `card0-HDMI-A-1`.
        let numbered = |prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok());
        let (primary, render) = (numbered("card"), numbered("renderD"));
        if !primary && !render {
            continue;
        }
        let Some(hardware) = Hardware::of_sys_node(root, &entry.path()) else { continue };
        let nodes = found.entry(hardware.directory.clone()).or_insert(DrmNodes {
            hardware,
            primary: None,
            render: None,
        });
        let node = if primary { &mut nodes.primary } else { &mut nodes.render };
        let path = root.dev.join("dri").join(Path::new(&*name));
        *node = Some(path);
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nodes_are_grouped_by_device_and_connectors_are_no_nodes() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        fs::create_dir_all(root.sys.join("class/drm")).unwrap();
        for (device, node) in [
            ("gpu", "card1"),
            ("gpu", "renderD128"),
            ("gpu", "card1-DP-1"),
            ("panel", "card0"),
            ("npu", "renderD129"),
        ] {
            let path = root.sys.join("devices").join(device).join("drm").join(node);
            fs::create_dir_all(&path).unwrap();
            symlink("../..", path.join("device")).unwrap();
            symlink(&path, root.sys.join("class/drm").join(node)).unwrap();
        }
        let found = drm_nodes(&root);
        let names: Vec<_> = found.iter().map(DrmNodes::name).collect();
        assert_eq!(names, ["card1", "renderD129", "card0"]);
        assert_eq!(found[0].render, Some(root.dev.join("dri/renderD128")));
        assert_eq!((&found[1].primary, &found[2].render), (&None, &None));
    }
}
