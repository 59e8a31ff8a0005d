//! The one state that every Wayland request and every device event works on.

use std::{collections::HashSet, sync::Arc};

use smithay::{
    backend::renderer::{
        Renderer as _,
        pixman::{PixmanError, PixmanRenderer},
    },
    desktop::{PopupManager, Space, Window},
    input::{Seat, SeatState},
    reexports::{
        calloop,
        wayland_server::{DisplayHandle, Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    },
    utils::{Clock, Monotonic},
    wayland::{
        compositor::CompositorState,
        cursor_shape::CursorShapeManagerState,
        output::OutputManagerState,
        presentation::PresentationState,
        selection::{data_device::DataDeviceState, primary_selection::PrimarySelectionState},
        shell::xdg::{XdgShellState, decoration::XdgDecorationState},
        shm::ShmState,
        single_pixel_buffer::SinglePixelBufferState,
        socket::ListeningSocketSource,
        viewporter::ViewporterState,
    },
};
use tracing::{debug, info, warn};

use crate::{
    app::App,
    backend::Backend,
    cli::OfferArgs,
    client::ClientState,
    cursor::Cursor,
    descriptors::Inherited,
    dmabuf::{DmabufGlobalState, FeedbackError},
    events::{Events, Loop},
    explicit_sync::ExplicitSync,
    feedback,
    frames::Buffers,
    ipc::Server,
    memory::Memory,
    negotiation::{Account, Negotiations},
    outputs::Dark,
    waiting::Waiting,
};

/// Smithay's state of each protocol the server speaks.
#[derive(Debug)]
#[allow(missing_docs, reason = "one field a protocol, named after it")]
pub struct Protocols {
    pub compositor: CompositorState,
    pub shm: ShmState,
    pub xdg_shell: XdgShellState,
    pub xdg_decoration: XdgDecorationState,
    pub output: OutputManagerState,
    pub presentation: PresentationState,
    pub viewporter: ViewporterState,
    pub single_pixel_buffer: SinglePixelBufferState,
    pub data_device: DataDeviceState,
    pub primary_selection: PrimarySelectionState,
    pub cursor_shape: CursorShapeManagerState,
}

/// When the compositor ends by itself.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct ExitPolicy {
    /// End when the last client has gone, once there was one.
    pub on_last_client: bool,
}

/// The compositor.
#[derive(Debug)]
pub struct Heapwright {
    /// The Wayland display.
    pub display: DisplayHandle,
    /// The event loop, to add sources to.
    pub events: Events,
    /// Exit code to end with; 0 unless the application said otherwise.
    pub exit_code: u8,
    /// When to end by itself.
    pub exit_policy: ExitPolicy,
    /// Name of the listening socket, for `WAYLAND_DISPLAY`.
    pub socket: String,
    /// The application that was started with the compositor.
    pub app: Option<App>,
    /// The application has been asked to end.
    pub terminating: bool,
    /// We asked it by ourselves, because its time was up.
    pub stopped_by_us: bool,
    /// Clients that have connected so far.
    pub clients_seen: u64,
    /// Clock of presentation times and frame callbacks.
    pub clock: Clock<Monotonic>,
    /// Protocol states.
    pub protocols: Protocols,
    /// Buffers in shared memory that are in the report already.
    pub noted: HashSet<ObjectId>,
    /// Whose clients may wait for news of a frame.
    pub waiting: Waiting,
    /// Those of whom nothing is seen will be looked after.
    pub hidden_awaited: bool,
    /// What is known of clients' buffers.
    pub buffers: Buffers,
    /// linux-dmabuf: its global, and who was told what.
    pub dmabuf: DmabufGlobalState,
    /// linux-drm-syncobj, where a device can do it.
    pub explicit_sync: Option<ExplicitSync>,
    /// Windows and outputs, and where they are.
    pub space: Space<Window>,
    /// The time without outputs.
    pub dark: Dark,
    /// Windows that have no picture yet.
    pub unmapped: Vec<Window>,
    /// Popups of all windows.
    pub popups: PopupManager,
    /// All seats; there is one.
    pub seat_state: SeatState<Self>,
    /// The seat.
    pub seat: Seat<Self>,
    /// The pointer's image.
    pub cursor: Cursor,
    /// Where buffers lie.
    pub memory: Memory,
    /// Where frames go.
    pub backend: Backend,
    /// Limits that the programs we start shall have.
    pub inherited: Option<Inherited>,
    /// What clients asked of the allocator.
    pub negotiations: Negotiations,
    /// Where others may ask about all this.
    pub questions: Option<Server>,
}

