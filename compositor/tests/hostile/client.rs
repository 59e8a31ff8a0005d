//! Raw Wayland clients: whatever a test asks for is sent.

use std::{
    io::ErrorKind,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wayland_client::{
    Connection, Dispatch, EventQueue, Proxy, QueueHandle,
    backend::{WaylandError, protocol::ProtocolError},
    delegate_noop,
    protocol::*,
};
use wayland_protocols::{
    wp::{
        presentation_time::client::{
            wp_presentation::WpPresentation, wp_presentation_feedback::WpPresentationFeedback,
        },
        viewporter::client::{wp_viewport::WpViewport, wp_viewporter::WpViewporter},
    },
    xdg::shell::client::{xdg_popup, xdg_positioner, xdg_surface, xdg_toplevel, xdg_wm_base},
};

use wl_buffer::WlBuffer;
use wl_callback::WlCallback;
use wl_compositor::WlCompositor;
use wl_pointer::WlPointer;
use wl_region::WlRegion;
use wl_registry::WlRegistry;
use wl_seat::WlSeat;
use wl_shm::WlShm;
use wl_shm_pool::WlShmPool;
use wl_subcompositor::WlSubcompositor;
use wl_subsurface::WlSubsurface;
use wl_surface::WlSurface;
use xdg_popup::XdgPopup;
use xdg_positioner::XdgPositioner;
use xdg_surface::XdgSurface;
use xdg_toplevel::XdgToplevel;
use xdg_wm_base::XdgWmBase;

use super::negotiation::Answers;

/// How long a healthy server may take for an answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a client has heard.
#[derive(Default)]
pub struct Heard {
    globals: Vec<(u32, String, u32)>,
    /// Answers that came.
    answered: usize,
    /// Frames that were drawn.
    pub drawn: usize,
    /// What came of questions for buffers.
    pub answers: Answers,
    /// The last configure.
    configure: Option<(XdgSurface, u32)>,
}

/// A connected client.
pub struct Client {
    pub connection: Connection,
    queue: EventQueue<Heard>,
    pub handle: QueueHandle<Heard>,
    pub heard: Heard,
    registry: WlRegistry,
    pub compositor: WlCompositor,
    pub subcompositor: WlSubcompositor,
    pub shm: WlShm,
    pub wm_base: XdgWmBase,
    pub viewporter: WpViewporter,
    pub presentation: WpPresentation,
    pub seat: WlSeat,
}

/// A window.
pub struct Window {
    pub surface: WlSurface,
    pub xdg_surface: XdgSurface,
    pub toplevel: XdgToplevel,
}

impl Client {
    pub fn connect(socket: &Path) -> Self {
        let connection = Connection::from_socket(UnixStream::connect(socket).unwrap()).unwrap();
        let mut queue = connection.new_event_queue();
        let handle = queue.handle();
        let registry = connection.display().get_registry(&handle, ());
        let mut heard = Heard::default();
        queue.roundtrip(&mut heard).unwrap();
        Client {
            compositor: bind(&registry, &heard, &handle, 6),
            subcompositor: bind(&registry, &heard, &handle, 1),
            shm: bind(&registry, &heard, &handle, 1),
            wm_base: bind(&registry, &heard, &handle, 6),
            viewporter: bind(&registry, &heard, &handle, 1),
            presentation: bind(&registry, &heard, &handle, 1),
            seat: bind(&registry, &heard, &handle, 5),
            connection,
            queue,
            handle,
            heard,
            registry,
        }
    }

    /// A global that only some clients want.
    pub fn global<I: Proxy + 'static>(&self, version: u32) -> I
    where
        Heard: Dispatch<I, ()>,
    {
        bind(&self.registry, &self.heard, &self.handle, version)
    }

    /// The compositor in an older version.
    pub fn old_compositor(&self) -> WlCompositor {
        bind(&self.registry, &self.heard, &self.handle, 4)
    }

    /// Waits until everything sent has been answered; the error that the client ended with otherwise.
    pub fn settle(&mut self) -> Result<(), Option<ProtocolError>> {
        let expected = self.heard.answered + 1;
        self.connection.display().sync(&self.handle, Callback::Answer);
        self.wait(|heard| heard.answered >= expected)
    }

    /// Waits for something to be heard.
    pub fn wait(&mut self, until: impl FnMut(&Heard) -> bool) -> Result<(), Option<ProtocolError>> {
        assert!(self.wait_for(PATIENCE, until)?, "the server does not answer");
        Ok(())
    }

    /// Waits for something to be heard, so long at most; whether it was.
    pub fn wait_for(
        &mut self,
        patience: Duration,
        mut until: impl FnMut(&Heard) -> bool,
    ) -> Result<bool, Option<ProtocolError>> {
        let deadline = Instant::now() + patience;
        loop {
            let ended = self.queue.dispatch_pending(&mut self.heard).is_err();
            if !ended && until(&self.heard) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            // What does not fit into the socket now is sent in the next round.
            let _ = self.connection.flush();
            if ended || self.connection.protocol_error().is_some() {
                return Err(self.connection.protocol_error());
            }
            let Some(guard) = self.queue.prepare_read() else { continue };
            let fd = guard.connection_fd();
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            if !poll(&mut fds, Some(&pause)).is_ok_and(|ready| ready > 0) {
                continue;
            }
            let read = match guard.read() {
                Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(0),
                read => read,
            };
            if read.is_err() {
                let _ = self.queue.dispatch_pending(&mut self.heard);
                return Err(self.connection.protocol_error());
            }
        }
    }

    pub fn surface(&self) -> WlSurface {
        self.compositor.create_surface(&self.handle, ())
    }

    pub fn region(&self) -> WlRegion {
        self.compositor.create_region(&self.handle, ())
    }

    pub fn pointer(&self) -> WlPointer {
        self.seat.get_pointer(&self.handle, ())
    }

    pub fn pool(&self, file: &OwnedFd, bytes: i32) -> WlShmPool {
        self.shm.create_pool(file.as_fd(), bytes, &self.handle, ())
    }

    pub fn buffer_in(
        &self,
        pool: &WlShmPool,
        (offset, width, height, stride): (i32, i32, i32, i32),
    ) -> WlBuffer {
        pool.create_buffer(offset, width, height, stride, wl_shm::Format::Xrgb8888, &self.handle, ())
    }

    pub fn buffer(&self, width: i32, height: i32) -> WlBuffer {
        let bytes = width * height * 4;
        self.buffer_in(&self.pool(&memfd(bytes as u64), bytes), (0, width, height, width * 4))
    }

    pub fn subsurface(&self, surface: &WlSurface, parent: &WlSurface) -> WlSubsurface {
        self.subcompositor.get_subsurface(surface, parent, &self.handle, ())
    }

    pub fn viewport(&self, surface: &WlSurface) -> WpViewport {
        self.viewporter.get_viewport(surface, &self.handle, ())
    }

    pub fn xdg_surface(&self, surface: &WlSurface) -> XdgSurface {
        self.wm_base.get_xdg_surface(surface, &self.handle, ())
    }

    pub fn toplevel(&self, xdg_surface: &XdgSurface) -> XdgToplevel {
        xdg_surface.get_toplevel(&self.handle, ())
    }

    /// A positioner with nothing set.
    pub fn bare_positioner(&self) -> XdgPositioner {
        self.wm_base.create_positioner(&self.handle, ())
    }

    /// A complete positioner.
    pub fn positioner(&self) -> XdgPositioner {
        let positioner = self.bare_positioner();
        positioner.set_size(20, 20);
        positioner.set_anchor_rect(0, 0, 10, 10);
        positioner
    }

    pub fn popup(
        &self,
        xdg_surface: &XdgSurface,
        parent: Option<&XdgSurface>,
        positioner: &XdgPositioner,
    ) -> XdgPopup {
        xdg_surface.get_popup(parent, positioner, &self.handle, ())
    }

    /// A window that waits for its first configure.
    pub fn new_window(&self) -> Window {
        let surface = self.surface();
        let xdg_surface = self.xdg_surface(&surface);
        let toplevel = self.toplevel(&xdg_surface);
        Window { surface, xdg_surface, toplevel }
    }

    /// Commits without a buffer and acknowledges the configure that comes of it.
    pub fn configure(&mut self, surface: &WlSurface) {
        surface.commit();
        self.heard.configure = None;
        self.wait(|heard| heard.configure.is_some()).expect("a configure");
        let (xdg_surface, serial) = self.heard.configure.take().unwrap();
        xdg_surface.ack_configure(serial);
    }

    /// A window that may be given a buffer.
    pub fn configured_window(&mut self) -> Window {
        let window = self.new_window();
        self.configure(&window.surface);
        window
    }

    /// A window with a picture.
    pub fn window(&mut self, width: i32, height: i32) -> Window {
        let window = self.configured_window();
        self.show(&window.surface, width, height);
        window
    }

    /// Gives a surface a picture.
    pub fn show(&self, surface: &WlSurface, width: i32, height: i32) {
        surface.attach(Some(&self.buffer(width, height)), 0, 0);
        surface.damage_buffer(0, 0, width, height);
        surface.commit();
    }

    /// Frames drawn so far.
    pub fn drawn(&self) -> usize {
        self.heard.drawn
    }

    /// Shows a buffer and asks to be told when it has been drawn.
    pub fn draw(&self, surface: &WlSurface, buffer: &WlBuffer) {
        surface.frame(&self.handle, Callback::Frame);
        surface.attach(Some(buffer), 0, 0);
        surface.damage_buffer(0, 0, 1, 1);
        surface.commit();
    }
}

fn bind<I: Proxy + 'static>(
    registry: &WlRegistry,
    heard: &Heard,
    handle: &QueueHandle<Heard>,
    version: u32,
) -> I
where
    Heard: Dispatch<I, ()>,
{
    let (name, _, offered) =
        heard.globals.iter().find(|(_, interface, _)| interface == I::interface().name).unwrap();
    registry.bind(*name, version.min(*offered), handle, ())
}

