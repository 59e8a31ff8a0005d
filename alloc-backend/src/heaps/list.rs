//! Finding the heaps of this machine, and saying what stands in the way of the others.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{DmaHeap, Heap, HeapError, HeapId, MemfdHeap, Root, UdmabufHeap};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct HeapList {
    /// The heaps that can be used, in a stable order; the last resort (memfd) last.
    pub heaps: Vec<Arc<dyn Heap>>,
    /// The nodes that cannot be used, and what is missing.
    pub problems: Vec<HeapProblem>,
}

impl HeapList {
    /// The heap with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<dyn Heap>> {
        self.heaps.iter().find(|heap| heap.id().as_str() == id)
    }
}

/// A heap that is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct HeapProblem {
    /// The node, or where it was expected.
    pub path: PathBuf,
    /// Why, and what would help.
    pub error: HeapError,
}

/// Lists every dma-heap, udmabuf and the memfd heap. Dumb buffers come with their device.
///
/// Never fails: what cannot be used is in [`HeapList::problems`].
pub fn list(root: &Root) -> HeapList {
    let mut found = HeapList::default();
    dma_heaps(root, &mut found);
    let path = root.dev.join("udmabuf");
    match UdmabufHeap::open(&path, root) {
        Ok(heap) => found.heaps.push(Arc::new(heap)),
        Err(error) => found.problems.push(HeapProblem { path, error }),
    }
    found.heaps.push(Arc::new(MemfdHeap::new(root)));
    for problem in &found.problems {
        tracing::debug!(path = %problem.path.display(), error = %problem.error, "heap not usable");
    }
    found
}

fn dma_heaps(root: &Root, found: &mut HeapList) {
    let directory = root.dev.join("dma_heap");
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) => {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            let advice = "use a kernel with CONFIG_DMABUF_HEAPS, or, in a container, pass /dev/dma_heap in";
            let error = open_error(&directory, errno, advice, "give the user access to this directory");
            found.problems.push(HeapProblem { path: directory, error });
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // By device number, so that the order does not hang on names; names only break the tie of aliases.
    paths.sort_by_cached_key(|path| (std::fs::metadata(path).map(|meta| meta.rdev()).ok(), path.clone()));
    let mut heaps: Vec<DmaHeap> = Vec::new();
    for path in paths {
        match DmaHeap::open(&path, root) {
            Ok(heap) => match heaps.iter_mut().find(|known| known.id() == heap.id()) {
                // Two nodes with one device number are one heap with two names.
                Some(known) => {
                    let name = path.file_name().unwrap_or(OsStr::new("?"));
                    known.add_name(name.to_string_lossy().into_owned());
                }
                None => heaps.push(heap),
            },
            Err(error) => found.problems.push(HeapProblem { path, error }),
        }
    }
    found.heaps.extend(heaps.into_iter().map(|heap| Arc::new(heap) as Arc<dyn Heap>));
}

/// Opens a character device and derives the heap's id from its device number.
pub(super) fn open_node(
    path: &Path,
    kind: &'static str,
    access: OFlags,
    udev_rule: &str,
) -> Result<(OwnedFd, HeapId), HeapError> {
    let absent = "load the kernel module that makes it, or, in a container, pass the node in";
    let denied = format!("give the user access, e.g. with a udev rule `{udev_rule}`");
    let meta = std::fs::metadata(path).map_err(|error| {
        open_error(path, Errno::from_io_error(&error).unwrap_or(Errno::IO), absent, &denied)
    })?;
    if !meta.file_type().is_char_device() {
        return Err(HeapError::NotADevice(path.to_owned()));
    }
    let node = rustix::fs::open(path, access | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
        .map_err(|errno| open_error(path, errno, absent, &denied))?;
    let dev = meta.rdev();
    let id = format!("{kind}:{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    Ok((node, HeapId::new(id)))
}

fn open_error(path: &Path, errno: Errno, absent: &str, denied: &str) -> HeapError {
    let path = path.to_owned();
    match errno {
        Errno::ACCESS | Errno::PERM => HeapError::Permission { path, advice: denied.to_owned() },
        Errno::NOENT | Errno::NODEV | Errno::NXIO => HeapError::Missing { path, advice: absent.to_owned() },
        errno => HeapError::Failed { path, what: "open it", errno },
    }
}
