//! What needs a kernel with dma-heaps, udmabuf and vkms: run in the lab, as root, with `--ignored`.
//!
//! A test here fails where its device is missing; it never skips.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drm::control::{AtomicCommitFlags, Device as _, atomic::AtomicModeReq, connector, from_u32, property};
use drm::{ClientCapability, Device as _};
use heapwright_alloc::buffers::dma_buf::{self, Access, FdKind};
use heapwright_alloc::buffers::{Allocator, Buffer, Layout, Mapping, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier, Size};
use heapwright_alloc::devices::{
    self, Change, ConnectorState, Hardware, Iommu, KmsDevice, Monitor, PlaneKind, Scaling, cpu_participant,
};
use heapwright_alloc::heaps::{
    self, AllocError, DmaHeap, DumbHeap, Heap, HeapList, Request, Root, UdmabufHeap,
};
use heapwright_alloc::links::{
    LinkStore, Outcome, ProbeCount, Trust, probe, probe_renderer, probe_scattered,
};
use heapwright_alloc::solver::problem::{Evidence, Participant, Role, Verdict};
use heapwright_alloc::solver::{Answer, PlaneLayout};
use rustix::fs::{MemfdFlags, SealFlags};

/// These tests count what the whole machine holds, so they take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn vkms() -> Arc<KmsDevice> {
    let found = devices::list(&Root::default());
    let device = found.devices.into_iter().find(|device| device.driver() == "vkms");
    Arc::new(device.expect("a vkms device"))
}

fn heaps_with(device: &Arc<KmsDevice>) -> HeapList {
    let mut found = heaps::list(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    found.heaps.push(Arc::new(DumbHeap::new(Arc::clone(device)).expect("dumb buffers")));
    found
}

fn layout(width: u32, height: u32) -> Layout {
    let pitch = u64::from(width) * 4;
    let size = pitch * u64::from(height);
    let planes = vec![PlaneLayout { offset: 0, pitch, size }];
    let bytes = size.next_multiple_of(4096);
    Layout::new(Size::new(width, height), Fourcc::XRGB8888, Modifier::LINEAR, planes, bytes).unwrap()
}

fn outcome<'a>(found: &'a heapwright_alloc::links::Probe, what: &str) -> Option<&'a Outcome> {
    found.steps.iter().find(|step| step.what == what).map(|step| &step.outcome)
}

#[test]
#[ignore = "needs the lab: dma-heap and udmabuf"]
fn every_heap_is_listed_and_memfd_is_last() {
    let _turn = turn();
    let found = heaps::list(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let nodes = fs::read_dir("/dev/dma_heap").unwrap().count();
    assert_eq!(found.heaps.len(), nodes + 2);
    assert_eq!(found.heaps.last().unwrap().id().as_str(), "memfd");
    // User-Mode Linux has no contiguous allocator, so nothing may claim to be contiguous.
    assert!(found.heaps.iter().all(|heap| !heap.facts().contiguous));
}

#[test]
#[ignore = "needs the lab: vkms"]
fn planes_are_kept_apart_with_their_kinds_and_modifiers() {
    let _turn = turn();
    let device = vkms();
    let crtc = device.crtcs()[0].id;
    assert!(device.planes().iter().any(|plane| plane.kind == PlaneKind::Primary));
    let alternatives = device.participant(crtc, "screen").alternatives.unwrap();
    let serving = device.planes().iter().filter(|plane| plane.possible_crtcs.contains(&crtc)).count();
    assert_eq!(alternatives.len(), serving);
    let has = |plane: &devices::Plane| plane.options.contains(&(Fourcc::XRGB8888, Modifier::LINEAR));
    assert!(device.planes().iter().any(has));
    assert!(device.limits().max.width >= 1024 && device.limits().cursor.width > 0);
    let caps = device.caps();
    assert!(caps.prime_import && caps.prime_export && caps.dumb && caps.atomic, "{caps:?}");
}

#[test]
#[ignore = "needs the lab: a vkms device that nobody has looked at"]
fn a_connector_nobody_has_looked_at_is_looked_at_by_who_may_and_else_unknown() {
    let _turn = turn();
    let board = Board::new("unseen");
    let path = board.node();
    // Somebody else is the master, so nobody here may ask the hardware.
    let master = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let screens = |device: &KmsDevice| -> Vec<ConnectorState> {
        device.connectors().iter().filter(|it| !it.writeback).map(|it| it.state).collect()
    };
    assert_eq!(screens(&KmsDevice::open(&path).unwrap()), [ConnectorState::Unknown]);
    drop(master);
    assert_eq!(screens(&KmsDevice::open(&path).unwrap()), [ConnectorState::Connected]);
    // Looking gave mastership back.
    let device = KmsDevice::open(&path).unwrap();
    let next = Lit(fs::OpenOptions::new().read(true).write(true).open(&path).unwrap());
    next.acquire_master_lock().unwrap();
    drop(device);
}

/// Waits until the monitor says what is looked for; a kernel that never says it ends the test by the lab's own limit.
fn heard<T>(monitor: &Monitor, find: impl Fn(&Change) -> Option<T>) -> T {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        while let Some(change) = monitor.next_change().unwrap() {
            if let Some(found) = find(&change) {
                return found;
            }
        }
        poll(&mut [PollFd::new(monitor, PollFlags::IN)], None).unwrap();
    }
}

