//! Smithay's allocator and framebuffer exporter on vkms: run in the lab, as root, with `--ignored`.

#![cfg(feature = "smithay")]
#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are no tests to clippy.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use heapwright_alloc::buffers::{Allocator, Buffer, BufferPool, Layout, Owner, PoolLimits};
use heapwright_alloc::constraints::{CpuAccess, Fourcc, Frequency, Modifier as Mod, Size};
use heapwright_alloc::devices::{self, KmsDevice, cpu_participant};
use heapwright_alloc::heaps::{self, Root};
use heapwright_alloc::smithay::{DmabufAllocator, FramebufferError, dmabuf, framebuffer_of};
use heapwright_alloc::solver::PlaneLayout;
use heapwright_alloc::solver::problem::Participant;
use smithay::backend::allocator::dmabuf::{Dmabuf, DmabufFlags};
use smithay::backend::allocator::{Allocator as _, Buffer as _, Fourcc as Code, Modifier};
use smithay::backend::drm::{DrmDeviceFd, Framebuffer as _};
use smithay::utils::DeviceFd;

fn vkms() -> Arc<KmsDevice> {
    let found = devices::list(&Root::default());
    Arc::new(found.devices.into_iter().find(|device| device.driver() == "vkms").expect("a vkms device"))
}

/// The renderer paints with the CPU, the screen takes what its planes take.
fn frames() -> (DmabufAllocator, BufferPool, DrmDeviceFd) {
    let device = vkms();
    let file = OpenOptions::new().read(true).write(true).open(device.path()).unwrap();
    let drm = DrmDeviceFd::new(DeviceFd::from(OwnedFd::from(file)));
    let often = CpuAccess { read: Frequency::Often, write: Frequency::Often };
    let renderer = cpu_participant("renderer", &[Fourcc::XRGB8888, Fourcc::ARGB8888], often);
    let crtc = device.crtcs()[0].id;
    let screen = Participant { required: true, ..device.participant(crtc, "screen") };
    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(device);
    let pool = allocator.pool(PoolLimits::default());
    let participants = vec![renderer, screen];
    let frames =
        DmabufAllocator::new(Arc::new(allocator), pool.clone(), Owner::new(0), "frames", participants);
    (frames, pool, drm)
}

#[test]
#[ignore = "needs the lab: dma-heap and vkms"]
fn a_frame_becomes_a_framebuffer_and_its_memory_is_used_again_only_when_that_is_gone() {
    let (mut frames, pool, drm) = frames();
    let mut make = || frames.create_buffer(1024, 768, Code::Argb8888, &[Modifier::Linear]).unwrap();
    let frame = make();
    assert_eq!((frame.width(), frame.height(), frame.num_planes()), (1024, 768, 1));
    let framebuffer = framebuffer_of(&drm, &frame, true).unwrap();
    assert_eq!(framebuffer.format().code, Code::Xrgb8888, "the twin without alpha");
    drop(frame);
    // The display may still show it: the kernel counts its import.
    let second = make();
    assert_eq!((pool.metrics().allocations, pool.metrics().recycled), (2, 0));
    drop(framebuffer);
    let third = make();
    assert_eq!((pool.metrics().allocations, pool.metrics().recycled), (2, 1));
    drop((second, third));
    frames.reclaim();
    assert_eq!(pool.idle().count, 2);
    pool.clear();
    assert_eq!(pool.metrics().allocations, pool.metrics().frees);
}

#[test]
#[ignore = "needs the lab: dma-heap and vkms"]
fn what_nobody_takes_is_an_error_that_says_why() {
    let (mut frames, _, drm) = frames();
    let error = frames.create_buffer(64, 64, Code::Xrgb8888, &[Modifier::I915_x_tiled]).unwrap_err();
    assert!(error.to_string().contains("these cannot hold together"), "{error}");
    let frame = frames.create_buffer(64, 64, Code::Xrgb8888, &[Modifier::Linear]).unwrap();
    let mut implicit = Dmabuf::builder((64, 64), Code::Xrgb8888, Modifier::Invalid, DmabufFlags::empty());
    implicit.add_plane(frame.handles().next().unwrap().try_clone_to_owned().unwrap(), 0, 0, 256);
    let error = framebuffer_of(&drm, &implicit.build().unwrap(), false).unwrap_err();
    assert!(matches!(error, FramebufferError::ImplicitModifier), "{error}");
    // A memfd in a dmabuf's clothes: the display's driver is asked, and refuses.
    let memfd = heaps::MemfdHeap::new(&Root::default());
    let planes = vec![PlaneLayout { offset: 0, pitch: 256, size: 16384 }];
    let layout = Layout::new(Size::new(64, 64), Fourcc::XRGB8888, Mod::LINEAR, planes, 16384);
    let buffer = Buffer::allocate(&memfd, &layout.unwrap(), "memfd").unwrap();
    let error = framebuffer_of(&drm, &dmabuf(&buffer).unwrap(), false).unwrap_err();
    assert!(matches!(error, FramebufferError::Import(_)), "{error}");
}
