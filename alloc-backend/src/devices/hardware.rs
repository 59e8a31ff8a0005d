//! The device behind a node, as sysfs declares it: which one it is, its driver and bus, and what stands before memory.
//!
//! A device is its directory in sysfs. A node's number is only good for finding that directory: one GPU has a primary and
//! a render node with different numbers, and a number means nothing on another machine or after a device was plugged anew.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::devicetree::Devicetree;
use crate::heaps::Root;

/// What stands between a device and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Iommu {
    /// Nothing.
    Absent,
    /// An IOMMU that the kernel maps every buffer through: memory in pieces looks contiguous to the device.
    Translates,
    /// An IOMMU that passes addresses through (an `identity` domain): it waives nothing.
    PassesThrough,
    /// An IOMMU, but the kernel does not say how it is used, or the driver manages it by itself.
    Unknown,
}

/// What sysfs declares of the device behind a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hardware {
    /// Its directory in sysfs, links resolved: which device it is.
    pub directory: PathBuf,
    /// The driver bound to it: a label.
    pub driver: Option<String>,
    /// The bus it hangs on (`pci`, `platform`, `usb`, `faux`).
    pub bus: Option<String>,
    /// What the kernel matches drivers with.
    pub modalias: Option<String>,
    /// What stands between it and memory.
    pub iommu: Iommu,
    /// What the devicetree declares, where there is one.
    pub devicetree: Option<Devicetree>,
}

impl Hardware {
    /// Looks at the device behind a character device's number; `None` when sysfs does not know it.
    pub fn of_node(root: &Root, dev: u64) -> Option<Self> {
        let node = format!("dev/char/{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
        Hardware::of_sys_node(root, &root.sys.join(node))
    }

    /// Looks at the device behind a node's directory in sysfs.
    pub(super) fn of_sys_node(root: &Root, node: &Path) -> Option<Self> {
        let directory = std::fs::canonicalize(node.join("device")).ok()?;
        let target = |name: &str| std::fs::canonicalize(directory.join(name)).ok();
        let label = |name: &str| Some(target(name)?.file_name()?.to_string_lossy().into_owned());
        let text = |path: PathBuf| Some(std::fs::read_to_string(path).ok()?.trim().to_owned());
        let tree = std::fs::canonicalize(root.sys.join("firmware/devicetree/base")).ok();
        let devicetree = target("of_node").zip(tree).map(|(node, tree)| Devicetree::read(&node, &tree));
        Some(Hardware {
            driver: label("driver"),
            bus: label("subsystem"),
            modalias: text(directory.join("modalias")).filter(|alias| !alias.is_empty()),
            iommu: match target("iommu_group") {
                None => Iommu::Absent,
                Some(group) => iommu(text(group.join("type")).as_deref()),
            },
            devicetree,
            directory,
        })
    }

    /// Whether two nodes belong to one device.
    pub fn is_same_device(&self, other: &Hardware) -> bool {
        self.directory == other.directory
    }
}

/// Words of `/sys/kernel/iommu_groups/*/type` (`Documentation/ABI/testing/sysfs-kernel-iommu_groups`, Linux 5.11 and
/// newer).
fn iommu(kind: Option<&str>) -> Iommu {
    match kind {
        Some("DMA" | "DMA-FQ") => Iommu::Translates,
        Some("identity") => Iommu::PassesThrough,
        _ => Iommu::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sysfs with one GPU of two nodes, behind an IOMMU of this type.
    fn machine(kind: &str) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let device = root.sys.join("devices/pci0/0000:03:00.0");
        let group = root.sys.join("kernel/iommu_groups/4");
        for path in [&root.sys.join("dev/char"), &root.sys.join("bus/pci/drivers/somegpu"), &group] {
            fs::create_dir_all(path).unwrap();
        }
        for (node, number) in [("card1", "226:1"), ("renderD128", "226:128")] {
            fs::create_dir_all(device.join("drm").join(node)).unwrap();
            symlink("../..", device.join("drm").join(node).join("device")).unwrap();
            symlink(device.join("drm").join(node), root.sys.join("dev/char").join(number)).unwrap();
        }
        symlink(root.sys.join("bus/pci"), device.join("subsystem")).unwrap();
        symlink(root.sys.join("bus/pci/drivers/somegpu"), device.join("driver")).unwrap();
        symlink(&group, device.join("iommu_group")).unwrap();
        fs::write(group.join("type"), format!("{kind}\n")).unwrap();
        fs::write(device.join("modalias"), "pci:v00001002d\n").unwrap();
        (directory, root)
    }

    #[test]
    fn both_nodes_of_a_gpu_are_one_device_whatever_their_numbers() {
        let (_directory, root) = machine("DMA-FQ");
        let primary = Hardware::of_node(&root, rustix::fs::makedev(226, 1)).unwrap();
        let render = Hardware::of_node(&root, rustix::fs::makedev(226, 128)).unwrap();
        assert!(primary.is_same_device(&render));
        assert_eq!(primary.driver.as_deref(), Some("somegpu"));
        assert_eq!(primary.bus.as_deref(), Some("pci"));
        assert_eq!(primary.modalias.as_deref(), Some("pci:v00001002d"));
        assert_eq!(primary.devicetree, None);
        assert_eq!(Hardware::of_node(&root, rustix::fs::makedev(226, 2)), None);
    }

    #[test]
    fn only_an_iommu_that_translates_is_one() {
        for (kind, iommu) in [
            ("DMA", Iommu::Translates),
            ("DMA-FQ", Iommu::Translates),
            ("identity", Iommu::PassesThrough),
            ("unmanaged", Iommu::Unknown),
            ("", Iommu::Unknown),
        ] {
            let (_directory, root) = machine(kind);
            let hardware = Hardware::of_node(&root, rustix::fs::makedev(226, 1)).unwrap();
            assert_eq!(hardware.iommu, iommu, "{kind}");
            fs::remove_file(hardware.directory.join("iommu_group")).unwrap();
            let hardware = Hardware::of_node(&root, rustix::fs::makedev(226, 1)).unwrap();
            assert_eq!(hardware.iommu, Iommu::Absent);
        }
    }

    #[test]
    fn the_devicetree_is_read_where_the_device_has_a_node_in_it() {
        let (_directory, root) = machine("DMA");
        let node = root.sys.join("firmware/devicetree/base/soc/gpu");
        fs::create_dir_all(&node).unwrap();
        fs::write(node.join("dma-coherent"), "").unwrap();
        symlink(&node, root.sys.join("devices/pci0/0000:03:00.0/of_node")).unwrap();
        let hardware = Hardware::of_node(&root, rustix::fs::makedev(226, 1)).unwrap();
        assert_eq!(hardware.devicetree.and_then(|tree| tree.coherent), Some(true));
    }
}
