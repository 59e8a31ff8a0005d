//! A screen that shows what was captured.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use drm::buffer::{DrmFourcc, DrmModifier, Handle, PlanarBuffer};
use drm::control::{Device as _, FbCmd2Flags, connector};
use heapwright_alloc::buffers::Buffer;
use heapwright_alloc::constraints::Size;

pub struct Screen(File);

impl AsFd for Screen {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Screen {}
impl drm::control::Device for Screen {}

/// A buffer imported into the display.
struct Imported<'a>(&'a Buffer, Handle);

impl PlanarBuffer for Imported<'_> {
    fn size(&self) -> (u32, u32) {
        (self.0.size().width, self.0.size().height)
    }

    fn format(&self) -> DrmFourcc {
        DrmFourcc::try_from(self.0.format().0).unwrap()
    }

    fn modifier(&self) -> Option<DrmModifier> {
        Some(DrmModifier::Linear)
    }

    fn pitches(&self) -> [u32; 4] {
        std::array::from_fn(|at| self.0.planes().get(at).map_or(0, |plane| plane.pitch as u32))
    }

    fn handles(&self) -> [Option<Handle>; 4] {
        std::array::from_fn(|at| self.0.planes().get(at).map(|_| self.1))
    }

    fn offsets(&self) -> [u32; 4] {
        std::array::from_fn(|at| self.0.planes().get(at).map_or(0, |plane| plane.offset as u32))
    }
}

impl Screen {
    pub fn open(path: &Path) -> Screen {
        Screen(File::options().read(true).write(true).open(path).unwrap())
    }

    /// Shows a buffer of a size that the screen has a mode for, and returns what the kernel says of the planes then.
    pub fn show(&self, buffer: &Buffer) -> String {
        let size = buffer.size();
        let resources = self.resource_handles().unwrap();
        let connected = resources.connectors().iter().find_map(|it| {
            let info = self.get_connector(*it, true).unwrap();
            (info.state() == connector::State::Connected).then_some(info)
        });
        let connector = connected.expect("a connected screen");
        let fits = |mode: &&drm::control::Mode| Size::new(mode.size().0.into(), mode.size().1.into()) == size;
        let mode = *connector.modes().iter().find(fits).expect("a mode of the buffer's size");
        let imported = Imported(buffer, self.prime_fd_to_buffer(buffer.fd()).unwrap());
        let framebuffer = self.add_planar_framebuffer(&imported, FbCmd2Flags::MODIFIERS).unwrap();
        let crtc = resources.crtcs()[0];
        self.set_crtc(crtc, Some(framebuffer), (0, 0), &[connector.handle()], Some(mode)).unwrap();
        let minor = rustix::fs::minor(rustix::fs::fstat(&self.0).unwrap().st_rdev);
        let state = fs::read_to_string(format!("/sys/kernel/debug/dri/{minor}/state")).unwrap();
        self.set_crtc(crtc, None, (0, 0), &[], None).unwrap();
        self.destroy_framebuffer(framebuffer).unwrap();
        state
    }
}
