//! What needs a kernel with V4L2's test drivers, as the lab gives it: three cameras (vivid: one of ordinary memory, one
//! multi-planar, one of contiguous memory), a codec (vicodec), a converter (vim2m), and vkms to show what is captured.
//!
//! A test here fails where its device is missing; it never skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are no tests to clippy.

mod v4l2_support;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapwright_alloc::buffers::{Allocated, Allocator, AllocatorError, Want};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Size};
use heapwright_alloc::devices::{self, V4l2Device, WhyLeftOut, cpu_participant, v4l2_devices};
use heapwright_alloc::heaps::{self, Root};
use heapwright_alloc::links::{Outcome, probe_scattered_video, probe_video};
use heapwright_alloc::solver::problem::{Evidence, Participant, Role, Verdict};
use heapwright_alloc::solver::{Answer, Culprit};
use v4l2_support::screen::Screen;
use v4l2_support::{Camera, DMABUF, MMAP};

/// A queue has one user at a time, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn all() -> Vec<V4l2Device> {
    let found = v4l2_devices(&Root::default());
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    found.devices
}

/// The cameras in the order of the kernel's command line: plain, multi-planar, contiguous.
fn cameras() -> [Arc<V4l2Device>; 3] {
    let cameras = all().into_iter().filter(|it| it.driver() == "vivid" && it.role() == Some(Role::Capture));
    let cameras: Vec<_> = cameras.map(Arc::new).collect();
    cameras.try_into().expect("three cameras")
}

fn codec(role: Role) -> V4l2Device {
    all().into_iter().find(|it| it.role() == Some(role)).expect("a codec")
}

fn displays(allocator: &mut Allocator) -> Participant {
    let found = devices::list(&Root::default()).devices;
    let vkms = Arc::new(found.into_iter().find(|it| it.driver() == "vkms").expect("vkms"));
    allocator.with_device(Arc::clone(&vkms));
    Participant { required: true, ..vkms.participant(vkms.crtcs()[0].id, "screen") }
}

fn reader(format: Fourcc) -> Participant {
    let reads = CpuAccess { read: Frequency::Rare, write: Frequency::None };
    cpu_participant("reader", &[format], reads)
}

fn only(mut participant: Participant, format: Fourcc) -> Participant {
    participant.options.as_mut().unwrap().retain(|option| option.format.exact() == Some(format));
    participant
}

fn allocate(
    allocator: &Allocator,
    size: Size,
    participants: Vec<Participant>,
) -> Result<Allocated, AllocatorError> {
    allocator.allocate(&Want {
        size,
        participants,
        count: 2,
        name: "camera",
        dma_buf_only: true,
        ..Want::default()
    })
}

fn conflict(error: AllocatorError) -> Vec<Culprit> {
    let AllocatorError::Unsolved { answer, .. } = error else { panic!("{error}") };
    let Answer::Unsatisfiable { conflict, .. } = *answer else { panic!("{answer:?}") };
    conflict
}

/// Captures one picture into each buffer.
fn capture(camera: &V4l2Device, made: &Allocated) {
    let buffer = &made.buffers[0];
    let (size, pitch) = (buffer.size(), buffer.planes()[0].pitch);
    let code = camera.formats().iter().find(|it| it.format == buffer.format()).unwrap().v4l2;
    let used = Camera::open(camera.path());
    let set = used.set_format(size.width, size.height, code, 0);
    assert_eq!(set.words[..3], [size.width, size.height, code]);
    assert_eq!(u64::from(set.words[4]), pitch, "the pitch that was promised");
    assert!(u64::from(set.words[5]) <= buffer.bytes(), "{} bytes are too few", buffer.bytes());
    used.request(2, DMABUF).unwrap();
    for (index, buffer) in made.buffers.iter().enumerate() {
        used.queue(index as u32, buffer, buffer.bytes()).unwrap();
    }
    used.stream(true).unwrap();
    for _ in &made.buffers {
        let (_, bytes, flags) = used.dequeue().unwrap();
        // V4L2_BUF_FLAG_ERROR
        assert_eq!((bytes, flags & 0x40), (set.words[5], 0));
    }
    used.stream(false).unwrap();
    used.request(0, DMABUF).unwrap();
}

