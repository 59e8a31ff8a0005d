//! What holds on any Linux host: memfd buffers, mapping, and descriptors that lie about themselves.

#![allow(clippy::unwrap_used)] // Helpers of tests are no tests to clippy.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use heapwright_alloc::buffers::dma_buf::{self, FdKind};
use heapwright_alloc::buffers::{Buffer, BufferError, Layout, LayoutError, MapError, Mapping, Memory};
use heapwright_alloc::constraints::{Fourcc, Modifier, Size};
use heapwright_alloc::heaps::{self, AllocError, Heap, HeapError, MemfdHeap, Request, Root};
use heapwright_alloc::solver::PlaneLayout;
use rustix::fs::{MemfdFlags, SealFlags};

fn layout(width: u32, height: u32) -> Layout {
    let pitch = u64::from(width) * 4;
    let size = pitch * u64::from(height);
    let planes = vec![PlaneLayout { offset: 0, pitch, size }];
    Layout::new(Size::new(width, height), Fourcc::XRGB8888, Modifier::LINEAR, planes, size).unwrap()
}

fn memfd() -> Arc<dyn Heap> {
    Arc::new(MemfdHeap::new(&Root::default()))
}

#[test]
fn a_memfd_buffer_is_zeroed_mappable_and_of_whole_pages() {
    let buffer = Buffer::allocate(&*memfd(), &layout(33, 7), "test").unwrap();
    assert_eq!(buffer.memory(), Memory::Memfd);
    assert_eq!(buffer.heap().unwrap().as_str(), "memfd");
    assert!(buffer.bytes() >= 33 * 4 * 7 && buffer.bytes() % 4096 == 0);
    let mut mapping = buffer.map().unwrap();
    assert!(mapping.read().unwrap().iter().all(|byte| *byte == 0));
    mapping.write().unwrap()[5] = 7;
    assert_eq!(buffer.map_read_only().unwrap().read().unwrap()[5], 7);
    assert!(matches!(buffer.map_read_only().unwrap().write(), Err(MapError::ReadOnly)));
}

#[test]
fn nobody_can_shrink_or_grow_a_buffer() {
    let buffer = Buffer::allocate(&*memfd(), &layout(64, 64), "test").unwrap();
    assert!(rustix::fs::ftruncate(buffer.fd(), 0).is_err());
    assert!(rustix::fs::ftruncate(buffer.fd(), buffer.bytes() * 2).is_err());
    assert!(rustix::fs::fcntl_add_seals(buffer.fd(), SealFlags::WRITE).is_err());
}

#[test]
fn a_memfd_that_can_still_shrink_is_not_mapped() {
    let fd = rustix::fs::memfd_create("pool", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&fd, 8192).unwrap();
    assert_eq!(Mapping::new(fd.as_fd(), 8192, true).unwrap_err(), MapError::Unsealed);
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    assert!(Mapping::new(fd.as_fd(), 8192, true).is_ok());
}

#[test]
fn a_truncated_memfd_is_refused_with_both_sizes() {
    let fd = rustix::fs::memfd_create("pool", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&fd, 4096).unwrap();
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    let error = Mapping::new(fd.as_fd(), 8192, false).unwrap_err();
    assert_eq!(error, MapError::TooShort { wanted: 8192, actual: 4096 });
    let planes = vec![PlaneLayout { offset: 4096, pitch: 256, size: 256 }];
    let size = Size::new(64, 1);
    let error = Buffer::import(fd, size, Fourcc::XRGB8888, Modifier::LINEAR, planes).unwrap_err();
    let expected = LayoutError::BeyondEnd { plane: 0, offset: 4096, end: 4352, bytes: 4096 };
    assert_eq!(error, BufferError::Layout(expected));
}

#[test]
fn a_file_is_no_dma_buf() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    assert!(!dma_buf::is_dma_buf(file.as_fd()));
    assert!(dma_buf::set_name(file.as_fd(), "name").is_err());
    assert!(dma_buf::export_sync_file(file.as_fd(), dma_buf::Access::Read).is_err());
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    assert_eq!(dma_buf::kind(reader.as_fd()), FdKind::Other);
    let planes = vec![PlaneLayout { offset: 0, pitch: 4, size: 4 }];
    let error = Buffer::import(reader, Size::new(1, 1), Fourcc::XRGB8888, Modifier::LINEAR, planes);
    assert_eq!(error.unwrap_err(), BufferError::NotADmaBuf);
}

#[test]
fn an_absurd_size_is_an_error_and_not_an_overflow() {
    let heap = memfd();
    for bytes in [0, u64::MAX, u64::MAX - 4095] {
        let error = heap.allocate(&Request::bytes(bytes, "huge")).unwrap_err();
        assert!(matches!(error, AllocError::BadRequest { .. } | AllocError::TooLarge { .. }), "{error}");
    }
    let error = heap.allocate(&Request::bytes(1 << 60, "huge")).unwrap_err();
    assert!(error.to_string().contains("the machine's memory"), "{error}");
}

#[test]
fn a_name_with_a_zero_byte_or_too_long_a_name_does_no_harm() {
    let long = "\u{e9}".repeat(300);
    for name in ["a\0b", "", long.as_str()] {
        assert!(memfd().allocate(&Request::bytes(1, name)).is_ok());
    }
}

#[test]
fn allocating_leaves_no_descriptor_behind() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let heap = memfd();
    let shape = layout(64, 64);
    // Other tests of this process open descriptors too, so a leak of one each is what would be seen.
    let before = count();
    for _ in 0..500 {
        let buffer = Buffer::allocate(&*heap, &shape, "leak").unwrap();
        drop(buffer.map().unwrap());
    }
    assert!(count() < before + 100);
}

#[test]
fn listing_an_empty_machine_gives_memfd_and_says_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let found = heaps::list(&Root::at(root.path()));
    let ids: Vec<_> = found.heaps.iter().map(|heap| heap.id().to_string()).collect();
    assert_eq!(ids, ["memfd"]);
    let problems: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("dma_heap: not there: use a kernel with CONFIG_DMABUF_HEAPS"),
        "{problems:?}"
    );
    assert!(problems[1].contains("udmabuf: not there"), "{problems:?}");
}

#[test]
fn a_node_that_is_no_heap_is_named_and_left_out() {
    let root = tempfile::tempdir().unwrap();
    let heap_dir = root.path().join("dev/dma_heap");
    std::fs::create_dir_all(&heap_dir).unwrap();
    std::fs::write(heap_dir.join("file"), "").unwrap();
    std::os::unix::fs::symlink("/dev/null", heap_dir.join("null")).unwrap();
    std::os::unix::fs::symlink("/dev/null", root.path().join("dev/udmabuf")).unwrap();
    let found = heaps::list(&Root::at(root.path()));
    assert_eq!(found.heaps.len(), 1);
    let error = |path: &Path| {
        found.problems.iter().find(|problem| problem.path == path).map(|problem| problem.error.clone())
    };
    assert!(matches!(error(&heap_dir.join("file")), Some(HeapError::NotADevice(_))));
    assert!(matches!(error(&heap_dir.join("null")), Some(HeapError::NotAHeap { .. })));
    assert!(matches!(error(&root.path().join("dev/udmabuf")), Some(HeapError::NotAHeap { .. })));
}
