//! The player: a window with video, its controls above, and the frames of both.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use heapwright_alloc::{
    buffers::Memory,
    constraints::{CpuAccess, Fourcc, Frequency, Size},
    devices::cpu_participant,
};
use heapwright_client::{Allocation, Answer, Constraints, Negotiator};
use wayland_client::{
    Connection, EventQueue, QueueHandle,
    globals::registry_queue_init,
    protocol::{
        wl_buffer::WlBuffer, wl_compositor::WlCompositor, wl_seat::WlSeat, wl_shm, wl_subcompositor,
        wl_subsurface::WlSubsurface, wl_surface::WlSurface,
    },
};
use wayland_protocols::{
    wp::{
        linux_dmabuf::zv1::client::{
            zwp_linux_buffer_params_v1::Flags, zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1,
        },
        presentation_time::client::wp_presentation::WpPresentation,
    },
    xdg::shell::client::{xdg_toplevel::XdgToplevel, xdg_wm_base::XdgWmBase},
};

use crate::{
    Args,
    client::{Client, Failed, Which},
    part::{Canvas, Part, Sent, Slot},
    picture,
    report::Report,
    told::Told,
    wait::{turn, until},
};

/// Buffers of each surface: one on the screen, one on its way there, one to paint in.
const BUFFERS: u32 = 3;

struct Player<'a> {
    args: &'a Args,
    handle: QueueHandle<Client>,
    shm: wl_shm::WlShm,
    presentation: WpPresentation,
    /// To whom buffers are shown that `negotiator` gave; none if we do without.
    giver: Option<(Negotiator, ZwpLinuxDmabufV1)>,
    surface: WlSurface,
    toplevel: XdgToplevel,
    video: Option<Allocation>,
    controls: Option<(WlSurface, WlSubsurface)>,
    /// The size that video was asked for last.
    asked: (u32, u32),
    fallback: Option<String>,
}

