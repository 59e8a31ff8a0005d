//! What the devicetree declares of a device, read from the copy in sysfs (`of_node`).
//!
//! Properties are files of big-endian 32-bit cells. Sources: the devicetree specification (`dma-ranges`, `dma-coherent`),
//! and Linux's `reserved-memory.yaml` (`memory-region`, `reusable`, `no-map`).

use std::path::{Path, PathBuf};

use serde::Serialize;

/// What the devicetree declares of a device; nothing is assumed where it is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Devicetree {
    /// Its `compatible` list, most specific first.
    pub compatible: Vec<String>,
    /// Whether its DMA sees the CPU's caches; `None`: not declared, so as the architecture has it.
    pub coherent: Option<bool>,
    /// The reserved memory it is tied to.
    pub memory_regions: Vec<MemoryRegion>,
    /// Bits of the highest memory address that its bus reaches, from `dma-ranges`; `None`: not limited or not known.
    pub reach_bits: Option<u32>,
}

/// A piece of reserved memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryRegion {
    /// Its node's full name, as `linux,cma` or `video@8f000000`: a label.
    pub name: String,
    /// Lent to movable pages while no device needs it, so that a contiguous allocator manages it.
    pub reusable: bool,
    /// The CPU never maps it.
    pub no_map: bool,
}

impl Devicetree {
    /// Reads the node of a device. `tree` is the root node.
    pub(super) fn read(node: &Path, tree: &Path) -> Self {
        Devicetree {
            compatible: strings(node, "compatible"),
            coherent: coherent(node, tree),
            memory_regions: memory_regions(node, tree),
            reach_bits: reach(node, tree).filter(|bits| *bits < u64::BITS),
        }
    }
}

/// The nearest declaration counts: on the device, else on a bus above it.
fn coherent(node: &Path, tree: &Path) -> Option<bool> {
    upwards(node, tree).into_iter().find_map(|node| {
        let has = |name: &str| node.join(name).exists();
        has("dma-coherent").then_some(true).or_else(|| has("dma-noncoherent").then_some(false))
    })
}

fn memory_regions(node: &Path, tree: &Path) -> Vec<MemoryRegion> {
    let wanted = cells(node, "memory-region").unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(tree.join("reserved-memory")) else { return Vec::new() };
    let regions: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let region = |phandle: &u32| {
        let region = regions.iter().find(|path| cells(path, "phandle").as_deref() == Some(&[*phandle]))?;
        Some(MemoryRegion {
            name: region.file_name()?.to_string_lossy().into_owned(),
            reusable: region.join("reusable").exists(),
            no_map: region.join("no-map").exists(),
        })
    };
    wanted.iter().filter_map(region).collect()
}

/// Bits of the highest memory address below all buses' windows; `None` where no bus has a window, or it cannot be told.
fn reach(node: &Path, tree: &Path) -> Option<u32> {
    // Its DMA goes another way than the tree shows.
    if strings(node, "interconnect-names").iter().any(|name| name == "dma-mem") {
        return None;
    }
    let mut highest: Option<Vec<u64>> = None;
    for bus in upwards(node, tree).into_iter().skip(1) {
        // A bus that says nothing ends the chain; one that says "empty" changes nothing.
        let Some(ranges) = ranges(bus) else { break };
        if ranges.is_empty() {
            continue;
        }
        let mut above = Vec::new();
        match &highest {
            None => {
                for range in &ranges {
                    above.push(range.parent.checked_add(range.bytes.checked_sub(1)?)?);
                }
            }
            Some(below) => {
                for address in below {
                    let range = ranges
                        .iter()
                        .find(|it| address.checked_sub(it.child).is_some_and(|at| at < it.bytes))?;
                    above.push(range.parent.checked_add(address - range.child)?);
                }
            }
        }
        highest = Some(above);
    }
    highest?.into_iter().max().map(|last| u64::BITS - last.leading_zeros())
}

/// A window of a bus: where devices below it see memory, and where it lies above it.
struct Range {
    child: u64,
    parent: u64,
    bytes: u64,
}

/// `dma-ranges` of a bus; `None` when it has none, or says what cannot be read.
fn ranges(bus: &Path) -> Option<Vec<Range>> {
    let cells = cells(bus, "dma-ranges")?;
    let count = |node: &Path, name, default| {
        let given = self::cells(node, name).and_then(|cells| cells.first().copied()).unwrap_or(default);
        usize::try_from(given).ok()
    };
    // The devicetree specification's defaults.
    let child = count(bus, "#address-cells", 2)?;
    let bytes = count(bus, "#size-cells", 1)?;
    let parent = count(bus.parent()?, "#address-cells", 2)?;
    let entry = child.checked_add(parent)?.checked_add(bytes)?;
    if cells.is_empty() {
        return Some(Vec::new());
    }
    if entry == 0 || cells.len() % entry != 0 {
        return None;
    }
    let range = |cells: &[u32]| {
        Some(Range {
            child: number(cells.get(..child)?)?,
            parent: number(cells.get(child..child + parent)?)?,
            bytes: number(cells.get(child + parent..)?)?,
        })
    };
    cells.chunks_exact(entry).map(range).collect()
}

