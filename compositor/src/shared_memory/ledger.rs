//! What is known of one client's shared memory: the files of its pools, and where its buffers lie in them.

use std::{
    collections::HashMap,
    hash::Hash,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use heapwright_alloc::buffers::{Buffer, Wrapped, dma_buf};
use rustix::fs::SealFlags;
use smithay::reexports::wayland_server::backend::ObjectId;
use tracing::debug;

use super::Refusal;

/// Pools of one client whose files are kept: each is a descriptor.
const POOLS: usize = 64;

/// Bytes of one client's memory that may be lent at a time: lent pages cannot be swapped out.
const LENT_BYTES: u64 = 256 << 20;

/// Times that a buffer is shown before it is lent.
const SHOWN: u32 = 2;

/// The shared memory of one client, as part of its state. Pools and buffers go by their Wayland objects.
#[derive(Debug)]
pub struct SharedMemory<K = ObjectId>(Mutex<Ledger<K>>);

#[derive(Debug)]
struct Ledger<K> {
    pools: HashMap<K, Pool>,
    buffers: HashMap<K, Entry>,
    /// Files that are kept.
    files: Arc<AtomicUsize>,
    lent_bytes: u64,
}

/// A pool's file, or why it is of no use here.
type Pool = Result<Arc<File>, Refusal>;

/// A file that goes with the last pool or buffer in it.
#[derive(Debug)]
struct File {
    fd: OwnedFd,
    files: Arc<AtomicUsize>,
}

impl File {
    fn new(fd: OwnedFd, files: &Arc<AtomicUsize>) -> Self {
        files.fetch_add(1, Ordering::Relaxed);
        File { fd, files: Arc::clone(files) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.files.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Entry {
    file: Pool,
    picture: Wrapped,
    shown: u32,
    lent: Option<Lent>,
    refused: Option<Refusal>,
}

#[derive(Debug)]
struct Lent {
    bytes: u64,
    /// Where the display does not look into the CPU's caches: what is to be written back at each commit.
    cached: Option<Arc<Buffer>>,
}

impl Entry {
    fn refusal(&self) -> Option<Refusal> {
        let of_file = self.file.as_ref().err().copied();
        of_file.or(self.refused).or((self.shown < SHOWN).then_some(Refusal::New))
    }
}

impl<K> Default for SharedMemory<K> {
    fn default() -> Self {
        SharedMemory(Mutex::new(Ledger {
            pools: HashMap::new(),
            buffers: HashMap::new(),
            files: Arc::default(),
            lent_bytes: 0,
        }))
    }
}

impl<K: Eq + Hash> SharedMemory<K> {
    // Nothing panics while it holds the lock.
    fn ledger(&self) -> MutexGuard<'_, Ledger<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a new pool.
    pub fn add_pool(&self, pool: K, file: &OwnedFd) {
        let mut ledger = self.ledger();
        let known = match lendable(file) {
            Ok(()) if ledger.files.load(Ordering::Relaxed) >= POOLS => Err(Refusal::TooManyPools),
            Ok(()) => match file.try_clone() {
                Ok(file) => Ok(Arc::new(File::new(file, &ledger.files))),
                Err(error) => {
                    debug!(%error, "a pool's file is not kept");
                    Err(Refusal::TooManyPools)
                }
            },
            Err(refusal) => Err(refusal),
        };
        ledger.pools.insert(pool, known);
    }

    /// The client has no more use of a pool; its buffers stay.
    pub fn forget_pool(&self, pool: &K) {
        self.ledger().pools.remove(pool);
    }

    /// Takes note of a new buffer in a pool.
    pub fn add_buffer(&self, pool: &K, buffer: K, picture: Wrapped) {
        let mut ledger = self.ledger();
        let Some(file) = ledger.pools.get(pool).cloned() else { return };
        ledger.buffers.insert(buffer, Entry { file, picture, shown: 0, lent: None, refused: None });
    }

    /// The buffer is gone.
    pub fn forget_buffer(&self, buffer: &K) {
        let mut ledger = self.ledger();
        if let Some(lent) = ledger.buffers.remove(buffer).and_then(|entry| entry.lent) {
            ledger.lent_bytes = ledger.lent_bytes.saturating_sub(lent.bytes);
        }
    }

    /// The buffer is to be shown with what the client has written into it.
    pub fn committed(&self, buffer: &K) {
        let cached = {
            let mut ledger = self.ledger();
            let Some(entry) = ledger.buffers.get_mut(buffer) else { return };
            entry.shown = entry.shown.saturating_add(1);
            entry.lent.as_ref().and_then(|lent| lent.cached.clone())
        };
        if let Some(Err(error)) = cached.map(|buffer| dma_buf::write_back(buffer.fd())) {
            debug!(%error, "a shared buffer was not written back");
        }
    }

    /// Where a buffer lies, if it may be lent; or why not. `None` for what is no shared memory of this client.
    pub fn picture(&self, buffer: &K) -> Option<Result<Wrapped, Refusal>> {
        let ledger = self.ledger();
        let entry = ledger.buffers.get(buffer)?;
        Some(entry.refusal().map_or(Ok(entry.picture), Err))
    }

    /// Why a buffer is not lent; `None` if nothing is known against it.
    pub fn refusal(&self, buffer: &K) -> Option<Refusal> {
        self.ledger().buffers.get(buffer)?.refusal()
    }

    /// Lends a buffer, as `wrap` does it. With `write_back`, at each commit what the CPU has written is put in memory.
    ///
    /// # Errors
    /// [`Refusal`], which is kept for the buffer's life.
    pub fn lend(
        &self,
        buffer: &K,
        write_back: bool,
        wrap: impl FnOnce(&OwnedFd, &Wrapped) -> Option<Buffer>,
    ) -> Result<Arc<Buffer>, Refusal> {
        let mut ledger = self.ledger();
        let lent_bytes = ledger.lent_bytes;
        let entry = ledger.buffers.get_mut(buffer).ok_or(Refusal::Kernel)?;
        if let Some(refusal) = entry.refusal() {
            return Err(refusal);
        }
        let file = entry.file.clone()?;
        let refuse = |entry: &mut Entry, refusal| {
            entry.refused = Some(refusal);
            Err(refusal)
        };
        if !ends_with_a_page(&file.fd, &entry.picture) {
            return refuse(entry, Refusal::Pages);
        }
        let Some(lent) = wrap(&file.fd, &entry.picture).map(Arc::new) else {
            return refuse(entry, Refusal::Kernel);
        };
        // Another output may have borrowed it before: the same pages.
        let bytes = if entry.lent.is_none() { lent.bytes() } else { 0 };
        let total = lent_bytes.saturating_add(bytes);
        if total > LENT_BYTES {
            return refuse(entry, Refusal::Quota);
        }
        if write_back {
            if let Err(error) = dma_buf::write_back(lent.fd()) {
                debug!(%error, "a shared buffer cannot be written back");
                return refuse(entry, Refusal::Kernel);
            }
        }
        if entry.lent.is_none() {
            entry.lent = Some(Lent { bytes, cached: write_back.then(|| Arc::clone(&lent)) });
        }
        ledger.lent_bytes = total;
        Ok(lent)
    }
}

/// Whether the kernel would lend pages of this file, and nobody could take them away.
fn lendable(file: &OwnedFd) -> Result<(), Refusal> {
    match rustix::fs::fcntl_get_seals(file.as_fd()) {
        Ok(seals) if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) => Err(Refusal::ReadOnly),
        Ok(seals) if seals.contains(SealFlags::SHRINK) => Ok(()),
        Ok(_) | Err(_) => Err(Refusal::Unsealed),
    }
}

/// Whether the page in which the picture ends is the file's: what is behind a file's end cannot be lent.
fn ends_with_a_page(file: &OwnedFd, picture: &Wrapped) -> bool {
    let page = rustix::param::page_size() as u64;
    let end = picture.pitch.checked_mul(u64::from(picture.size.height));
    let end = end.and_then(|bytes| bytes.checked_add(picture.offset));
    let end = end.and_then(|end| end.checked_next_multiple_of(page));
    let length = rustix::fs::fstat(file).ok().and_then(|stat| u64::try_from(stat.st_size).ok());
    end.zip(length).is_some_and(|(end, length)| end <= length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapwright_alloc::constraints::{Fourcc, Size};
    use rustix::fs::{MemfdFlags, fcntl_add_seals, ftruncate, memfd_create};

    fn memfd(bytes: u64, seals: SealFlags) -> OwnedFd {
        let file = memfd_create("pool", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, bytes).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    }
    const PICTURE: Wrapped =
        Wrapped { size: Size::new(64, 16), format: Fourcc::XRGB8888, offset: 0, pitch: 256 };

    /// A pool 1 with a buffer 1 in it that has been shown often enough.
    fn with_pool(file: &OwnedFd) -> SharedMemory<u32> {
        let memory = SharedMemory::default();
        memory.add_pool(1, file);
        memory.add_buffer(&1, 1, PICTURE);
        memory.committed(&1);
        memory.committed(&1);
        memory
    }

    /// Stands for the kernel's dma-buf: a memfd of the picture's pages.
    fn wrap(_: &OwnedFd, picture: &Wrapped) -> Option<Buffer> {
        let bytes = picture.pitch * u64::from(picture.size.height);
        let plane = heapwright_alloc::solver::PlaneLayout { offset: 0, pitch: picture.pitch, size: bytes };
        let file = memfd(bytes, SealFlags::SHRINK);
        let linear = heapwright_alloc::constraints::Modifier::LINEAR;
        Buffer::import(file, picture.size, picture.format, linear, vec![plane]).ok()
    }

    #[test]
    fn a_buffer_is_lent_when_it_is_shown_again_and_not_before() {
        let memory = SharedMemory::default();
        memory.add_pool(1, &memfd(4096, SealFlags::SHRINK));
        memory.add_buffer(&1, 7, PICTURE);
        for _ in 0..2 {
            assert_eq!(memory.picture(&7), Some(Err(Refusal::New)));
            assert_eq!(memory.lend(&7, false, wrap).unwrap_err(), Refusal::New);
            memory.committed(&7);
        }
        assert_eq!(memory.picture(&7), Some(Ok(PICTURE)));
        memory.forget_pool(&1);
        assert!(memory.lend(&7, false, wrap).is_ok(), "a buffer outlives its pool");
        memory.forget_buffer(&7);
        assert_eq!(memory.picture(&7), None);
    }

    #[test]
    fn what_the_kernel_would_not_lend_is_refused_by_its_reason() {
        for (bytes, seals, refusal) in [
            (4096, SealFlags::empty(), Refusal::Unsealed),
            (4096, SealFlags::GROW, Refusal::Unsealed),
            (4096, SealFlags::SHRINK | SealFlags::WRITE, Refusal::ReadOnly),
            (4096, SealFlags::SHRINK | SealFlags::FUTURE_WRITE, Refusal::ReadOnly),
            (4095, SealFlags::SHRINK, Refusal::Pages),
        ] {
            let memory = with_pool(&memfd(bytes, seals));
            assert_eq!(memory.lend(&1, false, wrap).unwrap_err(), refusal);
            assert_eq!(memory.refusal(&1), Some(refusal), "it is remembered");
        }
        let device: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        assert_eq!(with_pool(&device).refusal(&1), Some(Refusal::Unsealed));
        let memory = with_pool(&memfd(4096, SealFlags::SHRINK));
        assert_eq!(memory.lend(&1, false, |_, _| None).unwrap_err(), Refusal::Kernel);
        assert_eq!(memory.lend(&1, false, wrap).unwrap_err(), Refusal::Kernel);
    }

    #[test]
    fn a_client_lends_no_more_than_its_share_and_gets_back_what_it_destroys() {
        let memory = SharedMemory::default();
        let file = memfd(LENT_BYTES * 2, SealFlags::SHRINK);
        memory.add_pool(1, &file);
        let half = Wrapped { size: Size::new(64, 1 << 10), pitch: LENT_BYTES / (2 << 10), ..PICTURE };
        for buffer in 0..4 {
            memory.add_buffer(&1, buffer, half);
            memory.committed(&buffer);
            memory.committed(&buffer);
        }
        assert!(memory.lend(&0, false, wrap).is_ok());
        assert!(memory.lend(&0, false, wrap).is_ok(), "for a second output, the same pages");
        assert!(memory.lend(&1, false, wrap).is_ok());
        assert_eq!(memory.lend(&2, false, wrap).unwrap_err(), Refusal::Quota);
        memory.forget_buffer(&0);
        assert!(memory.lend(&3, false, wrap).is_ok());
    }

    #[test]
    fn only_so_many_files_are_kept_open() {
        let memory = SharedMemory::default();
        let file = memfd(4096, SealFlags::SHRINK);
        let refusal = |memory: &SharedMemory<usize>, pool| {
            memory.add_pool(pool, &file);
            memory.add_buffer(&pool, pool, PICTURE);
            memory.refusal(&pool)
        };
        for pool in 0..POOLS {
            assert_eq!(refusal(&memory, pool), Some(Refusal::New));
        }
        assert_eq!(refusal(&memory, POOLS), Some(Refusal::TooManyPools));
        memory.forget_pool(&0);
        assert_eq!(refusal(&memory, POOLS + 1), Some(Refusal::TooManyPools), "its buffer lives");
        memory.forget_buffer(&0);
        assert_eq!(refusal(&memory, POOLS + 2), Some(Refusal::New));
    }
}
