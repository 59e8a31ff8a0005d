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

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel whose counters rise with each allocation by what `rise` says, for so many pages.
    struct Kernel {
        directory: tempfile::TempDir,
        root: Root,
        calls: u64,
    }

    impl Kernel {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let root = Root::at(directory.path());
            for area in ["a", "b"] {
                std::fs::create_dir_all(root.sys.join("kernel/mm/cma").join(area)).unwrap();
            }
            std::fs::create_dir_all(&root.proc).unwrap();
            std::fs::write(root.proc.join("meminfo"), "MemTotal: 8 kB\nCmaTotal:  64 kB\nCmaFree: 60 kB\n")
                .unwrap();
            let mut kernel = Kernel { directory, root, calls: 0 };
            kernel.count(0, "a", 0);
            kernel.count(0, "b", 0);
            kernel
        }

        fn area(&self, area: &str, file: &str) -> PathBuf {
            self.root.sys.join("kernel/mm/cma").join(area).join(file)
        }

        fn count(&mut self, calls: u64, area: &str, pages: u64) {
            self.calls += calls;
            let text = format!("pgfault 3\ncma_alloc_success {}\ncma_alloc_fail 0\n", self.calls);
            std::fs::write(self.root.proc.join("vmstat"), text).unwrap();
            let file = self.area(area, "alloc_pages_success");
            let before = number(&file).unwrap_or(0);
            std::fs::write(&file, format!("{}\n", before + pages)).unwrap();
            std::fs::write(self.area(area, "total_pages"), format!("{}\n", 65536 / page_size())).unwrap();
        }

        fn memory(&self) -> OwnedFd {
            std::fs::File::open(self.directory.path()).unwrap().into()
        }
    }

    fn watch(mut rise: impl FnMut(&mut Kernel, u64)) -> Option<CmaPool> {
        let mut kernel = Kernel::new();
        let root = kernel.root.clone();
        let pool = observe(&root, |bytes| {
            rise(&mut kernel, bytes / page_size());
            Ok::<_, ()>(kernel.memory())
        });
        if let Some(pool) = &pool {
            assert_eq!((pool.capacity(), pool.free()), (Some(65536), Some(61440)));
        }
        pool
    }

    #[test]
    fn one_contiguous_allocation_each_time_is_cma_and_its_area_is_the_pool() {
        let pool = watch(|kernel, pages| kernel.count(1, "b", pages)).unwrap();
        assert_eq!(pool.id(), "cma:b");
    }

    #[test]
    fn an_allocation_that_the_counter_does_not_see_is_not_cma() {
        assert_eq!(watch(|_, _| {}), None);
        let mut first = true;
        let lucky = watch(|kernel, pages| {
            if std::mem::take(&mut first) {
                kernel.count(1, "a", pages);
            }
        });
        assert_eq!(lucky, None);
    }

    #[test]
    fn somebody_else_allocating_only_blurs_one_try() {
        let mut tries = 0;
        let pool = watch(|kernel, pages| {
            tries += 1;
            kernel.count(1, "a", pages);
            if tries == 2 {
                kernel.count(1, "b", 9);
            }
        });
        assert_eq!(pool.unwrap().id(), "cma:a");
        assert_eq!(watch(|kernel, pages| kernel.count(2, "a", pages)), None);
    }

    #[test]
    fn where_areas_cannot_be_told_apart_all_of_cma_is_one_pool() {
        let pool = watch(|kernel, _| kernel.count(1, "a", 1)).unwrap();
        assert_eq!(pool.id(), "cma");
    }
}