#[test]
#[ignore = "needs the lab: vivid, vicodec and vim2m"]
fn cameras_codecs_and_their_formats_are_found_and_what_is_left_out_is_named() {
    let _turn = turn();
    let [plain, planar, _] = cameras();
    let hardware = plain.hardware().expect("sysfs knows it");
    assert_eq!((hardware.driver.as_deref(), plain.behind_iommu()), (Some("vivid"), false));
    assert_eq!(plain.imports(), Some(true));
    let has = |camera: &V4l2Device, format| camera.formats().iter().any(|it| it.format == format);
    for format in [Fourcc::XRGB8888, Fourcc::NV12, Fourcc::YUYV, Fourcc::YUV420] {
        assert!(has(&plain, format), "{format}");
    }
    let why = |device: &V4l2Device, code: &[u8; 4]| {
        let code = Fourcc(u32::from_le_bytes(*code));
        device.left_out().iter().find(|it| it.v4l2 == code).map(|it| it.why)
    };
    assert_eq!(why(&planar, b"NM12"), Some(WhyLeftOut::PlanesApart));
    assert_eq!(why(&plain, b"NM12"), None);
    assert_eq!(why(&plain, b"HSV4"), Some(WhyLeftOut::UnknownToDrm));
    // One buffer is one buffer, also where the queue could take several.
    assert!(has(&planar, Fourcc::NV12) && planar.participant("p", Size::new(640, 360)).is_some());

    for role in [Role::Decode, Role::Encode] {
        let codec = codec(role);
        assert!(has(&codec, Fourcc::NV12), "{role:?}");
        // The compressed side is another queue, so nothing of this one is compressed.
        assert!(codec.left_out().iter().all(|it| it.why != WhyLeftOut::Compressed));
    }
    let converter = all().into_iter().find(|it| it.driver() == "vim2m").expect("vim2m");
    assert_eq!((converter.role(), converter.participant("p", Size::new(640, 360))), (None, None));
}

#[test]
#[ignore = "needs the lab: vivid"]
fn every_format_of_a_camera_is_laid_out_as_its_driver_does_and_takes_its_pictures() {
    let _turn = turn();
    let [camera, ..] = cameras();
    let size = Size::new(640, 360);
    let (options, left_out) = camera.offers(size);
    assert_eq!((options.len(), left_out), (camera.formats().len(), Vec::new()));
    // The webcam has sizes of its own.
    let (options, left_out) = camera.offers(Size::new(642, 362));
    assert_eq!((options.len(), left_out.len()), (0, camera.formats().len()));
    assert!(left_out.iter().all(|it| matches!(it.why, WhyLeftOut::OtherSize(_))), "{left_out:?}");

    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_video(Arc::clone(&camera));
    let mut formats: Vec<_> = camera.formats().iter().map(|it| it.format).collect();
    formats.dedup();
    for format in formats {
        let participant = only(camera.participant("camera", size).unwrap(), format);
        let made = allocate(&allocator, size, vec![participant]).unwrap();
        assert_eq!(made.buffers[0].format(), format);
        capture(&camera, &made);
    }
}

