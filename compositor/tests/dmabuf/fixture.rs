//! A minimal server and raw clients in one thread: a roundtrip turns both event loops until the client's `sync` is back.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use heapwright::delegate_heapwright_dmabuf;
use heapwright::dmabuf::{DmabufGlobalState, DmabufHandler, Feedback, ImportError, Tranche};
use heapwright_alloc::constraints::{Fourcc, Modifier};
use heapwright_protocols::linux_dmabuf::client::zwp_linux_buffer_params_v1::{self, ZwpLinuxBufferParamsV1};
use heapwright_protocols::linux_dmabuf::client::zwp_linux_dmabuf_feedback_v1::{
    self, ZwpLinuxDmabufFeedbackV1,
};
use heapwright_protocols::linux_dmabuf::client::zwp_linux_dmabuf_v1::{self, ZwpLinuxDmabufV1};
use smithay::backend::allocator::dmabuf::Dmabuf;
use smithay::delegate_compositor;
use smithay::reexports::wayland_server::backend::{ClientData, ClientId};
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer as ServerBuffer;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface as ServerSurface;
use smithay::reexports::wayland_server::{self, Display};
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::compositor::{CompositorClientState, CompositorHandler, CompositorState};
use wayland_client::backend::ObjectId;
use wayland_client::backend::protocol::ProtocolError;
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::protocol::wl_callback::{self, WlCallback};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{
    Connection, Dispatch, EventQueue, Proxy, QueueHandle, delegate_noop, event_created_child,
};

pub const XR24: u32 = u32::from_le_bytes(*b"XR24");
pub const AR24: u32 = u32::from_le_bytes(*b"AR24");
pub const RG24: u32 = u32::from_le_bytes(*b"RG24");
pub const NV12: u32 = u32::from_le_bytes(*b"NV12");
pub const LINEAR: u64 = 0;
pub const IMPLICIT: u64 = 0x00ff_ffff_ffff_ffff;
/// A vendor's tiling with planes of its own.
pub const TILED: u64 = 0x0100_0000_0000_0004;
/// The device that every feedback here names, unless a test says otherwise.
pub const MAIN: u64 = 0xe200;

/// Turns of both loops after which a roundtrip has failed.
const PATIENCE: usize = 1000;

pub fn pairs(list: &[(u32, u64)]) -> Vec<(Fourcc, Modifier)> {
    list.iter().map(|&(format, modifier)| (Fourcc(format), Modifier(modifier))).collect()
}

pub fn tranche(target_device: u64, scanout: bool, list: &[(u32, u64)]) -> Tranche {
    Tranche { target_device, scanout, sampling: !scanout, formats: pairs(list) }
}

pub fn feedback(list: &[(u32, u64)]) -> Feedback {
    Feedback::new(MAIN, vec![tranche(MAIN, false, list)]).unwrap()
}

/// A file that the fixture's server takes for a dma-buf.
pub fn memfd(bytes: u64) -> OwnedFd {
    let file = rustix::fs::memfd_create(c"test-buffer", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, bytes).unwrap();
    file
}

/// The server's state: as little as linux-dmabuf needs.
pub struct State {
    compositor: CompositorState,
    pub dmabuf: DmabufGlobalState,
    pub surfaces: Vec<ServerSurface>,
    pub buffers: Vec<ServerBuffer>,
    pub buffers_destroyed: usize,
    pub sampling_devices: Vec<Option<u64>>,
    pub refuse_imports: bool,
    pub first_feedback: Option<Arc<Feedback>>,
}

#[derive(Default)]
struct ServerClient(CompositorClientState);

impl ClientData for ServerClient {}

impl CompositorHandler for State {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.compositor
    }
    fn client_compositor_state<'a>(&self, client: &'a wayland_server::Client) -> &'a CompositorClientState {
        &client.get_data::<ServerClient>().unwrap().0
    }
    fn new_surface(&mut self, surface: &ServerSurface) {
        self.surfaces.push(surface.clone());
    }
    fn commit(&mut self, _: &ServerSurface) {}
}

impl BufferHandler for State {
    fn buffer_destroyed(&mut self, _: &ServerBuffer) {
        self.buffers_destroyed += 1;
    }
}