#[test]
#[ignore = "needs the lab: vkms with configfs"]
fn a_display_is_heard_of_when_it_comes_when_a_screen_is_pulled_and_when_it_goes() {
    let _turn = turn();
    let monitor = Monitor::new(&Root::default()).unwrap();
    assert_eq!(monitor.next_change().unwrap(), None);
    let board = Board::new("hotplug");
    let node = board.node();
    heard(&monitor, |change| matches!(change, Change::Added(it) if it.node == node).then_some(()));
    let found = devices::list(&Root::default());
    assert!(found.devices.iter().any(|device| device.path() == node));

    // 2 is "disconnected".
    fs::write(board.0.join("connectors/s/status"), "2").unwrap();
    let pulled = |change: &Change| match change {
        Change::Changed { subject, hotplug: true, .. } if subject.node == node => Some(()),
        _ => None,
    };
    heard(&monitor, pulled);
    // Only asking the hardware tells, and only the master may.
    drop(found);
    let master = fs::OpenOptions::new().read(true).write(true).open(&node).unwrap();
    let device = KmsDevice::from_fd(&master).unwrap();
    assert_eq!(device.connectors()[0].state, ConnectorState::Connected);
    assert_eq!(device.ask_connectors().unwrap()[0].state, ConnectorState::Disconnected);

    // vkms does not survive being asked after it was removed, so nobody holds it then.
    drop((device, master));
    drop(board);
    heard(&monitor, |change| matches!(change, Change::Removed(it) if it.node == node).then_some(()));
    let gone = devices::list(&Root::default());
    assert!(gone.devices.iter().all(|device| device.path() != node));
}

#[cfg(all(feature = "gbm", feature = "vulkan"))]
#[test]
#[ignore = "needs the lab: Mesa's EGL, Vulkan and GBM, and vgem"]
fn what_a_renderer_imports_is_asked_of_every_api() {
    use devices::{ImportPair, RenderApi};
    let _turn = turn();
    // Twice, for drivers are left as they were found.
    devices::render_devices(&Root::default());
    let found = devices::render_devices(&Root::default());
    let software =
        found.devices.iter().find(|device| device.is_software()).expect("Mesa's software renderer");
    for api in [RenderApi::Egl, RenderApi::Vulkan] {
        let (list, pairs) = software.imports(Some(api)).unwrap_or_else(|| panic!("{api}: {software:?}"));
        let pair = |format| pairs.iter().find(|it| (it.format, it.modifier) == (format, Modifier::LINEAR));
        assert_eq!(pair(Fourcc::XRGB8888).map(|it| it.sample_only), Some(false), "{list:?}");
        assert_eq!(pair(Fourcc::UYVY).map(|it| it.sample_only), Some(true), "{list:?}");
        assert!(!list.driver.is_empty(), "{list:?}");
        // Software reads no tiles of somebody's hardware.
        assert!(pairs.iter().all(|pair| pair.modifier == Modifier::LINEAR), "{list:?}");
    }
    let (_, pairs) = software.imports(Some(RenderApi::Vulkan)).unwrap();
    let limited = |it: &ImportPair| it.max_size.is_some_and(|size| size.width >= 4096) && it.planes.is_some();
    assert!(pairs.iter().all(limited), "{pairs:?}");

    // vgem: GBM allocates for it, but nobody draws with it.
    let vgem = found.devices.iter().find(|device| !device.is_software()).expect("vgem");
    let (_, pairs) = vgem.imports(Some(RenderApi::Gbm)).unwrap_or_else(|| panic!("{vgem:?}"));
    assert!(pairs.contains(&ImportPair {
        planes: Some(1),
        ..ImportPair::new(Fourcc::XRGB8888, Modifier::LINEAR, false)
    }));
    assert!(pairs.iter().all(|pair| pair.modifier == Modifier::LINEAR), "{pairs:?}");
    assert_eq!(vgem.sample_participant("texture"), None);
    let nodes = vgem.nodes.as_ref().unwrap();
    assert_eq!(nodes.primary.as_ref().unwrap().file_name().unwrap().to_str(), Some(&*vgem.name()));
    let no_driver = devices::RenderProblem::NoDriver(nodes.render.clone().unwrap());
    assert_eq!(found.problems, [no_driver]);
}

