//! `flip`: the floor that every compositor stands on: three buffers from a heap, shown in turn, and nothing else.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, ExitCode},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use drm::{
    Device as _,
    buffer::{Buffer as DrmBuffer, DrmFourcc, Handle},
    control::{Device as _, Event, PageFlipFlags, connector, framebuffer},
};
use heapwright_alloc::{
    buffers::{Allocator, Buffer, Want},
    constraints::{Fourcc, Size},
    devices::KmsDevice,
    heaps::{self, Root},
};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;

/// Flips three heap buffers on the first connected display.
#[derive(Debug, Parser)]
#[command(name = "flip")]
struct Cli {
    /// Device, for instance /dev/dri/card1.
    device: PathBuf,
    /// Mode, by its size.
    #[arg(long, default_value = "1024x768")]
    size: Size,
    /// End after this many seconds.
    #[arg(long, default_value_t = 10)]
    stay: u64,
    /// Say `presented N` on standard error at every so many flips.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    tell: u64,
    /// Before each flip, tell another process of the last, and wait for its word: what no compositor can do without.
    #[arg(long)]
    told: bool,
}

/// A process that answers each word with the same.
struct Echo {
    socket: UnixStream,
    process: Child,
}

impl Echo {
    fn start() -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let (input, output) = (OwnedFd::from(theirs.try_clone()?), OwnedFd::from(theirs));
        Ok(Echo { socket, process: Command::new("cat").stdin(input).stdout(output).spawn()? })
    }

    /// A frame callback and presentation feedback are as long as this.
    fn answer(&mut self) -> io::Result<()> {
        let mut word = [0; 80];
        self.socket.write_all(&word)?;
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None)?;
        self.socket.read_exact(&mut word)
    }

    fn end(mut self) -> io::Result<()> {
        drop(self.socket);
        self.process.wait().map(drop)
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "flip: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A buffer as the display sees it.
struct Imported<'a> {
    buffer: &'a Buffer,
    handle: Handle,
    pitch: u32,
}

impl DrmBuffer for Imported<'_> {
    fn size(&self) -> (u32, u32) {
        (self.buffer.size().width, self.buffer.size().height)
    }
    fn format(&self) -> DrmFourcc {
        DrmFourcc::Xrgb8888
    }
    fn pitch(&self) -> u32 {
        self.pitch
    }
    fn handle(&self) -> Handle {
        self.handle
    }
}

fn framebuffer(device: &KmsDevice, buffer: &Buffer) -> Result<framebuffer::Handle, Box<dyn Error>> {
    let pitch = buffer.planes().first().ok_or("a buffer without planes")?.pitch;
    let handle = device.prime_fd_to_buffer(buffer.fd())?;
    let imported = Imported { buffer, handle, pitch: u32::try_from(pitch)? };
    Ok(device.add_framebuffer(&imported, 24, 32)?)
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let device = Arc::new(KmsDevice::open(&cli.device)?);
    device.acquire_master_lock()?;
    let resources = device.resource_handles()?;
    let connector = resources
        .connectors()
        .iter()
        .filter_map(|handle| device.get_connector(*handle, true).ok())
        // One for writing back is connected always, and is no display.
        .filter(|connector| connector.interface() != connector::Interface::Writeback)
        .find(|connector| connector.state() == connector::State::Connected)
        .ok_or("nothing is connected")?;
    let mode = *connector
        .modes()
        .iter()
        .find(|mode| mode.size() == (cli.size.width as u16, cli.size.height as u16))
        .ok_or("the display does not offer this size")?;
    let crtc = *resources.crtcs().first().ok_or("the device has no CRTC")?;

    let mut allocator = Allocator::new(heaps::list(&Root::default()));
    allocator.with_device(Arc::clone(&device));
    let mut screen = device.participant(u32::from(crtc), "screen");
    screen.required = true;
    // What the framebuffers are made as. A format of fewer bytes would spare a pool that is small, and be chosen.
    for alternative in screen.alternatives.iter_mut().flatten() {
        alternative.options.retain(|option| option.format.allows(Fourcc::XRGB8888));
    }
    let made = allocator.allocate(&Want {
        size: cli.size,
        participants: vec![screen],
        count: 3,
        name: "flip",
        dma_buf_only: true,
        ..Want::default()
    })?;
    let mut framebuffers = Vec::new();
    for buffer in &made.buffers {
        buffer.map()?.write()?.fill(0x80);
        framebuffers.push(framebuffer(&device, buffer)?);
    }
    let mut turn = framebuffers.iter().copied().cycle();
    device.set_crtc(crtc, turn.next(), (0, 0), &[connector.handle()], Some(mode))?;

    let end = Instant::now() + Duration::from_secs(cli.stay);
    let mut echo = cli.told.then(Echo::start).transpose()?;
    let (mut presented, mut first, mut last) = (0_u64, 0.0, 0.0);
    while Instant::now() < end {
        let next = turn.next().ok_or("no buffers")?;
        device.page_flip(crtc, next, PageFlipFlags::EVENT, None)?;
        let mut shown = false;
        while !shown {
            // The device is opened without blocking.
            poll(&mut [PollFd::new(&*device, PollFlags::IN)], None)?;
            for event in device.receive_events()? {
                if let Event::PageFlip(flip) = event {
                    shown = true;
                    last = flip.duration.as_secs_f64() * 1e3;
                }
            }
        }
        if let Some(echo) = &mut echo {
            echo.answer()?;
        }
        presented += 1;
        if presented == 1 {
            first = last;
        }
        if presented % cli.tell == 0 {
            // Nobody need listen.
            let _ = writeln!(io::stderr().lock(), "presented {presented}");
        }
    }
    echo.map_or(Ok(()), Echo::end)?;
    let report = json!({
        "path": "page flips", "heap": made.resolution.heap, "size": cli.size.to_string(), "presented": presented,
        "zero_copy": presented, "fps": (presented - 1) as f64 * 1e3 / (last - first), "first_presented_ms": first,
        "clock": 1,
    });
    writeln!(io::stdout().lock(), "{report}")?;
    Ok(())
}