/// Runs until enough frames were shown, and hands the report to `done`.
pub fn run(args: &Args, done: impl FnOnce(&Told) -> std::io::Result<()>) -> Result<(), Failed> {
    let connection = Connection::connect_to_env()?;
    let (globals, mut queue) = registry_queue_init::<Client>(&connection)?;
    let handle = queue.handle();
    let compositor: WlCompositor = globals.bind(&handle, 4..=6, ())?;
    let wm_base: XdgWmBase = globals.bind(&handle, 1..=6, ())?;
    let _seat: Option<WlSeat> = globals.bind(&handle, 1..=7, ()).ok();
    let surface = compositor.create_surface(&handle, ());
    let toplevel = wm_base.get_xdg_surface(&surface, &handle, ()).get_toplevel(&handle, ());
    let controls = if args.no_controls {
        None
    } else {
        let subcompositor: wl_subcompositor::WlSubcompositor = globals.bind(&handle, 1..=1, ())?;
        let above = compositor.create_surface(&handle, ());
        let subsurface = subcompositor.get_subsurface(&above, &surface, &handle, ());
        if !args.paused {
            subsurface.set_desync();
        }
        Some((above, subsurface))
    };
    let mut fallback = args.shm.then(|| "asked for with --shm".to_owned());
    let mut giver = None;
    if !args.shm {
        let dmabuf = globals.bind(&handle, 4..=5, ());
        match (Negotiator::bind(&globals, &handle), dmabuf) {
            (Ok(negotiator), Ok(dmabuf)) => giver = Some((negotiator, dmabuf)),
            (Err(error), _) => fallback = Some(format!("the compositor gives no buffers: {error}")),
            (_, Err(error)) => fallback = Some(format!("the compositor takes no dma-bufs: {error}")),
        }
    }
    let mut player = Player {
        args,
        shm: globals.bind(&handle, 1..=1, ())?,
        presentation: globals.bind(&handle, 1..=2, ())?,
        giver,
        surface,
        toplevel,
        video: None,
        controls,
        asked: (0, 0),
        fallback,
        handle,
    };
    let mut client = Client::default();
    player.run(&mut queue, &mut client)?;
    client.video.report.clock = client.clock;
    let told = Told {
        fallback: player.fallback.take(),
        late: client.video.late,
        video: client.video.told(),
        controls: client.controls.told(),
    };
    done(&told)?;
    // The picture stays on the screen for whoever looks at it now.
    let end = Instant::now() + Duration::from_secs(args.linger);
    while let Some(rest) = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        match turn(&mut queue, &mut client, rest, "the end") {
            Ok(()) | Err(Failed::Patience(..)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// This program, as one that touches the buffers: as a software decoder, it writes each pixel once.
fn constraints(name: &str, format: Fourcc) -> Constraints {
    let access = CpuAccess { read: Frequency::None, write: Frequency::Often };
    Constraints::default().with(cpu_participant(name, &[format], access))
}

impl Player<'_> {
    fn run(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let args = self.args;
        self.toplevel.set_title("heapwright-video".to_owned());
        self.toplevel.set_app_id("heapwright-video".to_owned());
        if args.fullscreen {
            self.toplevel.set_fullscreen(None);
        }
        self.surface.commit();
        until(queue, client, args.patience(), "the first configure", |client| client.configured)?;
        self.ask(queue, client)?;
        self.wait_for_buffers(queue, client)?;

        (client.video.due, client.controls.due) = (true, true);
        let period = Duration::from_secs(1) / args.rate;
        client.video.period = period;
        let mut next = Instant::now();
        let end = args.stay.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let enough = |presented| match (&args.until, end) {
            (Some(file), _) => file.exists(),
            (None, Some(end)) => Instant::now() >= end,
            (None, None) => presented >= args.frames,
        };
        let mut fullscreen = args.fullscreen;
        while !enough(client.video.report.presented) && !client.closed {
            self.take_answers(queue, client)?;
            if client.size.unwrap_or(args.size) != self.asked {
                self.ask(queue, client)?;
            }
            // Half a period early is soon enough: the display keeps the time from there.
            let early = next.saturating_duration_since(Instant::now());
            let idle = client.video.due && early > period / 2;
            if client.video.due && !idle {
                self.show_video(client)?;
                if !client.video.due {
                    next = (next + period).max(Instant::now());
                }
            }
            let before = client.video.report.presented;
            match turn(queue, client, if idle { early - period / 2 } else { args.patience() }, "a frame") {
                Err(Failed::Patience(..)) if idle => {}
                turned => turned?,
            }
            client.video.given_back.settle();
            client.controls.given_back.settle();
            let presented = client.video.report.presented;
            let passed = |every: u64| presented / every > before / every;
            if args.tell.is_some_and(passed) {
                // Nobody need listen.
                let _ = writeln!(std::io::stderr().lock(), "presented {presented}");
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

    fn wait_for_buffers(
        &mut self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
    ) -> Result<(), Failed> {
        let controls = self.controls.is_some();
        loop {
            self.take_answers(queue, client)?;
            let missing = client.video.is_empty() || (controls && client.controls.is_empty());
            if !missing {
                return Ok(());
            }
            turn(queue, client, self.args.patience(), "buffers")?;
        }
    }

    /// Asks for buffers of the size that the window has now, or makes them.
    fn ask(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let size = client.size.unwrap_or(self.args.size);
        self.asked = size;
        let (.., wide, high) = picture::controls_place(size);
        let (size, above) = (Size::new(size.0, size.1), Size::new(wide, high));
        let Some((negotiator, _)) = self.giver.as_ref().filter(|_| self.fallback.is_none()) else {
            self.make(queue, client, Which::Video, size)?;
            return self.make(queue, client, Which::Controls, above);
        };
        match &self.video {
            Some(allocation) => allocation.resize(size, BUFFERS),
            None => {
                let stated = constraints("video", Fourcc::NV12);
                let asked = negotiator.allocate(&self.handle, &stated, Some(&self.surface), size, BUFFERS)?;
                self.video = Some(asked);
            }
        }
        match (&client.of_controls, &self.controls) {
            (Some(allocation), _) => allocation.resize(above, BUFFERS),
            (None, Some((surface, _))) => {
                let stated = constraints("controls", Fourcc::ARGB8888);
                let asked = negotiator.allocate(&self.handle, &stated, Some(surface), above, BUFFERS)?;
                client.of_controls = Some(asked);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn take_answers(&mut self, queue: &mut EventQueue<Client>, client: &mut Client) -> Result<(), Failed> {
        let (.., wide, high) = picture::controls_place(self.asked);
        for (which, size) in
            [(Which::Video, Size::new(self.asked.0, self.asked.1)), (Which::Controls, Size::new(wide, high))]
        {
            if let Some(answer) = client.part(which).answer.take() {
                self.take(queue, client, which, size, answer)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        which: Which,
        size: Size,
        answer: Answer,
    ) -> Result<(), Failed> {
        let why = match answer {
            // A later question waits for its answer.
            Ok(buffers) if buffers.size != size => return Ok(()),
            Ok(buffers) => {
                client.part(which).report.negotiated(&buffers);
                let mut canvases = Vec::new();
                for buffer in buffers.into_buffers().map_err(crate::part::BufferFailed::from)? {
                    canvases.push(Canvas::of(buffer)?);
                }
                if self.use_canvases(queue, client, which, canvases)? {
                    return Ok(());
                }
                "the compositor refused a buffer that it gave".to_owned()
            }
            Err(refused) => refused.to_string(),
        };
        client.part(which).report.refused.push(why.clone());
        if which == Which::Video {
            self.fallback = Some(why);
        }
        self.make(queue, client, which, size)
    }

    /// Goes on with shared memory.
    fn make(
        &mut self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        which: Which,
        size: Size,
    ) -> Result<(), Failed> {
        if which == Which::Controls && self.controls.is_none() {
            return Ok(());
        }
        let format = if which == Which::Video { Fourcc::XRGB8888 } else { Fourcc::ARGB8888 };
        let mut canvases = Vec::new();
        for _ in 0..BUFFERS {
            canvases.push(Canvas::shared(size, format)?);
        }
        let report = &mut client.part(which).report;
        report.take(Report {
            path: "wl_shm".to_owned(),
            why: self.fallback.clone().unwrap_or_default(),
            heap: "memfd".to_owned(),
            format: format.to_string(),
            modifier: "LINEAR".to_owned(),
            pitch: u64::from(size.width) * 4,
            size: size.to_string(),
            buffers: canvases.len(),
            ..Report::default()
        });
        self.use_canvases(queue, client, which, canvases)?;
        Ok(())
    }

    /// Paints into these from now on; `false` if the compositor does not take one of them.
    fn use_canvases(
        &mut self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        which: Which,
        canvases: Vec<Canvas>,
    ) -> Result<bool, Failed> {
        let mut slots = Vec::new();
        for canvas in canvases {
            let is_dma_buf = canvas.buffer.memory() == Memory::DmaBuf;
            let wl = match self.giver.as_ref().filter(|_| is_dma_buf) {
                Some((_, dmabuf)) => {
                    let dmabuf = dmabuf.clone();
                    let Some(wl) = self.create(queue, client, &dmabuf, &canvas)? else { return Ok(false) };
                    wl
                }
                None => self.through_shm(&canvas),
            };
            slots.push(Slot { wl, canvas, busy: false, painted: None, commit: 0 });
        }
        client.part(which).replace(slots);
        if which == Which::Controls {
            self.place_controls();
        }
        Ok(true)
    }

    fn place_controls(&self) {
        let Some((_, subsurface)) = &self.controls else { return };
        let (left, top, ..) = picture::controls_place(self.asked);
        // Takes effect with the next picture below.
        subsurface.set_position(left as i32, top as i32);
    }

    fn create(
        &self,
        queue: &mut EventQueue<Client>,
        client: &mut Client,
        dmabuf: &ZwpLinuxDmabufV1,
        canvas: &Canvas,
    ) -> Result<Option<WlBuffer>, Failed> {
        let params = dmabuf.create_params(&self.handle, ());
        let modifier = canvas.buffer.modifier().0;
        let (high, low) = ((modifier >> 32) as u32, modifier as u32);
        for (index, plane) in (0..).zip(canvas.buffer.planes()) {
            params.add(canvas.buffer.fd(), index, plane.offset as u32, plane.pitch as u32, high, low);
        }
        let size = canvas.buffer.size();
        params.create(size.width as i32, size.height as i32, canvas.buffer.format().0, Flags::empty());
        client.created = None;
        until(queue, client, self.args.patience(), "a dma-buf to be taken", |client| {
            client.created.is_some()
        })?;
        params.destroy();
        Ok(client.created.take().and_then(Result::ok))
    }

    fn through_shm(&self, canvas: &Canvas) -> WlBuffer {
        let size = canvas.buffer.size();
        let format = if canvas.buffer.format() == Fourcc::ARGB8888 {
            wl_shm::Format::Argb8888
        } else {
            wl_shm::Format::Xrgb8888
        };
        let (width, height) = (size.width as i32, size.height as i32);
        let pool = self.shm.create_pool(canvas.buffer.fd(), width * height * 4, &self.handle, ());
        let buffer = pool.create_buffer(0, width, height, width * 4, format, &self.handle, ());
        pool.destroy();
        buffer
    }

    /// Shows the next picture, and with it the controls, if it is their turn.
    fn show_video(&mut self, client: &mut Client) -> Result<(), Failed> {
        let committed = client.video.report.committed;
        let frame = if self.args.still || self.args.paused { 0 } else { committed as u32 };
        let paused = self.args.paused && client.video.report.committed_of_these > 0;
        if !paused && client.video.free(frame).is_none() {
            return Ok(());
        }
        if let Some((surface, _)) = &self.controls {
            let every = self.args.controls_every;
            let change = every.map_or(0, |every| (committed / every) as u32);
            let shown = client.controls.report.committed_of_these > 0;
            if !shown || every.is_some_and(|every| committed % every == 0) {
                self.show(&mut client.controls, Which::Controls, surface, change)?;
            }
        }
        if paused {
            self.commit(&mut client.video, Which::Video, &self.surface);
            return Ok(());
        }
        self.show(&mut client.video, Which::Video, &self.surface, frame)
    }

    /// Paints a picture, unless it is there already, and commits it.
    fn show(&self, part: &mut Part, which: Which, surface: &WlSurface, picture: u32) -> Result<(), Failed> {
        let commit = part.report.committed + 1;
        let Some(slot) = part.free(picture) else { return Ok(()) };
        if slot.painted != Some(picture) {
            match which {
                Which::Video => slot.canvas.paint_video(picture)?,
                Which::Controls => slot.canvas.paint_controls(picture)?,
            }
            slot.painted = Some(picture);
        }
        (slot.busy, slot.commit) = (true, commit);
        surface.attach(Some(&slot.wl), 0, 0);
        surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
        self.commit(part, which, surface);
        part.report.committed_of_these += 1;
        Ok(())
    }

    fn commit(&self, part: &mut Part, which: Which, surface: &WlSurface) {
        let commit = part.report.committed + 1;
        surface.frame(&self.handle, which);
        let feedback = self.presentation.feedback(surface, &self.handle, which);
        part.sent.push(Sent { feedback, at: Instant::now(), commit });
        surface.commit();
        part.due = false;
        part.report.committed = commit;
    }
}
