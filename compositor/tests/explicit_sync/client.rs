//! A raw client: whatever a test asks for is sent.

use std::{
    io::ErrorKind,
    os::fd::{AsFd, OwnedFd},
};

use wayland_client::{
    Connection, Dispatch, EventQueue, Proxy, QueueHandle,
    backend::{WaylandError, protocol::ProtocolError},
    delegate_noop,
    protocol::{
        wl_buffer::WlBuffer, wl_callback, wl_compositor::WlCompositor, wl_registry, wl_shm,
        wl_shm_pool::WlShmPool, wl_subcompositor::WlSubcompositor, wl_subsurface::WlSubsurface,
        wl_surface::WlSurface,
    },
};
use wayland_protocols::wp::{
    linux_dmabuf::zv1::client::{
        zwp_linux_buffer_params_v1::{Flags, ZwpLinuxBufferParamsV1},
        zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
    },
    linux_drm_syncobj::v1::client::{
        wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1,
        wp_linux_drm_syncobj_surface_v1::WpLinuxDrmSyncobjSurfaceV1,
        wp_linux_drm_syncobj_timeline_v1::WpLinuxDrmSyncobjTimelineV1,
    },
    single_pixel_buffer::v1::client::wp_single_pixel_buffer_manager_v1::WpSinglePixelBufferManagerV1,
};

use super::server::Server;

/// Rounds after which an answer is not to be expected any more.
const PATIENCE: usize = 2000;

#[derive(Default)]
pub struct Heard {
    globals: Vec<(u32, String)>,
    answers: usize,
    pub frames: usize,
}

pub enum Callback {
    Answer,
    Frame,
}

pub struct Client {
    connection: Connection,
    queue: EventQueue<Heard>,
    pub handle: QueueHandle<Heard>,
    pub heard: Heard,
    registry: wl_registry::WlRegistry,
    compositor: WlCompositor,
    subcompositor: WlSubcompositor,
    pub manager: WpLinuxDrmSyncobjManagerV1,
}

/// A surface with its sync object.
pub struct Synced {
    pub surface: WlSurface,
    pub sync: WpLinuxDrmSyncobjSurfaceV1,
}

impl Synced {
    pub fn points(&self, timeline: &WpLinuxDrmSyncobjTimelineV1, acquire: u64, release: u64) {
        self.sync.set_acquire_point(timeline, (acquire >> 32) as u32, acquire as u32);
        self.sync.set_release_point(timeline, (release >> 32) as u32, release as u32);
    }

    /// Commits a buffer with these points of a timeline.
    pub fn show(
        &self,
        buffer: &WlBuffer,
        timeline: &WpLinuxDrmSyncobjTimelineV1,
        acquire: u64,
        release: u64,
    ) {
        self.surface.attach(Some(buffer), 0, 0);
        self.points(timeline, acquire, release);
        self.surface.commit();
    }
}

fn memfd(bytes: u64) -> OwnedFd {
    let file = rustix::fs::memfd_create(c"buffer", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, bytes).unwrap();
    file
}

impl Client {
    pub fn connect(server: &mut Server) -> Self {
        let connection = Connection::from_socket(server.socket()).unwrap();
        let mut queue = connection.new_event_queue();
        let handle = queue.handle();
        let registry = connection.display().get_registry(&handle, ());
        let mut heard = Heard::default();
        connection.display().sync(&handle, Callback::Answer);
        for _ in 0..PATIENCE {
            queue.flush().unwrap();
            server.turn();
            if let Some(guard) = queue.prepare_read() {
                let _ = guard.read();
            }
            queue.dispatch_pending(&mut heard).unwrap();
            if heard.answers == 1 {
                break;
            }
        }
        Client {
            compositor: bind(&registry, &heard, &handle, 5),
            subcompositor: bind(&registry, &heard, &handle, 1),
            manager: bind(&registry, &heard, &handle, 1),
            connection,
            queue,
            handle,
            heard,
            registry,
        }
    }

    pub fn global<I: Proxy + 'static>(&self, version: u32) -> I
    where
        Heard: Dispatch<I, ()>,
    {
        bind(&self.registry, &self.heard, &self.handle, version)
    }

    pub fn surface(&self) -> WlSurface {
        self.compositor.create_surface(&self.handle, ())
    }

    pub fn sync_of(&self, surface: &WlSurface) -> WpLinuxDrmSyncobjSurfaceV1 {
        self.manager.get_surface(surface, &self.handle, ())
    }