impl DmabufHandler for State {
    fn dmabuf_state(&mut self) -> &mut DmabufGlobalState {
        &mut self.dmabuf
    }
    fn dmabuf_imported(
        &mut self,
        _: &wayland_server::Client,
        _: &Dmabuf,
        sampling_device: Option<u64>,
    ) -> Result<(), ImportError> {
        self.sampling_devices.push(sampling_device);
        if self.refuse_imports { Err(ImportError("refused by a \0 driver ".repeat(1000))) } else { Ok(()) }
    }
    fn dmabuf_created(&mut self, buffer: &ServerBuffer, _: &Dmabuf) {
        self.buffers.push(buffer.clone());
    }
    fn surface_feedback(&mut self, _: &ServerSurface) -> Option<Arc<Feedback>> {
        self.first_feedback.clone()
    }
}

delegate_compositor!(State);
delegate_heapwright_dmabuf!(State);

/// The server's loop.
pub struct Server {
    display: Display<State>,
    pub state: State,
}

impl Server {
    /// A server that takes every file for a dma-buf.
    pub fn new(default: Feedback) -> Self {
        let display = Display::<State>::new().unwrap();
        let handle = display.handle();
        let mut dmabuf = DmabufGlobalState::new::<State>(&handle, default, 6);
        dmabuf.set_dmabuf_check(|_| true);
        let state = State {
            compositor: CompositorState::new::<State>(&handle),
            dmabuf,
            surfaces: Vec::new(),
            buffers: Vec::new(),
            buffers_destroyed: 0,
            sampling_devices: Vec::new(),
            refuse_imports: false,
            first_feedback: None,
        };
        Self { display, state }
    }

    /// Connects a client that binds linux-dmabuf at that version.
    pub fn connect(&mut self, version: u32) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let data = Arc::new(ServerClient::default());
        let id = self.display.handle().insert_client(ours, data).unwrap().id();
        let connection = Connection::from_socket(theirs).unwrap();
        let queue = connection.new_event_queue();
        let handle = queue.handle();
        let registry = connection.display().get_registry(&handle, ());
        let mut client = Client { id, connection, queue, seen: Seen::default(), registry, dmabuf: None };
        client.roundtrip(self).unwrap();
        let (name, _) = client.seen.globals["zwp_linux_dmabuf_v1"];
        client.dmabuf = Some(client.registry.bind(name, version, &handle, ()));
        client.roundtrip(self).unwrap();
        client
    }
}

/// One `done` worth of feedback.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    pub main_device: Option<u64>,
    pub table: Vec<(u32, u64)>,
    pub tranches: Vec<ToldTranche>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ToldTranche {
    pub target: u64,
    pub flags: u32,
    pub pairs: Vec<(u32, u64)>,
    pub events: usize,
}

/// What a client has heard.
#[derive(Default)]
pub struct Seen {
    globals: HashMap<String, (u32, u32)>,
    synced: bool,
    pub formats: Vec<u32>,
    pub modifiers: Vec<(u32, u64)>,
    pub failed: usize,
    pub created: Vec<WlBuffer>,
    pub told: HashMap<ObjectId, Vec<Told>>,
    partial: HashMap<ObjectId, (Told, ToldTranche)>,
}

/// A raw client.
pub struct Client {
    pub id: ClientId,
    connection: Connection,
    queue: EventQueue<Seen>,
    pub seen: Seen,
    registry: WlRegistry,
    dmabuf: Option<ZwpLinuxDmabufV1>,
}

impl Client {
    pub fn handle(&self) -> QueueHandle<Seen> {
        self.queue.handle()
    }

    pub fn dmabuf(&self) -> &ZwpLinuxDmabufV1 {
        self.dmabuf.as_ref().unwrap()
    }

    pub fn params(&self) -> ZwpLinuxBufferParamsV1 {
        self.dmabuf().create_params(&self.handle(), ())
    }

    /// The version that the server offers of a global.
    pub fn offered(&self, interface: &str) -> u32 {
        self.seen.globals[interface].1
    }

    pub fn default_feedback(&self) -> ZwpLinuxDmabufFeedbackV1 {
        self.dmabuf().get_default_feedback(&self.handle(), ())
    }

    pub fn surface_feedback(&self, surface: &WlSurface) -> ZwpLinuxDmabufFeedbackV1 {
        self.dmabuf().get_surface_feedback(surface, &self.handle(), ())
    }

    /// Everything that a feedback object has said so far.
    pub fn told(&self, object: &ZwpLinuxDmabufFeedbackV1) -> &[Told] {
        self.seen.told.get(&object.id()).map_or(&[], Vec::as_slice)
    }

    /// A surface, with the server's side of it.
    pub fn surface(&mut self, server: &mut Server) -> (WlSurface, ServerSurface) {
        let (name, _) = self.seen.globals["wl_compositor"];
        let compositor: WlCompositor = self.registry.bind(name, 5, &self.handle(), ());
        let surface = compositor.create_surface(&self.handle(), ());
        self.roundtrip(server).unwrap();
        (surface, server.state.surfaces.last().unwrap().clone())
    }