/// vgem: a GPU as far as the kernel goes, which imports everything and shows nothing.
fn vgem() -> devices::RenderNode {
    let found = devices::render_nodes(&Root::default()).into_iter();
    let mut vgem = found.filter(|it| it.nodes.as_ref().unwrap().hardware.directory.ends_with("faux/vgem"));
    vgem.next().expect("vgem").open().unwrap().expect("its render node")
}

#[test]
#[ignore = "needs the lab: vgem, vkms, dma-heap"]
fn memory_is_tried_with_the_gpu_that_renders_from_it() {
    let _turn = turn();
    let node = vgem();
    for heap in &heaps_with(&vkms()).heaps {
        let found = probe_renderer(&node, &**heap, &layout(640, 480));
        let takes = if heap.makes_dma_bufs() { Verdict::Accepts } else { Verdict::Refuses };
        assert_eq!((found.link.verdict, &*found.link.device), (takes, node.name()), "{found}");
    }
    assert_eq!(node.dev(), rustix::fs::stat(node.path()).unwrap().st_rdev);
    // By an allocator, once for each kind of buffer, and what was found is a link of the answer.
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    let pair = devices::ImportPair::new(Fourcc::XRGB8888, Modifier::LINEAR, false);
    let samples = |name: &str| Participant {
        name: "texture".to_owned(),
        device: Some(name.to_owned()),
        options: Some(vec![pair.option()]),
        ..Participant::default()
    };
    let want = Want {
        size: Size::new(640, 480),
        participants: vec![samples(node.name())],
        count: 1,
        ..Want::default()
    };
    let name = node.name().to_owned();
    allocator.with_renderer(Arc::new(node));
    allocator.with_renderer(Arc::new(vgem()));
    assert_eq!(allocator.renderers().len(), 1);
    let before = ProbeCount::so_far();
    let made = allocator.allocate(&want).unwrap();
    let known = made.problem.links.iter().find(|it| it.device == name && it.verdict == Verdict::Accepts);
    assert_eq!(known.map(|it| (&it.heap, it.evidence)), Some((&made.resolution.heap, Evidence::Probed)));
    assert_eq!(ProbeCount::so_far().since(before).imports, 1);
    allocator.allocate(&want).unwrap();
    assert_eq!(ProbeCount::so_far().since(before).imports, 1);
}

#[test]
#[ignore = "needs the lab: vkms"]
fn what_a_gpu_renders_needs_no_plane_of_the_display_of_its_name() {
    let _turn = turn();
    let device = vkms();
    // A format that no plane takes.
    let format = Fourcc::ABGR16161616F;
    assert!(device.planes().iter().all(|plane| plane.options.iter().all(|(it, _)| *it != format)));
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(Arc::clone(&device));
    let texture = |role| Participant {
        name: "texture".to_owned(),
        device: Some(device.name().to_owned()),
        role,
        options: Some(vec![devices::ImportPair::new(format, Modifier::LINEAR, false).option()]),
        ..Participant::default()
    };
    let want = |role| Want {
        size: Size::new(640, 480),
        participants: vec![texture(role)],
        count: 1,
        ..Want::default()
    };
    for role in [Role::Render, Role::Sample] {
        assert_eq!(allocator.allocate(&want(role)).unwrap().buffers[0].format(), format);
    }
    assert!(allocator.allocate(&want(Role::Scanout)).is_err());
}

#[cfg(feature = "gbm")]
#[test]
#[ignore = "needs the lab: vkms and Mesa's GBM"]
fn gbm_is_a_heap_whose_buffers_are_clean_and_can_be_shown() {
    let _turn = turn();
    let device = vkms();
    let node = fs::OpenOptions::new().read(true).write(true).open(device.path()).unwrap();
    let heap = heaps::GbmHeap::new(node.into(), device.name()).unwrap();
    for _ in 0..4 {
        let buffer = Buffer::allocate(&heap, &layout(640, 480), "gbm").unwrap();
        let mut mapping = buffer.map().unwrap();
        assert!(mapping.read().unwrap().iter().all(|byte| *byte == 0));
        mapping.write().unwrap().fill(0xa5);
    }
    let found = probe(&device, &heap, &layout(800, 600));
    assert_eq!(found.link.verdict, Verdict::Accepts, "{found}");
    let size = Size::new(100, 50);
    let picture = heap.allocate_picture(size, Fourcc::XRGB8888, &[Modifier::LINEAR]).unwrap();
    assert_eq!((picture.size(), picture.modifier(), picture.planes().len()), (size, Modifier::LINEAR, 1));
    assert!(picture.planes()[0].pitch >= 400);
    let odd = heap.allocate_picture(size, Fourcc::XRGB8888, &[Modifier(0x0100_0000_0000_0001)]);
    assert!(odd.is_err(), "{odd:?}");
}

