//! The Wayland side: one window, its buffers in turn, and what became of each frame.

use std::{
    io::Write as _,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use wayland_client::{
    Connection, Dispatch, DispatchError, EventQueue, QueueHandle, WEnum,
    backend::WaylandError,
    delegate_noop,
    globals::{BindError, GlobalError, GlobalListContents, registry_queue_init},
    protocol::{
        wl_buffer, wl_callback, wl_compositor, wl_output, wl_pointer, wl_region, wl_registry, wl_seat,
        wl_shm, wl_shm_pool, wl_surface,
    },
};
use wayland_protocols::{
    wp::{
        linux_dmabuf::zv1::client::{
            zwp_linux_buffer_params_v1::{self, ZwpLinuxBufferParamsV1},
            zwp_linux_dmabuf_feedback_v1::{self, TrancheFlags, ZwpLinuxDmabufFeedbackV1},
            zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
        },
        presentation_time::client::{
            wp_presentation::{self, WpPresentation},
            wp_presentation_feedback::{self, Kind, WpPresentationFeedback},
        },
    },
    xdg::shell::client::{xdg_surface, xdg_toplevel, xdg_wm_base},
};

use crate::{
    Args,
    buffers::{BufferFailed, Canvas, allocate},
    feedback::Feedback,
    report::Report,
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
    /// The compositor refused the buffer.
    #[error("the compositor refused a buffer made by its own feedback: {0}")]
    Refused(String),
    /// Nothing happens.
    #[error("no answer within {0:?} while waiting for {1}")]
    Patience(Duration, &'static str),
}

/// A frame on its way.
struct Sent {
    feedback: WpPresentationFeedback,
    at: Instant,
}

/// One buffer of the turn.
struct Slot {
    buffer: wl_buffer::WlBuffer,
    busy: bool,
    painted: bool,
}

#[derive(Default)]
struct Client {
    size: Option<(u32, u32)>,
    configured: bool,
    closed: bool,
    feedback: Feedback,
    seen_scanout: bool,
    slots: Vec<Slot>,
    created: Option<Result<wl_buffer::WlBuffer, ()>>,
    frame_due: bool,
    sent: Vec<Sent>,
    latencies: Vec<Duration>,
    clock: Option<u32>,
    report: Report,
    pointer: Option<wl_pointer::WlPointer>,
}

/// Runs until enough frames were shown, and hands the report to `done`.
pub fn run(args: &Args, done: impl FnOnce(&Report) -> std::io::Result<()>) -> Result<(), Failed> {
    let connection = Connection::connect_to_env()?;
    let (globals, mut queue) = registry_queue_init::<Client>(&connection)?;
    let handle = queue.handle();
    let compositor: wl_compositor::WlCompositor = globals.bind(&handle, 4..=6, ())?;
    let wm_base: xdg_wm_base::XdgWmBase = globals.bind(&handle, 1..=6, ())?;
    let shm: wl_shm::WlShm = globals.bind(&handle, 1..=1, ())?;
    let presentation: WpPresentation = globals.bind(&handle, 1..=2, ())?;
    let dmabuf: Option<ZwpLinuxDmabufV1> = globals.bind(&handle, 4..=5, ()).ok().filter(|_| !args.shm);
    let _seat: Option<wl_seat::WlSeat> = globals.bind(&handle, 1..=7, ()).ok();

    let mut client = Client::default();
    let surface = compositor.create_surface(&handle, ());
    if let Some(dmabuf) = &dmabuf {
        dmabuf.get_surface_feedback(&surface, &handle, ());
    }
    let xdg = wm_base.get_xdg_surface(&surface, &handle, ());
    let toplevel = xdg.get_toplevel(&handle, ());
    toplevel.set_title("heapwright-paint".to_owned());
    toplevel.set_app_id("heapwright-paint".to_owned());
    if args.fullscreen {
        toplevel.set_fullscreen(None);
    }
    surface.commit();
    until(&mut queue, &mut client, args.patience(), "the first configure", |client| client.configured)?;
    if dmabuf.is_some() {
        until(&mut queue, &mut client, args.patience(), "dma-buf feedback", |client| {
            client.feedback.rounds > 0
        })?;
    }

    let (width, height) = client.size.unwrap_or(args.size);
    let mut canvases = allocate(args, (width, height), dmabuf.is_some(), &client.feedback)?;
    client.report = canvases.report.clone();
    for canvas in &canvases.canvases {
        let buffer = match &dmabuf {
            Some(dmabuf) if canvas.is_dma_buf() => {
                create(&mut queue, &handle, &mut client, dmabuf, canvas, args.patience())?
            }
            _ => through_shm(&shm, &handle, canvas),
        };
        client.slots.push(Slot { buffer, busy: false, painted: false });
    }
    // The whole window is opaque: without this an alpha format could not go straight to a plane.
    let region = compositor.create_region(&handle, ());
    region.add(0, 0, width as i32, height as i32);
    surface.set_opaque_region(Some(&region));
    region.destroy();

    client.frame_due = true;
    let end = args.stay.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let enough = |presented| end.map_or(presented >= args.frames, |end| Instant::now() >= end);
    while !enough(client.report.presented) && !client.closed {
        let free = client.slots.iter().position(|slot| !slot.busy);
        if let (true, Some(index)) = (client.frame_due, free) {
            if !(args.still && client.slots[index].painted) {
                canvases.canvases[index].paint(if args.still {
                    0
                } else {
                    client.report.committed as u32
                })?;
                client.slots[index].painted = true;
            }
            surface.attach(Some(&client.slots[index].buffer), 0, 0);
            surface.damage_buffer(0, 0, width as i32, height as i32);
            surface.frame(&handle, ());
            let feedback = presentation.feedback(&surface, &handle, ());
            client.sent.push(Sent { feedback, at: Instant::now() });
            surface.commit();
            client.slots[index].busy = true;
            client.frame_due = false;
            client.report.committed += 1;
        }
        let before = client.report.presented;
        turn(&mut queue, &mut client, args.patience(), "a frame")?;
        if args.tell.is_some_and(|every| client.report.presented / every > before / every) {
            // Nobody need listen.
            let _ = writeln!(std::io::stderr().lock(), "presented {}", client.report.presented);
        }
    }
    client.report.clock = client.clock;
    client.report.feedback_rounds = client.feedback.rounds;
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

/// One round of events, waiting at most `patience`.
fn turn(
    queue: &mut EventQueue<Client>,
    client: &mut Client,
    patience: Duration,
    what: &'static str,
) -> Result<(), Failed> {
    if queue.dispatch_pending(client)? > 0 {
        return Ok(());
    }
    queue.flush()?;
    let Some(guard) = queue.prepare_read() else { return Ok(()) };
    let fd = guard.connection_fd();
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => return Err(Failed::Patience(patience, what)),
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    match guard.read() {
        // Woken without a whole message to read.
        Err(WaylandError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
        read => read?,
    };
    queue.dispatch_pending(client)?;
    Ok(())
}

fn until(
    queue: &mut EventQueue<Client>,
    client: &mut Client,
    patience: Duration,
    what: &'static str,
    done: impl Fn(&Client) -> bool,
) -> Result<(), Failed> {
    while !done(client) {
        turn(queue, client, patience, what)?;
    }
    Ok(())
}

/// Makes a wl_buffer of a dma-buf, waiting for the compositor's word on it.
fn create(
    queue: &mut EventQueue<Client>,
    handle: &QueueHandle<Client>,
    client: &mut Client,
    dmabuf: &ZwpLinuxDmabufV1,
    canvas: &Canvas,
    patience: Duration,
) -> Result<wl_buffer::WlBuffer, Failed> {
    let params = dmabuf.create_params(handle, ());
    let (high, low) = ((canvas.modifier().0 >> 32) as u32, canvas.modifier().0 as u32);
    params.add(canvas.fd(), 0, 0, canvas.pitch() as u32, high, low);
    let (width, height) = canvas.size();
    params.create(width as i32, height as i32, canvas.format().0, zwp_linux_buffer_params_v1::Flags::empty());
    client.created = None;
    until(queue, client, patience, "a dma-buf to be taken", |client| client.created.is_some())?;
    params.destroy();
    match client.created.take() {
        Some(Ok(buffer)) => Ok(buffer),
        _ => Err(Failed::Refused(format!(
            "{width}x{height} {} {} pitch {}",
            canvas.format(),
            canvas.modifier(),
            canvas.pitch()
        ))),
    }
}

fn through_shm(shm: &wl_shm::WlShm, handle: &QueueHandle<Client>, canvas: &Canvas) -> wl_buffer::WlBuffer {
    let (width, height) = canvas.size();
    let bytes = canvas.pitch() as i32 * height as i32;
    let pool = shm.create_pool(canvas.fd().as_fd(), bytes, handle, ());
    let buffer = pool.create_buffer(
        0,
        width as i32,
        height as i32,
        canvas.pitch() as i32,
        wl_shm::Format::Xrgb8888,
        handle,
        (),
    );
    pool.destroy();
    buffer
}

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Client {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

impl Dispatch<xdg_wm_base::XdgWmBase, ()> for Client {
    fn event(
        _: &mut Self,
        wm_base: &xdg_wm_base::XdgWmBase,
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

impl Dispatch<xdg_surface::XdgSurface, ()> for Client {
    fn event(
        client: &mut Self,
        surface: &xdg_surface::XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            surface.ack_configure(serial);
            client.configured = true;
        }
    }
}

impl Dispatch<xdg_toplevel::XdgToplevel, ()> for Client {
    fn event(
        client: &mut Self,
        _: &xdg_toplevel::XdgToplevel,
        event: xdg_toplevel::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            xdg_toplevel::Event::Configure { width, height, .. } if width > 0 && height > 0 => {
                client.size = Some((width as u32, height as u32));
            }
            xdg_toplevel::Event::Close => client.closed = true,
            _ => {}
        }
    }
}

impl Dispatch<wl_callback::WlCallback, ()> for Client {
    fn event(
        client: &mut Self,
        _: &wl_callback::WlCallback,
        _: wl_callback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        client.frame_due = true;
    }
}

impl Dispatch<wl_buffer::WlBuffer, ()> for Client {
    fn event(
        client: &mut Self,
        buffer: &wl_buffer::WlBuffer,
        event: wl_buffer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let slot = client.slots.iter_mut().find(|slot| slot.buffer == *buffer);
        if let (wl_buffer::Event::Release, Some(slot)) = (event, slot) {
            slot.busy = false;
        }
    }
}

impl Dispatch<ZwpLinuxBufferParamsV1, ()> for Client {
    fn event(
        client: &mut Self,
        _: &ZwpLinuxBufferParamsV1,
        event: zwp_linux_buffer_params_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            zwp_linux_buffer_params_v1::Event::Created { buffer } => client.created = Some(Ok(buffer)),
            zwp_linux_buffer_params_v1::Event::Failed => client.created = Some(Err(())),
            _ => {}
        }
    }

    wayland_client::event_created_child!(Client, ZwpLinuxBufferParamsV1, [
        zwp_linux_buffer_params_v1::EVT_CREATED_OPCODE => (wl_buffer::WlBuffer, ()),
    ]);
}

impl Dispatch<ZwpLinuxDmabufFeedbackV1, ()> for Client {
    fn event(
        client: &mut Self,
        _: &ZwpLinuxDmabufFeedbackV1,
        event: zwp_linux_dmabuf_feedback_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use zwp_linux_dmabuf_feedback_v1::Event;
        match event {
            // A table that can't be mapped leaves the feedback empty, which allocation then names.
            Event::FormatTable { fd, size } => drop(client.feedback.table(fd, size)),
            Event::TrancheFormats { indices } => client.feedback.formats(&indices),
            Event::TrancheFlags { flags: WEnum::Value(flags) } => {
                let scanout = flags.contains(TrancheFlags::Scanout);
                client.seen_scanout |= scanout;
                client.feedback.flags(scanout);
            }
            Event::TrancheDone => client.feedback.tranche_done(),
            Event::Done => client.feedback.done(),
            _ => {}
        }
    }
}

impl Dispatch<WpPresentation, ()> for Client {
    fn event(
        client: &mut Self,
        _: &WpPresentation,
        event: wp_presentation::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wp_presentation::Event::ClockId { clk_id } = event {
            client.clock = Some(clk_id);
        }
    }
}

impl Dispatch<WpPresentationFeedback, ()> for Client {
    fn event(
        client: &mut Self,
        feedback: &WpPresentationFeedback,
        event: wp_presentation_feedback::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let sent = client.sent.iter().position(|sent| sent.feedback == *feedback);
        match event {
            wp_presentation_feedback::Event::Presented { tv_sec_hi, tv_sec_lo, tv_nsec, flags, .. } => {
                if let Some(index) = sent {
                    client.latencies.push(client.sent.swap_remove(index).at.elapsed());
                }
                let zero_copy = matches!(flags, WEnum::Value(flags) if flags.contains(Kind::ZeroCopy));
                let seconds = (u64::from(tv_sec_hi) << 32) | u64::from(tv_sec_lo);
                client.report.frame(zero_copy, Duration::new(seconds, tv_nsec));
            }
            wp_presentation_feedback::Event::Discarded => {
                if let Some(index) = sent {
                    client.sent.swap_remove(index);
                }
                client.report.discarded += 1;
            }
            _ => {}
        }
    }
}

impl Dispatch<wl_seat::WlSeat, ()> for Client {
    fn event(
        client: &mut Self,
        seat: &wl_seat::WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        let wl_seat::Event::Capabilities { capabilities: WEnum::Value(capabilities) } = event else { return };
        if capabilities.contains(wl_seat::Capability::Pointer) && client.pointer.is_none() {
            client.pointer = Some(seat.get_pointer(handle, ()));
        }
    }
}

impl Dispatch<wl_pointer::WlPointer, ()> for Client {
    fn event(
        _: &mut Self,
        pointer: &wl_pointer::WlPointer,
        event: wl_pointer::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // A pointer over the picture would be one more thing to compose.
        if let wl_pointer::Event::Enter { serial, .. } = event {
            pointer.set_cursor(serial, None, 0, 0);
        }
    }
}

delegate_noop!(Client: ignore wl_compositor::WlCompositor);
delegate_noop!(Client: ignore wl_surface::WlSurface);
delegate_noop!(Client: ignore wl_region::WlRegion);
delegate_noop!(Client: ignore wl_shm::WlShm);
delegate_noop!(Client: ignore wl_shm_pool::WlShmPool);
delegate_noop!(Client: ignore wl_output::WlOutput);
delegate_noop!(Client: ignore ZwpLinuxDmabufV1);