#[test]
#[ignore = "needs the lab: vivid and vkms"]
fn what_a_camera_captures_lies_where_the_display_and_the_cpu_look_for_it() {
    let _turn = turn();
    let [camera, ..] = cameras();
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_video(Arc::clone(&camera));
    let screen = displays(&mut allocator);
    // Luma of this size does not end at a page, so chroma that lay at one would not be found.
    let size = Size::new(640, 360);
    let camera_of = |format| only(camera.participant("camera", size).unwrap(), format);

    let shown = allocate(
        &allocator,
        size,
        vec![camera_of(Fourcc::XRGB8888), screen.clone(), reader(Fourcc::XRGB8888)],
    );
    let shown = shown.unwrap();
    assert_eq!(shown.resolution.satisfied, ["camera", "reader", "screen"]);
    // Both were tried, not taken for granted.
    let passed = |what: &str| {
        let steps = allocator.links().probes().into_iter().flat_map(|probe| probe.steps);
        steps.filter(|step| step.what == what && step.outcome == Outcome::Passed).count()
    };
    assert!(passed("AddFB2") > 0 && passed("V4L2 import") > 0, "{:?}", allocator.links());
    capture(&camera, &shown);
    for buffer in &shown.buffers {
        let mapping = buffer.map().unwrap();
        let bytes = mapping.read().unwrap();
        // The bars, below the text: white, yellow, ..., blue, black, of an eighth of the row each.
        let row = &bytes[buffer.planes()[0].pitch as usize * 300..];
        let bar = |n: usize| <[u8; 3]>::try_from(&row[(n * 80 + 40) * 4..][..3]).unwrap();
        let (white, yellow, blue, black) = (bar(0), bar(1), bar(6), bar(7));
        assert!(white.iter().all(|it| *it > 150) && black.iter().all(|it| *it < 40), "{white:?} {black:?}");
        assert!(yellow[0] < 60 && yellow[2] > 150 && blue[0] > 150 && blue[2] < 60, "{yellow:?} {blue:?}");
    }

    let shown = allocate(&allocator, size, vec![camera_of(Fourcc::NV12), screen.clone()]).unwrap();
    let buffer = &shown.buffers[0];
    assert_eq!(buffer.planes()[1].offset, 640 * 360);
    capture(&camera, &shown);
    let mapping = buffer.map().unwrap();
    let bytes = mapping.read().unwrap();
    let chroma = &bytes[buffer.planes()[1].offset as usize + buffer.planes()[1].pitch as usize * 150..];
    let bar = |n: usize| (chroma[n * 80 + 40], chroma[n * 80 + 41]);
    let (white, yellow, blue) = (bar(0), bar(1), bar(6));
    assert!(white.0.abs_diff(128) < 4 && white.1.abs_diff(128) < 4, "{white:?}");
    assert!(yellow.0 < 80 && blue.0 > 170, "{yellow:?} {blue:?}");

    // Who maps each plane at a page of its own cannot be served: the driver puts chroma right behind luma.
    let error = allocate(&allocator, size, vec![camera_of(Fourcc::NV12), reader(Fourcc::NV12)]).unwrap_err();
    let conflict = conflict(error);
    let fields: Vec<_> = conflict.iter().map(|it| (it.participant.as_str(), &*it.field)).collect();
    assert!(fields.contains(&("reader", "plane_offset_align")), "{fields:?}");
    assert!(fields.contains(&("camera", "exact_rows")), "{fields:?}");
}

#[test]
#[ignore = "needs the lab: vivid and vkms"]
fn what_a_camera_captures_is_scanned_out_without_a_copy() {
    let _turn = turn();
    let [camera, ..] = cameras();
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_video(Arc::clone(&camera));
    let screen = displays(&mut allocator);
    let path = allocator.devices()[0].path().to_owned();
    let size = Size::new(640, 480);
    for format in [Fourcc::XRGB8888, Fourcc::NV12] {
        let party = only(camera.participant("camera", size).unwrap(), format);
        let made = allocate(&allocator, size, vec![party, screen.clone()]).unwrap();
        assert!(made.resolution.heap.starts_with("dma-heap:"), "{}", made.resolution.heap);
        capture(&camera, &made);
        let state = Screen::open(&path).show(&made.buffers[0]);
        let shown = state.lines().map(str::trim);
        let shown: Vec<_> =
            shown.filter(|line| line.starts_with("format=") || line.starts_with("imported=")).collect();
        assert!(shown.iter().any(|line| line.starts_with(&format!("format={format} "))), "{state}");
        assert!(shown.contains(&"imported=yes"), "{state}");
    }
}