#[test]
#[ignore = "needs the lab: dma-heap"]
fn a_heap_of_ordinary_memory_is_found_to_be_cached() {
    let _turn = turn();
    let path = fs::read_dir("/dev/dma_heap").unwrap().next().unwrap().unwrap().path();
    // A busy host may blur a measurement into "not known", but never into its opposite, nor each of many.
    let measured = || DmaHeap::open(&path, &Root::default()).unwrap().is_cached();
    let found: Vec<_> = (0..20).map(|_| measured()).collect();
    assert!(found.contains(&Some(true)) && !found.contains(&Some(false)), "{found:?}");
}

#[test]
#[ignore = "needs the lab: vgem and vkms"]
fn the_nodes_of_a_device_are_found_together_and_its_facts_are_those_of_sysfs() {
    let _turn = turn();
    let nodes = devices::drm_nodes(&Root::default());
    let drm = |name: &str| nodes.iter().find(|it| it.hardware.directory.ends_with(name)).expect("a device");
    let vgem = drm("faux/vgem");
    let (primary, render) = (vgem.primary.as_ref().unwrap(), vgem.render.as_ref().unwrap());
    let hardware = |path: &Path| {
        let dev = rustix::fs::stat(path).unwrap().st_rdev;
        (dev, Hardware::of_node(&Root::default(), dev).unwrap())
    };
    let (one, other) = (hardware(primary), hardware(render));
    assert!(one.0 != other.0 && one.1.is_same_device(&other.1));
    let device = vkms();
    let facts = device.hardware().expect("sysfs");
    assert!(!facts.is_same_device(&one.1));
    assert_eq!(
        (facts.bus.as_deref(), facts.iommu, device.behind_iommu()),
        (Some("faux"), Iommu::Absent, false)
    );
    assert_eq!(nodes.iter().find(|it| it.name() == device.name()).unwrap().hardware, *facts);
}