    /// Sends everything, lets the server answer, and hears it; or the protocol error that ended this client.
    pub fn roundtrip(&mut self, server: &mut Server) -> Result<(), ProtocolError> {
        self.seen.synced = false;
        self.connection.display().sync(&self.handle(), ());
        for _ in 0..PATIENCE {
            let _ = self.queue.flush();
            server.display.dispatch_clients(&mut server.state).unwrap();
            server.display.flush_clients().unwrap();
            if let Some(guard) = self.queue.prepare_read() {
                let _ = guard.read();
            }
            let dispatched = self.queue.dispatch_pending(&mut self.seen);
            if let Some(error) = self.connection.protocol_error() {
                return Err(error);
            }
            dispatched.unwrap();
            if self.seen.synced {
                return Ok(());
            }
        }
        panic!("the server did not answer");
    }
}

impl Dispatch<WlRegistry, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &WlRegistry,
        event: wl_registry::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { name, interface, version } = event {
            seen.globals.insert(interface, (name, version));
        }
    }
}

impl Dispatch<WlCallback, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &WlCallback,
        _: wl_callback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        seen.synced = true;
    }
}

impl Dispatch<ZwpLinuxDmabufV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &ZwpLinuxDmabufV1,
        event: zwp_linux_dmabuf_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwp_linux_dmabuf_v1::Event::Format { format } => seen.formats.push(format),
            zwp_linux_dmabuf_v1::Event::Modifier { format, modifier_hi, modifier_lo } => {
                seen.modifiers.push((format, (u64::from(modifier_hi) << 32) | u64::from(modifier_lo)));
            }
            _ => panic!("unknown event"),
        }
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        _: &ZwpLinuxBufferParamsV1,
        event: zwp_linux_buffer_params_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwp_linux_buffer_params_v1::Event::Created { buffer } => seen.created.push(buffer),
            zwp_linux_buffer_params_v1::Event::Failed => seen.failed += 1,
            _ => panic!("unknown event"),
        }
    }

    event_created_child!(Seen, ZwpLinuxBufferParamsV1, [
        zwp_linux_buffer_params_v1::EVT_CREATED_OPCODE => (WlBuffer, ()),
    ]);
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Seen {
    fn event(
        seen: &mut Self,
        object: &ZwpLinuxDmabufFeedbackV1,
        event: zwp_linux_dmabuf_feedback_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwp_linux_dmabuf_feedback_v1::Event;
        let (told, tranche) = seen.partial.entry(object.id()).or_default();
        match event {
            Event::MainDevice { device } => told.main_device = Some(device_number(&device)),
            Event::FormatTable { fd, size } => told.table = read_table(fd, size),
            Event::TrancheTargetDevice { device } => tranche.target = device_number(&device),
            Event::TrancheFlags { flags } => tranche.flags = flags.into(),
            Event::TrancheFormats { indices } => {
                tranche.events += 1;
                for index in indices.chunks_exact(2) {
                    let index = u16::from_ne_bytes(index.try_into().unwrap());
                    tranche.pairs.push(told.table[usize::from(index)]);
                }
            }
            Event::TrancheDone => told.tranches.push(std::mem::take(tranche)),
            Event::Done => {
                let told = std::mem::take(told);
                seen.told.entry(object.id()).or_default().push(told);
            }
            _ => panic!("unknown event"),
        }
    }
}

delegate_noop!(Seen: WlCompositor);
delegate_noop!(Seen: ignore WlSurface);
delegate_noop!(Seen: ignore WlBuffer);

fn device_number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().unwrap())
}

/// Maps the table as the specification tells clients to: private and read-only.
fn read_table(file: OwnedFd, bytes: u32) -> Vec<(u32, u64)> {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    assert!(rustix::io::write(file.as_fd(), b"x").is_err(), "a client could change the table");
    let length = bytes as usize;
    // SAFETY: a new private mapping of a sealed file that is `length` bytes long; it is read within that length and
    // unmapped before anything else can refer to it.
    let copy = unsafe {
        let address =
            mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, &file, 0).unwrap();
        let copy = std::slice::from_raw_parts(address.cast::<u8>(), length).to_vec();
        munmap(address, length).unwrap();
        copy
    };
    copy.chunks_exact(16)
        .map(|entry| {
            let format = u32::from_ne_bytes(entry[..4].try_into().unwrap());
            (format, u64::from_ne_bytes(entry[8..].try_into().unwrap()))
        })
        .collect()
}
