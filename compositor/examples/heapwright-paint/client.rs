//! One window, its buffers in turn, and what became of each frame.

use std::{
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use heapwright_alloc::constraints::Size;
use heapwright_client::{Allocation, Answer, Buffers, Constraints, Inexpressible, Negotiator, Refused};
use rustix::io::Errno;
use wayland_client::{
    Connection, DispatchError, EventQueue, QueueHandle,
    backend::WaylandError,
    globals::{BindError, GlobalError, registry_queue_init},
    protocol::{wl_buffer, wl_compositor, wl_seat, wl_shm, wl_surface},
};
use wayland_protocols::{
    wp::{
        linux_dmabuf::zv1::client::{zwp_linux_buffer_params_v1, zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1},
        presentation_time::client::{
            wp_presentation::WpPresentation, wp_presentation_feedback::WpPresentationFeedback,
        },
    },
    xdg::shell::client::{xdg_toplevel, xdg_wm_base},
};

use crate::{
    Args,
    buffers::{BufferFailed, Canvas, allocate, least, painter},
    feedback::Feedback,
    fence::Fences,
    given_back::GivenBack,
    picture::Style,
    pointer::Pointer,
    points::{Acquired, Points, Release},
    report::Report,
    slots::{Slot, Slots},
    wait::{turn, until},
};

/// Why the client gave up.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No compositor.
    #[error("no compositor: {0}; is WAYLAND_DISPLAY set?")]
    Connect(#[from] wayland_client::ConnectError),
    /// Registry.
    #[error("the compositor does not list its globals: {0}")]
    Globals(#[from] GlobalError),
    /// A global is missing.
    #[error("the compositor lacks something this client needs: {0}")]
    Bind(#[from] BindError),
    /// The connection broke, for instance by a protocol error.
    #[error("the connection ended: {0}")]
    Dispatch(#[from] DispatchError),
    /// The connection broke while writing or reading.
    #[error("the connection ended: {0}")]
    Io(#[from] WaylandError),
    /// poll failed.
    #[error("waiting for the compositor: {0}")]
    Poll(#[from] Errno),
    /// The report could not be printed.
    #[error("printing the report: {0}")]
    Report(#[from] std::io::Error),
    /// No memory.
    #[error(transparent)]
    Buffer(#[from] BufferFailed),
    /// The protocol has no words for what we want.
    #[error(transparent)]
    Inexpressible(#[from] Inexpressible),
    /// The compositor has no buffers for us.
    #[error("no buffers: {0}")]
    Refused(#[from] Refused),
    /// There are no late fences.
    #[error("no late fences: {0}; they are made in debugfs (sync/sw_sync), by root")]
    Fence(#[source] std::io::Error),
    /// No picture for the pointer.
    #[error("no picture for the pointer: {0}")]
    Pointer(#[source] std::io::Error),
    /// There is no explicit sync.
    #[error("no explicit sync: {0}")]
    Points(#[source] std::io::Error),
    /// The compositor does not take the buffer.
    #[error("the compositor refused a buffer made by its own word: {0}")]
    BufferRefused(String),
    /// Nothing happens.
    #[error("no answer within {0:?} while waiting for {1}")]
    Patience(Duration, &'static str),
}

/// A frame on its way.
pub struct Sent {
    /// Says what became of it.
    pub feedback: WpPresentationFeedback,
    /// When it was committed.
    pub at: Instant,
    /// Its number, from 1.
    pub commit: u64,
}

/// What is known of the window.
#[derive(Default)]
pub struct Client {
    /// As configured; nothing while the choice is ours.
    pub size: Option<(u32, u32)>,
    /// The first configure came.
    pub configured: bool,
    /// The user wants it to end.
    pub closed: bool,
    /// Of linux-dmabuf.
    pub feedback: Feedback,
    /// It had a scan-out tranche once.
    pub seen_scanout: bool,
    /// What the compositor answered last, unless it was taken.
    pub answer: Option<Answer>,
    /// The buffers.
    pub slots: Slots,
    /// What came of the last parameters.
    pub created: Option<Result<wl_buffer::WlBuffer, ()>>,
    /// It is time for the next frame.
    pub frame_due: bool,
    /// What came back when.
    pub given_back: GivenBack,
    /// Frames on their way.
    pub sent: Vec<Sent>,
    /// Of the frames that came through.
    pub latencies: Vec<Duration>,
    /// The presentation clock.
    pub clock: Option<u32>,
    /// Buffers whose end a point will tell.
    pub releases: Vec<Release>,
    /// Frames that may be read, where points say so.
    pub acquired: Option<Acquired>,
    /// What there is to tell.
    pub report: Report,
    /// What becomes of the pointer above our window.
    pub pointer: Pointer,
}

impl Client {
    /// What is awaited beside the compositor's words: the events of release points.
    pub fn awaited(&self) -> impl Iterator<Item = &OwnedFd> {
        self.releases.iter().map(|release| &release.event)
    }

    /// Which of them have come, in their order: the compositor says by these points that it has done with the buffers.
    pub fn came(&mut self, which: &[bool]) {
        let mut came = which.iter().copied();
        let (ended, rest): (Vec<_>, _) =
            std::mem::take(&mut self.releases).into_iter().partition(|_| came.next().unwrap_or(false));
        self.releases = rest;
        for release in ended {
            self.report.points_released += 1;
            if let Some(commit) = self.slots.released(&release.buffer) {
                self.given_back.released(commit);
            }
        }
    }
}

/// What the window is made with.
struct Window<'a> {
    args: &'a Args,
    handle: QueueHandle<Client>,
    compositor: wl_compositor::WlCompositor,
    shm: wl_shm::WlShm,
    presentation: WpPresentation,
    dmabuf: Option<ZwpLinuxDmabufV1>,
    surface: wl_surface::WlSurface,
    toplevel: xdg_toplevel::XdgToplevel,
    /// Who gives us buffers; nobody when we allocate ourselves.
    negotiator: Option<Negotiator>,
    allocation: Option<Allocation>,
    fences: Option<Fences>,
    points: Option<Points>,
    /// Size that buffers were asked for last.
    asked: (u32, u32),
}

/// Runs until enough frames were shown, and hands the report to `done`.
pub fn run(args: &Args, done: impl FnOnce(&Report) -> std::io::Result<()>) -> Result<(), Failed> {
    let connection = Connection::connect_to_env()?;
    let (globals, mut queue) = registry_queue_init::<Client>(&connection)?;
    let handle = queue.handle();
    let compositor: wl_compositor::WlCompositor = globals.bind(&handle, 4..=6, ())?;
    let wm_base: xdg_wm_base::XdgWmBase = globals.bind(&handle, 1..=6, ())?;
    let _seat: Option<wl_seat::WlSeat> = globals.bind(&handle, 1..=7, ()).ok();
    let surface = compositor.create_surface(&handle, ());
    let points = match args.explicit_sync {
        Some(late) => {
            let manager = globals.bind(&handle, 1..=1, ())?;
            let late = Duration::from_millis(late);
            Some(Points::new(manager, &surface, &handle, late).map_err(Failed::Points)?)
        }
        None => None,
    };
    let xdg = wm_base.get_xdg_surface(&surface, &handle, ());
    let toplevel = xdg.get_toplevel(&handle, ());
    let mut window = Window {
        args,
        compositor,
        shm: globals.bind(&handle, 1..=1, ())?,
        presentation: globals.bind(&handle, 1..=2, ())?,
        dmabuf: globals.bind(&handle, 4..=5, ()).ok().filter(|_| !args.shm),
        surface,
        toplevel,
        negotiator: if args.negotiate { Some(Negotiator::bind(&globals, &handle)?) } else { None },
        allocation: None,
        fences: args
            .fence
            .map(|late| Fences::new(Duration::from_millis(late)))
            .transpose()
            .map_err(Failed::Fence)?,
        points,
        asked: (0, 0),
        handle,
    };
    let pointer = Pointer::new(args.pointer, &window.compositor, &window.shm, &window.handle);
    let mut client = Client {
        pointer: pointer.map_err(Failed::Pointer)?,
        acquired: window.points.as_ref().map(Points::acquired),
        ..Client::default()
    };
    window.run(&mut queue, &mut client)?;

    client.report.clock = client.clock;
    client.report.feedback_rounds = client.feedback.rounds;
    client.report.released_early = client.given_back.early();
    client.report.scanout_tranche = client.seen_scanout;
    let latencies = std::mem::take(&mut client.latencies);
    client.report.latencies(latencies);
    done(&client.report)?;
    // The picture stays on the screen for whoever looks at it now.
    if args.linger > 0 {
        let end = Instant::now() + Duration::from_secs(args.linger);
        while let Some(rest) = end.checked_duration_since(Instant::now()) {
            match turn(&mut queue, &mut client, rest, "the end") {
                Ok(()) | Err(Failed::Patience(..)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

impl Window<'_> {
    /// From the first commit to the last frame.
    fn run(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let args = self.args;
        if let Some(dmabuf) = &self.dmabuf {
            dmabuf.get_surface_feedback(&self.surface, &self.handle, ());
        }
        self.toplevel.set_title("heapwright-paint".to_owned());
        self.toplevel.set_app_id("heapwright-paint".to_owned());
        if args.fullscreen {
            self.toplevel.set_fullscreen(None);
        }
        self.surface.commit();
        until(queue, client, args.patience(), "the first configure", |client| client.configured)?;
        if self.dmabuf.is_some() {
            until(queue, client, args.patience(), "dma-buf feedback", |client| client.feedback.rounds > 0)?;
        }
        self.ask(queue, client)?;
        until(queue, client, args.patience(), "buffers", |client| {
            client.answer.is_some() || !client.slots.is_empty()
        })?;

        client.frame_due = true;
        let end = args.stay.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let enough = |presented| match (&args.until, end) {
            (Some(file), _) => file.exists(),
            (None, Some(end)) => Instant::now() >= end,
            (None, None) => presented >= args.frames,
        };
        let mut fullscreen = args.fullscreen;
        while !enough(client.report.presented) && !client.closed {
            if let Some(answer) = client.answer.take() {
                self.take(queue, client, answer)?;
            }
            // Who negotiates is told by `changed`.
            let news = std::mem::take(&mut client.feedback.news) && self.negotiator.is_none();
            if self.size(client) != self.asked || news {
                self.ask(queue, client)?;
            }
            if client.frame_due {
                self.paint(client)?;
            }
            self.stay_away(queue, client)?;
            let before = client.report.presented;
            turn(queue, client, args.patience(), "a frame")?;
            client.given_back.settle();
            let passed = |every: u64| client.report.presented / every > before / every;
            if args.tell.is_some_and(passed) {
                // Nobody need listen.
                let _ = writeln!(std::io::stderr().lock(), "presented {}", client.report.presented);
            }
            if args.resize.is_some_and(passed) && !fullscreen {
                // The choice is ours, whatever the compositor said last.
                client.size = None;
            }
            if args.toggle.is_some_and(passed) {
                fullscreen = !fullscreen;
                if fullscreen {
                    self.toplevel.set_fullscreen(None);
                } else {
                    self.toplevel.unset_fullscreen();
                    // The choice is ours again.
                    client.size = None;
                }
            }
        }
        Ok(())
    }

    /// Has no window as long as that is wanted.
    fn stay_away(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let Some(file) = self.args.away.as_ref().filter(|file| file.exists()) else { return Ok(()) };
        self.surface.attach(None, 0, 0);
        self.surface.commit();
        while file.exists() {
            queue.roundtrip(client)?;
            // Nobody tells that a file has gone.
            thread::sleep(Duration::from_millis(50));
        }
        client.configured = false;
        self.surface.commit();
        until(queue, client, self.args.patience(), "another configure", |client| client.configured)?;
        self.paint(client)
    }

    /// The size that the window has now.
    fn size(&self, client: &Client) -> (u32, u32) {
        client.size.unwrap_or_else(|| self.args.size_at(client.report.presented))
    }

    /// Asks for buffers of the size that the window has now, or makes them.
    fn ask(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let size = self.size(client);
        client.report.sizes += u64::from(size != self.asked);
        self.asked = size;
        client.feedback.news = false;
        let Some(negotiator) = &self.negotiator else {
            let canvases = allocate(self.args, size, self.dmabuf.is_some(), &client.feedback)?;
            client.report.take(canvases.report);
            return self.replace(queue, client, canvases.canvases);
        };
        let size = Size::new(size.0, size.1);
        match &self.allocation {
            Some(allocation) => allocation.resize(size, least(self.args)),
            None => {
                let constraints = Constraints::default().with(painter(self.args));
                self.allocation = Some(negotiator.allocate(
                    &self.handle,
                    &constraints,
                    Some(&self.surface),
                    size,
                    least(self.args),
                )?);
            }
        }
        Ok(())
    }

    /// Takes an answer: the window goes on with what it has when there is nothing better.
    fn take(
        &mut self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        answer: Answer,
    ) -> Result<(), Failed> {
        match answer {
            // A later question waits for its answer.
            Ok(buffers) if (buffers.size.width, buffers.size.height) != self.asked => Ok(()),
            Ok(buffers) => {
                client.report.negotiated(&buffers);
                self.replace(queue, client, canvases(buffers)?)
            }
            Err(refused) if client.slots.is_empty() => Err(refused.into()),
            Err(refused) => {
                client.report.refused.push(refused.to_string());
                Ok(())
            }
        }
    }

    /// Paints into these from now on.
    fn replace(
        &self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        canvases: Vec<Canvas>,
    ) -> Result<(), Failed> {
        let mut slots = Vec::new();
        for canvas in canvases {
            let buffer = match &self.dmabuf {
                Some(dmabuf) if canvas.is_dma_buf() => self.create(queue, client, dmabuf, &canvas)?,
                _ => self.through_shm(&canvas),
            };
            slots.push(Slot { buffer, canvas, busy: false, painted: None, commit: 0 });
        }
        client.slots.replace(slots);
        if let Some((width, height)) = client.slots.size() {
            // The whole window is opaque: without this an alpha format could not go straight to a plane.
            let region = self.compositor.create_region(&self.handle, ());
            region.add(0, 0, width as i32, height as i32);
            self.surface.set_opaque_region(Some(&region));
            region.destroy();
        }
        Ok(())
    }

    /// Paints and commits the next frame, if there is a buffer for it.
    fn paint(&mut self, client: &mut Client) -> Result<(), Failed> {
        let frame = if self.args.still { 0 } else { client.report.committed as u32 };
        let style = if self.args.band { Style::Band } else { Style::Scroll };
        let Some(slot) = client.slots.free() else { return Ok(()) };
        slot.paint(style, frame)?;
        if let Some(fences) = self.fences.as_mut().filter(|_| slot.canvas.is_dma_buf()) {
            fences.attach(slot.canvas.fd()).map_err(Failed::Fence)?;
        }
        slot.busy = true;
        let commit = client.report.committed + 1;
        slot.commit = commit;
        self.surface.attach(Some(&slot.buffer), 0, 0);
        let (width, height) = slot.canvas.size();
        // What is new on the screen is what differs from the frame before.
        let before = frame.checked_sub(1).filter(|_| client.report.committed_of_these > 0);
        for rows in style.changed(height, before, frame) {
            self.surface.damage_buffer(0, rows.start as i32, width as i32, rows.len() as i32);
        }
        self.surface.frame(&self.handle, commit);
        let feedback = self.presentation.feedback(&self.surface, &self.handle, ());
        client.sent.push(Sent { feedback, at: Instant::now(), commit });
        let late = match &mut self.points {
            Some(points) => {
                let (release, late) =
                    points.set(&slot.buffer, commit, &self.handle).map_err(Failed::Points)?;
                client.releases.push(release);
                Some(late)
            }
            None => None,
        };
        self.surface.commit();
        if let Some(late) = late {
            late.signal();
        }
        client.frame_due = false;
        client.report.committed = commit;
        client.report.committed_of_these += 1;
        Ok(())
    }

    /// Makes a wl_buffer of a dma-buf, waiting for the compositor's word on it.
    fn create(
        &self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        dmabuf: &ZwpLinuxDmabufV1,
        canvas: &Canvas,
    ) -> Result<wl_buffer::WlBuffer, Failed> {
        let params = dmabuf.create_params(&self.handle, ());
        let (high, low) = ((canvas.modifier().0 >> 32) as u32, canvas.modifier().0 as u32);
        params.add(canvas.fd(), 0, canvas.offset() as u32, canvas.pitch() as u32, high, low);
        let (width, height) = canvas.size();
        let flags = zwp_linux_buffer_params_v1::Flags::empty();
        params.create(width as i32, height as i32, canvas.format().0, flags);
        client.created = None;
        until(queue, client, self.args.patience(), "a dma-buf to be taken", |client| {
            client.created.is_some()
        })?;
        params.destroy();
        match client.created.take() {
            Some(Ok(buffer)) => Ok(buffer),
            _ => Err(Failed::BufferRefused(format!(
                "{width}x{height} {} {} pitch {}",
                canvas.format(),
                canvas.modifier(),
                canvas.pitch()
            ))),
        }
    }

    fn through_shm(&self, canvas: &Canvas) -> wl_buffer::WlBuffer {
        let (width, height) = canvas.size();
        let bytes = canvas.pitch() as i32 * height as i32;
        let pool = self.shm.create_pool(canvas.fd().as_fd(), bytes, &self.handle, ());
        let buffer = pool.create_buffer(
            0,
            width as i32,
            height as i32,
            canvas.pitch() as i32,
            wl_shm::Format::Xrgb8888,
            &self.handle,
            (),
        );
        pool.destroy();
        buffer
    }
}

fn canvases(buffers: Buffers) -> Result<Vec<Canvas>, BufferFailed> {
    buffers.into_buffers()?.into_iter().map(Canvas::of).collect()
}
