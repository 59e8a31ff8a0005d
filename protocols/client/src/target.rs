//! The device that a tranche of linux-dmabuf feedback is meant for, as a client that allocates by itself may know it.
//!
//! Feedback says which formats and modifiers a device takes, and not where memory must lie for it. A display that takes only
//! contiguous memory refuses most of what another heap makes, or takes it by luck. What the compositor goes by stands open
//! to its clients too: sysfs says whether an IOMMU is in front of the device, the node says which driver it has, for the
//! table of quirks, and one buffer that no luck can help tells whether it takes memory in pieces. So a client's own solver can
//! be told what the compositor's knows.
//!
//! No node need be one that this client may open: what is not known is then left open, and a buffer that the display
//! does not take is composed.

use std::path::PathBuf;

use heapwright_alloc::devices::{DeviceError, Hardware, Iommu, KmsDevice, drm_nodes};
use heapwright_alloc::heaps::{HeapList, Root};
use heapwright_alloc::links::probe_scattered;
use heapwright_alloc::links::quirks::{KernelVersion, Subject, Table, installed, usual_paths};
use heapwright_alloc::solver::problem::{HeapFacts, Link, Participant};

/// The device of a tranche.
#[derive(Debug)]
pub struct TrancheTarget {
    name: String,
    hardware: Hardware,
    /// While it may be opened.
    display: Option<KmsDevice>,
    quirks: Table,
}

impl TrancheTarget {
    /// Looks at the device with the number of `tranche_target_device`, whichever of its nodes that is. `None` when sysfs does
    /// not know it.
    ///
    /// Opens its primary node to look and, in [`TrancheTarget::narrow`], to import buffers; never becomes the master of the
    /// display.
    #[must_use]
    pub fn look(device: u64) -> Option<Self> {
        TrancheTarget::look_below(&Root::default(), device)
    }

    fn look_below(root: &Root, device: u64) -> Option<Self> {
        let hardware = Hardware::of_node(root, device)?;
        let nodes = drm_nodes(root).into_iter().find(|nodes| nodes.hardware.is_same_device(&hardware))?;
        let opened = |path: &PathBuf| match KmsDevice::open(path) {
            Ok(device) => Some(device),
            // A GPU without a display is none either.
            Err(error @ DeviceError::NoDisplay(_)) => {
                tracing::debug!(%error, "target of a tranche");
                None
            }
            Err(error) => {
                tracing::info!(%error, "what the target of a tranche asks of memory is not known");
                None
            }
        };
        let (quirks, errors) = installed(&usual_paths());
        for error in errors {
            tracing::warn!(%error, "quirk table that is not used");
        }
        Some(TrancheTarget {
            name: nodes.name(),
            display: nodes.primary.as_ref().and_then(opened),
            hardware,
            quirks,
        })
    }

    /// What answers and links call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a participant that stands for the tranche this device's, and asks for what the device needs: limits of its
    /// driver, and memory in one piece where it takes no other.
    pub fn narrow(&self, participant: &mut Participant, heaps: &HeapList) {
        participant.device = Some(self.name.clone());
        let Some(display) = &self.display else { return };
        self.quirks.narrow(&self.subject(display), participant);
        if probe_scattered(display, heaps) == Some(false) {
            participant.memory.contiguous = true;
        }
    }

    /// Heaps that its driver is known to take or to refuse.
    #[must_use]
    pub fn links(&self, heaps: &[HeapFacts]) -> Vec<Link> {
        self.display.as_ref().map_or_else(Vec::new, |it| self.quirks.links(&self.subject(it), heaps))
    }

    fn subject<'a>(&'a self, display: &'a KmsDevice) -> Subject<'a> {
        Subject {
            device: &self.name,
            driver: display.driver(),
            kernel: KernelVersion::running(),
            iommu: self.hardware.iommu == Iommu::Translates,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_nodes_name_one_target_and_nothing_is_claimed_of_one_that_cannot_be_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        let device = root.sys.join("devices/display");
        fs::create_dir_all(root.sys.join("dev/char")).expect("a directory");
        fs::create_dir_all(root.sys.join("class/drm")).expect("a directory");
        for (node, number) in [("card0", "226:0"), ("renderD128", "226:128")] {
            let path = device.join("drm").join(node);
            fs::create_dir_all(&path).expect("a directory");
            symlink("../..", path.join("device")).expect("a link");
            symlink(&path, root.sys.join("dev/char").join(number)).expect("a link");
            symlink(&path, root.sys.join("class/drm").join(node)).expect("a link");
        }
        // Device numbers as the kernel and the C library put them together.
        for number in [226 << 8, (226 << 8) | 128] {
            let target = TrancheTarget::look_below(&root, number).expect("a target");
            assert_eq!(target.name(), "card0");
            let mut participant = Participant::default();
            target.narrow(&mut participant, &HeapList::default());
            let wanted = Participant { device: Some("card0".to_owned()), ..Participant::default() };
            assert_eq!(participant, wanted);
            assert_eq!(target.links(&[]), []);
        }
        assert!(TrancheTarget::look_below(&root, (226 << 8) | 7).is_none());
    }
}