#[test]
#[ignore = "needs the lab: vkms with a writeback connector"]
fn a_writeback_connector_is_a_participant_with_the_formats_it_lists() {
    let _turn = turn();
    let board = Board::new("writeback");
    let device = KmsDevice::open(&board.node()).unwrap();
    let writeback = device.connectors().iter().find(|it| it.writeback).expect("a writeback connector");
    assert!(writeback.writeback_formats.contains(&Fourcc::XRGB8888), "{writeback:?}");
    let participant = device.writeback_participant(writeback, "recorder").unwrap();
    assert_eq!(participant.role, Role::Writeback);
    assert_eq!(participant.options.unwrap().len(), writeback.writeback_formats.len());
    let screen = device.connectors().iter().find(|it| !it.writeback).expect("a screen");
    assert!(screen.writeback_formats.is_empty() && device.writeback_participant(screen, "no").is_none());
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_buffer_of_every_heap_but_memfd_imports_and_becomes_a_framebuffer() {
    let _turn = turn();
    let device = vkms();
    for heap in &heaps_with(&device).heaps {
        let found = probe(&device, &**heap, &layout(800, 600));
        if heap.makes_dma_bufs() {
            assert_eq!(found.link.verdict, Verdict::Accepts, "{found}");
            assert_eq!(outcome(&found, "AddFB2"), Some(&Outcome::Passed), "{found}");
        } else {
            assert_eq!(found.link.verdict, Verdict::Refuses, "{found}");
        }
    }
}

#[test]
#[ignore = "needs the lab: udmabuf and vkms"]
fn vkms_takes_memory_in_pieces_and_the_kernel_makes_such_a_buffer() {
    let _turn = turn();
    let device = vkms();
    assert_eq!(device.takes_scattered(), None);
    assert_eq!(probe_scattered(&device, &heaps::list(&Root::default())), Some(true));
    assert_eq!(device.takes_scattered(), Some(true));
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn what_is_known_is_not_tried_again() {
    let _turn = turn();
    let device = vkms();
    let found = heaps_with(&device);
    let dma_bufs = found.heaps.iter().filter(|heap| heap.makes_dma_bufs()).count() as u64;
    let start = ProbeCount::so_far();
    assert_eq!(probe_scattered(&device, &found), Some(true));
    let asked = ProbeCount::so_far();
    // One page, then the same page twice.
    assert_eq!(asked.since(start), ProbeCount { imports: 2, ..ProbeCount::default() });
    assert_eq!(probe_scattered(&device, &found), Some(true));
    assert_eq!(ProbeCount::so_far(), asked);

    for heap in &found.heaps {
        probe(&device, &**heap, &layout(800, 600));
    }
    // Nobody shows a mode here, so nothing is committed.
    let cold = ProbeCount::so_far().since(asked);
    assert_eq!(cold, ProbeCount { imports: dma_bufs, framebuffers: dma_bufs, test_commits: 0 });
}

#[test]
#[ignore = "needs the lab: vkms"]
fn a_layout_that_no_memory_serves_is_not_held_against_the_heap() {
    let _turn = turn();
    let device = vkms();
    let size = Size::new(800, 600);
    // A pitch of one byte: AddFB2 refuses it whatever the memory.
    let planes = vec![PlaneLayout { offset: 0, pitch: 1, size: 600 }];
    let layout = Layout::new(size, Fourcc::XRGB8888, Modifier::LINEAR, planes, 4096).unwrap();
    let heaps = heaps::list(&Root::default());
    let found = probe(&device, &*heaps.heaps[0], &layout);
    assert_eq!(found.link.verdict, Verdict::Unknown, "{found}");
    assert!(matches!(outcome(&found, "AddFB2"), Some(Outcome::RefusedForAnyMemory(_))), "{found}");
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn memory_is_zeroed_also_after_somebody_wrote_to_it() {
    let _turn = turn();
    let device = vkms();
    for heap in &heaps_with(&device).heaps {
        for _ in 0..4 {
            let buffer = Buffer::allocate(&**heap, &layout(640, 480), "zero").unwrap();
            let mut mapping = buffer.map().unwrap();
            assert_eq!(mapping.len() as u64, buffer.bytes());
            assert!(mapping.read().unwrap().iter().all(|byte| *byte == 0), "{}", heap.id());
            mapping.write().unwrap().fill(0xa5);
            let again = buffer.map_read_only().unwrap();
            assert!(again.read().unwrap().iter().all(|byte| *byte == 0xa5), "{}", heap.id());
        }
    }
}

#[test]
#[ignore = "needs the lab: udmabuf"]
fn a_clients_memfd_is_wrapped_without_showing_what_its_pages_held_before() {
    let _turn = turn();
    let heap = UdmabufHeap::open(Path::new("/dev/udmabuf"), &Root::default()).unwrap();
    let memfd = |bytes: u64, seals: SealFlags| {
        let fd = rustix::fs::memfd_create("pool", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, bytes).unwrap();
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        fd
    };
    for _ in 0..8 {
        // Some memory with something in it, given back.
        let used = memfd(1 << 20, SealFlags::SHRINK);
        rustix::io::pwrite(&used, &[0xa5; 1 << 20], 0).unwrap();
        drop(used);
        let reserved = memfd(1 << 20, SealFlags::SHRINK);
        rustix::fs::fallocate(&reserved, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).unwrap();
        rustix::io::pwrite(&reserved, b"pixels", 4096).unwrap();
        let wrapped = heap.wrap(&reserved, 4096, 8 * 4096).unwrap();
        let mapping = Mapping::new(wrapped.as_fd(), 8 * 4096, false).unwrap();
        let bytes = mapping.read().unwrap();
        assert!(bytes.starts_with(b"pixels") && bytes[6..].iter().all(|byte| *byte == 0));
    }
    for (fd, offset, bytes, why) in [
        (memfd(8192, SealFlags::empty()), 0, 4096, "F_SEAL_SHRINK"),
        (memfd(8192, SealFlags::SHRINK | SealFlags::WRITE), 0, 4096, "sealed against writing"),
        (memfd(8192, SealFlags::SHRINK), 4096, 8192, "it ends at 8192"),
        (memfd(8192, SealFlags::SHRINK), 0, 0, "whole pages"),
        (memfd(8192, SealFlags::SHRINK), 0, 100, "whole pages"),
        (memfd(8192, SealFlags::SHRINK), u64::MAX - 4095, 4096, "it ends at 8192"),
        (rustix::pipe::pipe().unwrap().0, 0, 4096, "it is none"),
    ] {
        let error = heap.wrap(fd, offset, bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_dma_buf_is_known_by_its_file_system_and_its_real_size() {
    let _turn = turn();
    let device = vkms();
    for heap in heaps_with(&device).heaps.iter().filter(|heap| heap.makes_dma_bufs()) {
        let buffer = Buffer::allocate(&**heap, &layout(100, 100), "kind").unwrap();
        assert_eq!(dma_buf::kind(buffer.fd()), FdKind::DmaBuf);
        assert_eq!(dma_buf::byte_size(buffer.fd()).unwrap(), buffer.bytes());
        let fence = dma_buf::export_sync_file(buffer.fd(), Access::Write).unwrap();
        dma_buf::import_sync_file(buffer.fd(), Access::Write, fence.as_fd()).unwrap();
        let beyond = vec![PlaneLayout { offset: buffer.bytes(), pitch: 4, size: 4 }];
        let size = Size::new(1, 1);
        assert!(Buffer::import(buffer.into_fd(), size, Fourcc::XRGB8888, Modifier::LINEAR, beyond).is_err());
    }
}

#[test]
#[ignore = "needs the lab: udmabuf"]
fn the_size_limit_of_udmabuf_is_read_and_when_it_changes_later_the_kernels_word_holds() {
    let _turn = turn();
    let node = Path::new("/dev/udmabuf");
    let directory = tempfile::tempdir().unwrap();
    let parameters = directory.path().join("sys/module/udmabuf/parameters");
    fs::create_dir_all(&parameters).unwrap();
    fs::write(parameters.join("size_limit_mb"), "1\n").unwrap();
    fs::write(parameters.join("list_limit"), "7\n").unwrap();
    let limited = UdmabufHeap::open(node, &Root::at(directory.path())).unwrap();
    assert_eq!((limited.facts().max_bytes, limited.facts().max_ranges), (Some(1 << 20), Some(7)));
    assert!(limited.allocate(&Request::bytes(1 << 20, "fits")).is_ok());
    let error = limited.allocate(&Request::bytes((1 << 20) + 1, "large")).unwrap_err();
    assert!(matches!(error, AllocError::TooLarge { max_bytes: 1_048_576, .. }), "{error}");

    let heap = UdmabufHeap::open(node, &Root::default()).unwrap();
    let parameter = "/sys/module/udmabuf/parameters/size_limit_mb";
    let before = fs::read_to_string(parameter).unwrap();
    fs::write(parameter, "1").unwrap();
    let refused = heap.allocate(&Request::bytes(2 << 20, "large"));
    fs::write(parameter, before.trim()).unwrap();
    assert!(matches!(refused, Err(AllocError::Refused { .. })), "{refused:?}");
    assert!(heap.allocate(&Request::bytes(2 << 20, "large")).is_ok());
}

fn bufinfo() -> String {
    fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo").expect("debugfs with dma_buf/bufinfo")
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and debugfs"]
fn buffers_can_be_found_by_name_in_debugfs() {
    let _turn = turn();
    let device = vkms();
    for heap in heaps_with(&device).heaps.iter().filter(|heap| heap.makes_dma_bufs()) {
        let buffer = Buffer::allocate(&**heap, &layout(64, 64), "hw-found-by-name").unwrap();
        assert!(bufinfo().contains("hw-found-by-name"), "{}", heap.id());
        buffer.set_name("hw-renamed-with-far-too-many-characters-for-it").unwrap();
        assert!(bufinfo().contains("hw-renamed-with-far-too-many-ch"), "{}", heap.id());
        drop(buffer);
        assert!(!bufinfo().contains("hw-renamed"), "{}", heap.id());
    }
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf, vkms and debugfs"]
fn a_thousand_allocations_and_probes_leave_nothing_behind() {
    let _turn = turn();
    let device = vkms();
    let heaps = heaps_with(&device);
    let minor = rustix::fs::minor(device.dev());
    let framebuffers = || {
        let text = fs::read_to_string(format!("/sys/kernel/debug/dri/{minor}/framebuffer")).unwrap();
        text.matches("framebuffer[").count()
    };
    let held = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
        // A leaked GEM handle keeps its dma-buf, so it would stay in this list.
        (descriptors, bufinfo().matches("exp_name").count().max(bufinfo().lines().count()), framebuffers())
    };
    let shape = layout(320, 240);
    let round = |heap: &Arc<dyn Heap>| {
        let found = probe(&device, &**heap, &shape);
        assert_eq!(found.link.verdict == Verdict::Accepts, heap.makes_dma_bufs(), "{found}");
        drop(Buffer::allocate(&**heap, &shape, "leak").unwrap().map().unwrap());
    };
    heaps.heaps.iter().for_each(round);
    let before = held();
    for turn in 0..1000 {
        round(&heaps.heaps[turn % heaps.heaps.len()]);
    }
    assert_eq!(held(), before);
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn a_buffer_for_painter_and_screen_comes_from_memory_the_screen_was_seen_to_take() {
    let _turn = turn();
    let device = vkms();
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(Arc::clone(&device));
    let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
    let painter = cpu_participant("painter", &[Fourcc::XRGB8888], often);
    let screen = device.participant(device.crtcs()[0].id, "screen");
    let want = Want {
        size: Size::new(1024, 768),
        participants: vec![painter, screen],
        count: 3,
        name: "spine",
        dma_buf_only: true,
        ..Want::default()
    };
    let made = allocator.allocate(&want).unwrap();
    assert_eq!(made.buffers.len(), 3);
    assert_eq!(made.resolution.satisfied, ["painter", "screen"]);
    assert_eq!(made.buffers[0].planes()[0].pitch, 4096);
    let links = allocator.links().probes();
    let chosen = |it: &&heapwright_alloc::links::Probe| it.link.heap == made.resolution.heap;
    assert_eq!(links.iter().find(chosen).unwrap().link.bytes, Some(1024 * 768 * 4));
    // The second time nothing is left to try.
    allocator.allocate(&want).unwrap();
    assert_eq!(allocator.links().probes(), links);
    let warm = ProbeCount::so_far();
    let (_, answer) = allocator.resolve(&want);
    assert!(matches!(answer, Answer::Solved(_)), "{answer:?}");
    assert_eq!(ProbeCount::so_far(), warm);
}

#[test]
#[ignore = "needs the lab: dma-heap, udmabuf and vkms"]
fn what_an_earlier_process_found_out_is_not_tried_again() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("links.json");
    // Everything anew but the file, as in another process.
    let ask = |size: Size| {
        let before = ProbeCount::so_far();
        let store = LinkStore::open(&path, Trust::Any);
        let mut allocator = Allocator::new(heaps::list(&Root::default())).with_store(store);
        let device = vkms();
        allocator.with_device(Arc::clone(&device));
        let often = CpuAccess { read: Frequency::None, write: Frequency::Often };
        let painter = cpu_participant("painter", &[Fourcc::XRGB8888], often);
        let screen = device.participant(device.crtcs()[0].id, "screen");
        let want = Want {
            size,
            participants: vec![painter, screen],
            count: 1,
            name: "stored",
            dma_buf_only: true,
            ..Want::default()
        };
        let (_, answer) = allocator.resolve(&want);
        assert!(matches!(answer, Answer::Solved(_)), "{answer:?}");
        allocator.save_links().unwrap();
        let asked = ProbeCount::so_far().since(before);
        // Test commits depend on whether another test has lit the screen.
        assert!(asked.test_commits <= asked.framebuffers, "{asked:?}");
        (asked.imports, asked.framebuffers)
    };
    let cold = ask(Size::new(1024, 768));
    // Whether it takes memory in pieces, and the heap that was chosen.
    assert_eq!(cold, (3, 1));
    assert_eq!(ask(Size::new(1024, 768)), (0, 0));
    assert_eq!(ask(Size::new(640, 480)), (0, 0));
    // A larger buffer is another matter, but not what the device is like.
    assert_eq!(ask(Size::new(1280, 1024)), (1, 1));
}

#[test]
#[ignore = "needs the lab: vkms without another master"]
fn the_master_of_a_lit_screen_also_asks_test_only_and_the_screen_stays_as_it_is() {
    let _turn = turn();
    let path = vkms().path().to_owned();
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let lit = Lit::new(file);
    let device = KmsDevice::from_fd(&lit).unwrap();
    let size = device.crtcs()[0].active.expect("an active CRTC");
    let heaps = heaps::list(&Root::default());
    let shown = || lit.get_crtc(lit.resource_handles().unwrap().crtcs()[0]).unwrap().framebuffer();
    let before = shown();
    for heap in heaps.heaps.iter().filter(|heap| heap.makes_dma_bufs()) {
        let found = probe(&device, &**heap, &layout(size.width, size.height));
        assert_eq!(outcome(&found, "TEST_ONLY"), Some(&Outcome::Passed), "{found}");
        let small = probe(&device, &**heap, &layout(64, 64));
        assert!(matches!(outcome(&small, "TEST_ONLY"), Some(Outcome::NotTried(_))), "{small}");
    }
    assert_eq!(shown(), before);

    // vkms cannot scale, and says so where the same rectangle passes unscaled.
    let primary = device.planes().iter().find(|plane| plane.kind == PlaneKind::Primary).unwrap();
    assert_eq!(devices::probe_scaling(&device, primary).enlarges, Some(false));
    assert_eq!(shown(), before);
    // Without the master nothing is known.
    let observer = KmsDevice::open(device.path()).unwrap();
    assert_eq!(devices::probe_scaling(&observer, primary), Scaling::default());
}

/// A vkms device made at run time, with one CRTC, a writeback connector and one screen; removed at the end.
struct Board(PathBuf);

impl Board {
    fn new(name: &str) -> Self {
        let board = Path::new("/sys/kernel/config/vkms").join(name);
        let make = |part: &str| fs::create_dir(board.join(part)).unwrap();
        let link = |what: &str, to: &str| {
            std::os::unix::fs::symlink(board.join(what), board.join(to)).unwrap();
        };
        fs::create_dir(&board).unwrap();
        for part in ["crtcs/c", "planes/p", "encoders/e", "connectors/s"] {
            make(part);
        }
        fs::write(board.join("planes/p/type"), "1").unwrap();
        fs::write(board.join("crtcs/c/writeback"), "1").unwrap();
        link("crtcs/c", "planes/p/possible_crtcs/c");
        link("crtcs/c", "encoders/e/possible_crtcs/c");
        link("encoders/e", "connectors/s/possible_encoders/e");
        fs::write(board.join("enabled"), "1").unwrap();
        Board(board)
    }

    /// Its device node: that of the faux device that has its name.
    fn node(&self) -> PathBuf {
        let name = self.0.file_name().unwrap();
        let cards = Path::new("/sys/devices/faux").join(name).join("drm");
        let card = fs::read_dir(&cards).unwrap().find_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_string_lossy().starts_with("card").then_some(name)
        });
        Path::new("/dev/dri").join(card.expect("a card"))
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("enabled"), "0");
        for link in
            ["planes/p/possible_crtcs/c", "encoders/e/possible_crtcs/c", "connectors/s/possible_encoders/e"]
        {
            let _ = fs::remove_file(self.0.join(link));
        }
        for part in ["planes/p", "connectors/s", "encoders/e", "crtcs/c", ""] {
            let _ = fs::remove_dir(self.0.join(part));
        }
    }
}

/// A screen that shows a dumb buffer.
struct Lit(fs::File);

impl AsFd for Lit {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Lit {}
impl drm::control::Device for Lit {}

impl Lit {
    fn new(file: fs::File) -> Self {
        let card = Lit(file);
        card.set_client_capability(ClientCapability::UniversalPlanes, true).unwrap();
        card.set_client_capability(ClientCapability::Atomic, true).unwrap();
        let resources = card.resource_handles().unwrap();
        let crtc = resources.crtcs()[0];
        let connected = |it: &&connector::Handle| {
            card.get_connector(**it, true).is_ok_and(|info| info.state() == connector::State::Connected)
        };
        let connector = *resources.connectors().iter().find(connected).expect("a connected connector");
        let mode = card.get_connector(connector, false).unwrap().modes()[0];
        let size = (u32::from(mode.size().0), u32::from(mode.size().1));
        let dumb = card.create_dumb_buffer(size, drm::buffer::DrmFourcc::Xrgb8888, 32).unwrap();
        let framebuffer = card.add_framebuffer(&dumb, 24, 32).unwrap();
        let mut request = AtomicModeReq::new();
        let blob = u64::from(card.create_property_blob(&mode).unwrap());
        card.add(&mut request, crtc, &[("MODE_ID", blob), ("ACTIVE", 1)]);
        card.add(&mut request, connector, &[("CRTC_ID", u32::from(crtc).into())]);
        let device = KmsDevice::from_fd(&card).unwrap();
        let plane = device.planes().iter().find(|plane| plane.kind == PlaneKind::Primary).unwrap();
        let plane: drm::control::plane::Handle = from_u32(plane.id).unwrap();
        let (width, height) = (u64::from(size.0), u64::from(size.1));
        let values = [
            ("FB_ID", u32::from(framebuffer).into()),
            ("CRTC_ID", u32::from(crtc).into()),
            ("SRC_X", 0),
            ("SRC_Y", 0),
            ("SRC_W", width << 16),
            ("SRC_H", height << 16),
            ("CRTC_X", 0),
            ("CRTC_Y", 0),
            ("CRTC_W", width),
            ("CRTC_H", height),
        ];
        card.add(&mut request, plane, &values);
        card.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request).unwrap();
        card
    }

    fn add<T: drm::control::ResourceHandle>(
        &self,
        to: &mut AtomicModeReq,
        object: T,
        values: &[(&str, u64)],
    ) {
        let names = self.get_properties(object).unwrap().as_hashmap(self).unwrap();
        for (name, value) in values {
            to.add_property(object, names[*name].handle(), property::Value::Unknown(*value));
        }
    }
}