/// Why the compositor could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No socket could be bound.
    #[error("cannot listen for clients: {0}; XDG_RUNTIME_DIR must name a directory that you may write to")]
    Socket(#[from] smithay::reexports::wayland_server::BindError),
    /// The software renderer did not start.
    #[error("software renderer: {0}")]
    Renderer(#[from] PixmanError),
    /// No pair of format and modifier can be offered to clients.
    #[error("linux-dmabuf: {0}")]
    Feedback(#[from] FeedbackError),
    /// The event loop refused a source.
    #[error("event loop: {0}")]
    Loop(#[from] calloop::Error),
    /// Clients' questions cannot be put off.
    #[error("event loop: {0}")]
    Ping(#[source] std::io::Error),
    /// There is no thread to allocate in.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl<T> From<calloop::InsertError<T>> for StartError {
    fn from(error: calloop::InsertError<T>) -> Self {
        StartError::Loop(error.error)
    }
}

impl Heapwright {
    /// Creates the globals of the loop's display, and binds a socket.
    ///
    /// Outputs come from the backend, which is attached after this.
    ///
    /// # Errors
    /// [`StartError`] when there is no socket to be had or the event loop refuses a source.
    pub fn new(
        turning: &Loop,
        memory: Memory,
        backend: Backend,
        offer: OfferArgs,
    ) -> Result<Self, StartError> {
        let (handle, events) = (turning.display(), turning.events().clone());
        let clock = Clock::<Monotonic>::new();
        let protocols = Protocols {
            compositor: CompositorState::new::<Self>(&handle),
            shm: ShmState::new::<Self>(&handle, Vec::new()),
            xdg_shell: XdgShellState::new::<Self>(&handle),
            xdg_decoration: XdgDecorationState::new::<Self>(&handle),
            output: OutputManagerState::new_with_xdg_output::<Self>(&handle),
            presentation: PresentationState::new::<Self>(&handle, clock.id() as u32),
            viewporter: ViewporterState::new::<Self>(&handle),
            single_pixel_buffer: SinglePixelBufferState::new::<Self>(&handle),
            data_device: DataDeviceState::new::<Self>(&handle),
            primary_selection: PrimarySelectionState::new::<Self>(&handle),
            cursor_shape: CursorShapeManagerState::new::<Self>(&handle),
        };
        let mut seat_state = SeatState::new();
        // A start: `advertise_dmabuf` puts the solver's answers in its place before any client is served.
        let unsolved = feedback::unsolved(&PixmanRenderer::new()?)?;
        let dmabuf = DmabufGlobalState::new::<Self>(&handle, unsolved, offer.linux_dmabuf);
        let seat = seat_state.new_wl_seat(&handle, "seat0");
        let negotiations = Negotiations::new(&memory, &handle, events.handle())?;

        let listener = ListeningSocketSource::new_auto()?;
        let socket = listener.socket_name().to_string_lossy().into_owned();
        events.insert_source(listener, |stream, (), state: &mut Self| {
            state.clients_seen += 1;
            if let Err(error) = state.display.insert_client(stream, Arc::new(state.new_client())) {
                warn!(%error, "cannot take a new client");
            }
        })?;
        info!(socket, "listening for clients");

        Ok(Heapwright {
            display: handle,
            events,
            exit_code: 0,
            exit_policy: ExitPolicy::default(),
            socket,
            app: None,
            terminating: false,
            stopped_by_us: false,
            clients_seen: 0,
            clock,
            protocols,
            noted: HashSet::new(),
            waiting: Waiting::default(),
            hidden_awaited: false,
            buffers: Buffers::default(),
            dmabuf,
            explicit_sync: None,
            space: Space::default(),
            dark: Dark::default(),
            unmapped: Vec::new(),
            popups: PopupManager::default(),
            seat_state,
            seat,
            cursor: Cursor::default(),
            memory,
            backend,
            inherited: None,
            negotiations,
            questions: None,
        })
    }

    /// Work after each round of the event loop: settle windows, flush clients, end when asked to. With `others`, more has
    /// happened than that clients spoke and frames have reached the screen.
    pub fn after_turn(&mut self, others: bool) {
        // What moves a window, or ends one, has every output drawn.
        if self.backend.take_changed() || others {
            self.space.refresh();
            self.popups.cleanup();
            // Otherwise the renderer keeps the memory of clients that are gone until there is something new to draw.
            if let Some(Err(error)) = self.backend.renderer().map(PixmanRenderer::cleanup_texture_cache) {
                warn!(%error, "old pictures");
            }
        }
        if let Err(error) = self.display.flush_clients() {
            warn!(%error, "flushing clients");
        }
        // After the news of what is shown instead.
        self.settle_releases();
        if self.exit_policy.on_last_client && self.clients_seen > 0 && self.connected_clients() == 0 {
            info!("the last client has gone");
            self.events.end();
        }
    }

    fn new_client(&self) -> ClientState {
        ClientState { account: Account::open(&self.memory), ..ClientState::default() }
    }

    /// Number of clients connected now, without our own.
    #[must_use]
    pub fn connected_clients(&self) -> usize {
        let backend = self.display.backend_handle();
        let mut clients = Vec::new();
        backend.with_all_clients(|client| clients.push(client));
        let is_theirs = |client| {
            backend.get_client_data(client).is_ok_and(|data| data.downcast_ref::<ClientState>().is_some())
        };
        clients.into_iter().filter(|client| is_theirs(client.clone())).count()
    }

    /// The window that `surface` is the main surface of.
    #[must_use]
    pub fn window_of(&self, surface: &WlSurface) -> Option<Window> {
        self.space
            .elements()
            .chain(&self.unmapped)
            .find(|window| window.toplevel().is_some_and(|toplevel| toplevel.wl_surface() == surface))
            .cloned()
    }

    /// Ends the session: asked from outside (a signal) or by the last thing in it.
    pub fn shut_down(&mut self, why: &str) {
        debug!(why, windows = self.space.elements().count(), "shutting down");
        self.events.end();
    }
}

/// Whether two surfaces belong to one client.
#[must_use]
pub fn same_client(a: &WlSurface, b: &WlSurface) -> bool {
    a.id().same_client_as(&b.id())
}