/// At most two cells; of three (PCI) the first is a kind of address, not a part of it.
fn number(cells: &[u32]) -> Option<u64> {
    match cells {
        [low] => Some(u64::from(*low)),
        [high, low] | [_, high, low] => Some((u64::from(*high) << 32) | u64::from(*low)),
        _ => None,
    }
}

/// A node and those above it, to the root.
fn upwards<'a>(node: &'a Path, tree: &'a Path) -> Vec<&'a Path> {
    node.ancestors().take_while(|it| it.starts_with(tree)).collect()
}

fn cells(node: &Path, name: &str) -> Option<Vec<u32>> {
    let bytes = std::fs::read(node.join(name)).ok()?;
    let cell = |cell: &[u8]| Some(u32::from_be_bytes(cell.try_into().ok()?));
    bytes.chunks_exact(4).map(cell).collect()
}

fn strings(node: &Path, name: &str) -> Vec<String> {
    let bytes = std::fs::read(node.join(name)).unwrap_or_default();
    let texts = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty());
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(node: &Path, name: &str, cells: &[u32]) {
        std::fs::create_dir_all(node).unwrap();
        let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        std::fs::write(node.join(name), bytes).unwrap();
    }

    #[test]
    fn a_bus_that_reaches_the_first_gigabyte_says_thirty_bits() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path();
        let device = tree.join("soc/hvs@7e400000");
        std::fs::create_dir_all(&device).unwrap();
        assert_eq!(Devicetree::read(&device, tree), Devicetree::default());
        // As on a Raspberry Pi 4: memory at 0 is seen at 0xc0000000.
        property(tree, "#address-cells", &[2]);
        property(&tree.join("soc"), "#address-cells", &[1]);
        property(&tree.join("soc"), "#size-cells", &[1]);
        property(&tree.join("soc"), "dma-ranges", &[0xc000_0000, 0, 0, 0x4000_0000]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, Some(30));
        // Torn: the property says nothing.
        property(&tree.join("soc"), "dma-ranges", &[0xc000_0000, 0, 0]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, None);
        // A wider window than any address.
        property(&tree.join("soc"), "dma-ranges", &[0, u32::MAX, u32::MAX, 2]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, None);
    }

    #[test]
    fn windows_of_buses_above_each_other_are_translated() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path();
        let device = tree.join("outer/inner/display");
        std::fs::create_dir_all(&device).unwrap();
        for node in ["", "outer", "outer/inner"] {
            property(&tree.join(node), "#address-cells", &[1]);
            property(&tree.join(node), "#size-cells", &[1]);
        }
        property(&tree.join("outer/inner"), "dma-ranges", &[0, 0x1000_0000, 0x1000_0000]);
        property(&tree.join("outer"), "dma-ranges", &[0x1000_0000, 0x4000_0000, 0x1000_0000]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, Some(31));
        property(&tree.join("outer"), "dma-ranges", &[]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, Some(29));
        property(&tree.join("outer"), "dma-ranges", &[0x9000_0000, 0, 0x1000]);
        assert_eq!(Devicetree::read(&device, tree).reach_bits, None);
    }

    #[test]
    fn the_nearest_word_on_coherency_counts_and_regions_are_found_by_their_handle() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path();
        let device = tree.join("soc/display");
        property(&device, "memory-region", &[7, 9]);
        property(&tree.join("soc"), "dma-coherent", &[]);
        std::fs::write(device.join("compatible"), b"vendor,new\0vendor,old\0").unwrap();
        let region = tree.join("reserved-memory/video@8f000000");
        property(&region, "phandle", &[7]);
        property(&region, "reusable", &[]);
        property(&tree.join("reserved-memory/other"), "phandle", &[8]);
        let read = Devicetree::read(&device, tree);
        assert_eq!(
            (read.compatible, read.coherent),
            (vec!["vendor,new".into(), "vendor,old".into()], Some(true))
        );
        let name = "video@8f000000".to_owned();
        assert_eq!(read.memory_regions, [MemoryRegion { name, reusable: true, no_map: false }]);
        property(&device, "dma-noncoherent", &[]);
        assert_eq!(Devicetree::read(&device, tree).coherent, Some(false));
    }
}