    pub fn synced(&self) -> Synced {
        let surface = self.surface();
        Synced { sync: self.sync_of(&surface), surface }
    }

    pub fn subsurface(&self, child: &WlSurface, parent: &WlSurface) -> WlSubsurface {
        self.subcompositor.get_subsurface(child, parent, &self.handle, ())
    }

    pub fn import(&self, timeline: impl AsFd) -> WpLinuxDrmSyncobjTimelineV1 {
        self.manager.import_timeline(timeline.as_fd(), &self.handle, ())
    }

    /// A buffer of linux-dmabuf.
    pub fn buffer(&self) -> WlBuffer {
        let dmabuf: ZwpLinuxDmabufV1 = self.global(3);
        let params = dmabuf.create_params(&self.handle, ());
        params.add(memfd(16_384).as_fd(), 0, 0, 256, 0, 0);
        let buffer =
            params.create_immed(64, 64, u32::from_le_bytes(*b"XR24"), Flags::empty(), &self.handle, ());
        params.destroy();
        buffer
    }

    /// A buffer of shared memory.
    pub fn shm_buffer(&self) -> WlBuffer {
        let shm: wl_shm::WlShm = self.global(1);
        let pool = shm.create_pool(memfd(16_384).as_fd(), 16_384, &self.handle, ());
        pool.create_buffer(0, 64, 64, 256, wl_shm::Format::Xrgb8888, &self.handle, ())
    }

    /// A buffer of one pixel.
    pub fn pixel(&self) -> WlBuffer {
        let pixels: WpSinglePixelBufferManagerV1 = self.global(1);
        pixels.create_u32_rgba_buffer(0, 0, 0, u32::MAX, &self.handle, ())
    }

    /// Sends everything and hears the answer; or the error that ended this client, unless it was lost: who still writes
    /// when it is cut off finds the pipe broken, and what was in it gone.
    pub fn settle(&mut self, server: &mut Server) -> Result<(), Option<ProtocolError>> {
        let expected = self.heard.answers + 1;
        self.connection.display().sync(&self.handle, Callback::Answer);
        for _ in 0..PATIENCE {
            let _ = self.queue.flush();
            server.turn();
            if let Some(guard) = self.queue.prepare_read() {
                if let Err(WaylandError::Io(error)) = guard.read() {
                    if error.kind() != ErrorKind::WouldBlock {
                        return Err(self.connection.protocol_error());
                    }
                }
            }
            let ended = self.queue.dispatch_pending(&mut self.heard).is_err();
            let error = self.connection.protocol_error();
            if ended || error.is_some() {
                return Err(error);
            }
            if self.heard.answers == expected {
                server.settle();
                return Ok(());
            }
        }
        panic!("the server did not answer");
    }
}

fn bind<I: Proxy + 'static>(
    registry: &wl_registry::WlRegistry,
    heard: &Heard,
    handle: &QueueHandle<Heard>,
    version: u32,
) -> I
where
    Heard: Dispatch<I, ()>,
{
    let wanted = I::interface().name;
    let (name, _) = heard.globals.iter().find(|(_, interface)| interface == wanted).unwrap();
    registry.bind(*name, version, handle, ())
}

impl Dispatch<wl_registry::WlRegistry, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { name, interface, .. } = event {
            heard.globals.push((name, interface));
        }
    }
}

impl Dispatch<wl_callback::WlCallback, Callback> for Heard {
    fn event(
        heard: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        what: &Callback,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match what {
            Callback::Answer => heard.answers += 1,
            Callback::Frame => heard.frames += 1,
        }
    }
}

delegate_noop!(Heard: ignore WlBuffer);
delegate_noop!(Heard: WlCompositor);
delegate_noop!(Heard: WlSubcompositor);
delegate_noop!(Heard: WlSubsurface);
delegate_noop!(Heard: ignore WlSurface);
delegate_noop!(Heard: ignore wl_shm::WlShm);
delegate_noop!(Heard: WlShmPool);
delegate_noop!(Heard: ignore ZwpLinuxDmabufV1);
delegate_noop!(Heard: ignore ZwpLinuxBufferParamsV1);
delegate_noop!(Heard: WpLinuxDrmSyncobjManagerV1);
delegate_noop!(Heard: WpLinuxDrmSyncobjSurfaceV1);
delegate_noop!(Heard: WpLinuxDrmSyncobjTimelineV1);
delegate_noop!(Heard: WpSinglePixelBufferManagerV1);
