//! Does a heap draw on the contiguous memory allocator, and on which of its areas? Found by trying.
//!
//! A dma-heap's name says nothing reliable and the kernel has no call that tells. But the kernel counts: every
//! successful `cma_alloc()` adds one to `cma_alloc_success` in `/proc/vmstat` (Linux 5.13, any kernel with CMA), and
//! its pages to `alloc_pages_success` of the area in `/sys/kernel/mm/cma/*` (with CONFIG_CMA_SYSFS). One call is one
//! contiguous range. So: allocate a few pages from the heap; when the count rises by exactly one, in each of several
//! tries of different sizes, the buffer is one range of CMA. A heap whose allocation leaves the count where it was,
//! even once, does not use CMA. Other users of CMA can only blur a try, which is then repeated.
//!
//! Two heaps whose pages come from the same area are one pool: Linux 7.2 and 7.3 register the default area twice.
//!
//! Not known from this, and so not claimed: contiguity of carve-outs that do not go through CMA (a vendor's heap, the
//! protected heaps of TEEs), and where in the address space an area lies, so `address_bits` stays unknown.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::Root;
use super::memfd::page_size;
use super::root::number;

/// The counter of successful contiguous allocations in `/proc/vmstat`.
const COUNTER: &str = "cma_alloc_success";
/// Pages of the tries: more than one, or contiguity would mean nothing; odd, so that an area's rise is recognised.
const TRIES: [u64; 3] = [3, 5, 7];
/// How often a try that somebody else blurred is repeated.
const REPEATS: usize = 4;

/// The contiguous memory behind a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CmaPool {
    /// The directory of the area in sysfs, when the kernel has it and it was recognised.
    area: Option<PathBuf>,
    root: Root,
}

impl CmaPool {
    /// The pool's id: the area, or all of CMA as one pool when areas cannot be told apart, which never promises
    /// two heaps the same bytes twice.
    pub(super) fn id(&self) -> String {
        match self.area.as_ref().and_then(|area| area.file_name()) {
            Some(name) => format!("cma:{}", name.to_string_lossy()),
            None => "cma".to_owned(),
        }
    }

    /// Bytes in all.
    pub(super) fn capacity(&self) -> Option<u64> {
        match &self.area {
            Some(area) => number(&area.join("total_pages"))?.checked_mul(page_size()),
            None => self.root.meminfo("CmaTotal:"),
        }
    }

    /// Bytes free now. The kernel lends them to movable pages, so some may take time to come back, or not come.
    pub(super) fn free(&self) -> Option<u64> {
        let area = self.area.as_ref().and_then(|area| number(&area.join("available_pages")));
        match area {
            Some(pages) => pages.checked_mul(page_size()),
            None => self.root.meminfo("CmaFree:"),
        }
    }
}

/// Tries whether `allocate` draws on CMA.
pub(super) fn observe<E>(
    root: &Root,
    mut allocate: impl FnMut(u64) -> Result<OwnedFd, E>,
) -> Option<CmaPool> {
    root.vmstat(COUNTER)?;
    let mut area: Option<Option<PathBuf>> = None;
    for pages in TRIES {
        let seen = (0..REPEATS).find_map(|_| match one_try(root, pages, &mut allocate) {
            Seen::Blurred => None,
            seen => Some(seen),
        })?;
        let Seen::Contiguous(found) = seen else { return None };
        match &area {
            None => area = Some(found),
            Some(before) if *before == found => {}
            // One range each time, but not from one area: contiguous, pool unknown.
            Some(_) => area = Some(None),
        }
    }
    Some(CmaPool { area: area.flatten(), root: root.clone() })
}

enum Seen {
    Contiguous(Option<PathBuf>),
    Not,
    Blurred,
}

fn one_try<E>(root: &Root, pages: u64, allocate: &mut impl FnMut(u64) -> Result<OwnedFd, E>) -> Seen {
    let areas = areas(root);
    let Some(before) = root.vmstat(COUNTER) else { return Seen::Not };
    let Ok(buffer) = allocate(pages.saturating_mul(page_size())) else { return Seen::Not };
    let after = root.vmstat(COUNTER).unwrap_or(before);
    let now = self::areas(root);
    drop(buffer);
    match after.saturating_sub(before) {
        0 => Seen::Not,
        1 => {
            let mut rose = now.iter().filter(|(area, count)| {
                areas.get(*area).is_some_and(|old| count.checked_sub(*old) == Some(pages))
            });
            match (rose.next(), rose.next()) {
                (Some((area, _)), None) => Seen::Contiguous(Some(area.clone())),
                _ => Seen::Contiguous(None),
            }
        }
        _ => Seen::Blurred,
    }
}

/// Pages handed out so far, by area.
fn areas(root: &Root) -> BTreeMap<PathBuf, u64> {
    let Ok(directory) = std::fs::read_dir(root.sys.join("kernel/mm/cma")) else { return BTreeMap::new() };
    directory
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.clone(), number(&path.join("alloc_pages_success"))?))
        })
        .collect()
}