#[test]
#[ignore = "needs the lab: vivid, udmabuf"]
fn a_camera_of_contiguous_memory_is_found_by_trying_and_gets_none_in_pieces() {
    let _turn = turn();
    let [plain, planar, contiguous] = cameras();
    let heaps = heaps::list(&Root::default());
    let before = Camera::open(contiguous.path()).format();
    assert_eq!(contiguous.takes_scattered(), None);
    assert_eq!(probe_scattered_video(&contiguous, &heaps), Some(false));
    assert_eq!(probe_scattered_video(&plain, &heaps), Some(true));
    assert_eq!(probe_scattered_video(&planar, &heaps), Some(true));
    assert_eq!(Camera::open(contiguous.path()).format(), before, "trying changed the format");

    let size = Size::new(640, 360);
    let mut allocator = Allocator::new(heaps);
    allocator.with_video(Arc::clone(&contiguous));
    let asks = contiguous.participant("camera", size).unwrap();
    // User-Mode Linux has no contiguous heap.
    let error = allocate(&allocator, size, vec![asks]).unwrap_err();
    let conflict = conflict(error);
    assert!(conflict.iter().any(|it| it.field == "contiguous"), "{conflict:?}");
}

#[test]
#[ignore = "needs the lab: vivid and dma-heap"]
fn a_camera_in_use_is_left_alone_and_nothing_is_said_of_it() {
    let _turn = turn();
    let [camera, ..] = cameras();
    let heaps = heaps::list(&Root::default());
    let heap = heaps.heaps.iter().find(|heap| heap.makes_dma_bufs()).expect("a heap");
    let found = probe_video(&camera, &**heap, 8 << 20);
    assert_eq!((found.link.verdict, found.link.evidence), (Verdict::Accepts, Evidence::Probed), "{found}");
    assert_eq!(found.link.bytes, Some(8 << 20));

    let user = Camera::open(camera.path());
    user.request(2, MMAP).unwrap();
    user.stream(true).unwrap();
    let found = probe_video(&camera, &**heap, 8 << 20);
    assert_eq!((found.link.verdict, found.link.evidence), (Verdict::Unknown, Evidence::Unknown), "{found}");
    assert!(found.to_string().contains("somebody uses it"), "{found}");
    assert_eq!(probe_scattered_video(&camera, &heaps), None);
    // Asking what a queue can do is possible all the time, and does not end it.
    assert_eq!(V4l2Device::open(camera.path()).unwrap().imports(), Some(true));
    user.stream(false).unwrap();
    drop(user);
    assert_eq!(probe_scattered_video(&camera, &heaps), Some(true));
}

#[test]
#[ignore = "needs the lab: vicodec and vkms"]
fn what_a_decoder_writes_can_be_shown() {
    let _turn = turn();
    let decoder = Arc::new(codec(Role::Decode));
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    let screen = displays(&mut allocator);
    allocator.with_video(Arc::clone(&decoder));
    // Not whole blocks: the codec writes more rows than the picture has.
    let size = Size::new(1024, 602);
    let made = allocate(
        &allocator,
        size,
        vec![only(decoder.participant("decoder", size).unwrap(), Fourcc::NV12), screen],
    );
    let made = made.unwrap();
    assert_eq!(made.resolution.satisfied, ["decoder", "screen"]);
    let buffer = &made.buffers[0];
    let tried = decoder.formats().iter().find(|it| it.format == Fourcc::NV12).unwrap();
    let tried = decoder.try_format(tried, size).unwrap();
    assert!(tried.size.height > size.height, "{tried:?}");
    assert_eq!(buffer.planes()[1].offset, u64::from(tried.buffers[0].0) * u64::from(tried.size.height));
    assert!(buffer.bytes() >= u64::from(tried.buffers[0].1));
}