/// A file of zeros in memory.
pub fn memfd(bytes: u64) -> OwnedFd {
    let file = rustix::fs::memfd_create(c"hostile", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, bytes).unwrap();
    file
}

impl Dispatch<WlRegistry, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlRegistry,
        event: wl_registry::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { name, interface, version } = event {
            heard.globals.push((name, interface, version));
        }
    }
}

/// What a callback is of.
#[derive(Debug, Copy, Clone)]
pub enum Callback {
    Answer,
    Frame,
}

impl Dispatch<WlCallback, Callback> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        callback: &Callback,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match callback {
            Callback::Answer => heard.answered += 1,
            Callback::Frame => heard.drawn += 1,
        }
    }
}

impl Dispatch<XdgSurface, ()> for Heard {
    fn event(
        heard: &mut Self,
        xdg_surface: &XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            heard.configure = Some((xdg_surface.clone(), serial));
        }
    }
}

impl Dispatch<XdgWmBase, ()> for Heard {
    fn event(
        _: &mut Self,
        wm_base: &XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            wm_base.pong(serial);
        }
    }
}

delegate_noop!(Heard: WlCompositor);
delegate_noop!(Heard: WlSubcompositor);
delegate_noop!(Heard: WlSubsurface);
delegate_noop!(Heard: WlRegion);
delegate_noop!(Heard: WlShmPool);
delegate_noop!(Heard: WpViewporter);
delegate_noop!(Heard: WpViewport);
delegate_noop!(Heard: XdgPositioner);
delegate_noop!(Heard: ignore WlShm);
delegate_noop!(Heard: ignore WlBuffer);
delegate_noop!(Heard: ignore WlSurface);
delegate_noop!(Heard: ignore WlSeat);
delegate_noop!(Heard: ignore WlPointer);
delegate_noop!(Heard: ignore XdgToplevel);
delegate_noop!(Heard: ignore XdgPopup);
delegate_noop!(Heard: ignore WpPresentation);
delegate_noop!(Heard: ignore WpPresentationFeedback);
