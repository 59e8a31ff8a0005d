//! `heapwright-paint`: a client that paints with the CPU, into buffers that it negotiates for or allocates itself by the
//! feedback it receives, and says what it got.
//!
//! It shows the client's side of Heapwright: feedback in, solver, heap, dma-buf out. Where there is no linux-dmabuf
//! or no heap that it may open, it goes through `wl_shm` and says why.

mod buffers;
mod client;
mod events;
mod feedback;
mod fence;
mod given_back;
mod picture;
mod pointer;
mod points;
mod report;
mod slots;
mod wait;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;

use report::Report;

/// Paints a moving pattern and reports which memory its buffers got and how they were shown.
#[derive(Debug, Clone, Parser)]
#[command(name = "heapwright-paint", version)]
pub struct Args {
    /// Cover the whole output.
    #[arg(long)]
    pub fullscreen: bool,
    /// Size of the window in pixels.
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    pub size: (u32, u32),
    /// End after this many presented frames.
    #[arg(long, default_value_t = 120)]
    pub frames: u64,
    /// End this many seconds after the start, however many frames were presented.
    #[arg(long, value_name = "SECONDS", conflicts_with = "frames")]
    pub stay: Option<u64>,
    /// End once there is a file of this name, however many frames were presented.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["frames", "stay"])]
    pub until: Option<PathBuf>,
    /// Take the window off the screen as long as there is a file of this name, and put it there again.
    #[arg(long, value_name = "FILE")]
    pub away: Option<PathBuf>,
    /// Give up when no frame comes for this many seconds.
    #[arg(long, default_value_t = 10)]
    pub patience: u64,
    /// Buffers in turn. Those beyond two are spare: the compositor gives none where memory is short.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub buffers: u32,
    /// Have rows that are a multiple of so many bytes apart, as a GPU would need them.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub pitch_align: Option<u64>,
    /// Ask the compositor for buffers that suit everybody, with our protocol, instead of allocating them.
    #[arg(long, conflicts_with = "shm")]
    pub negotiate: bool,
    /// Change between fullscreen and a window at every so many presented frames.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub toggle: Option<u64>,
    /// Take another size at every so many presented frames: three quarters of the first, half of it, the first again.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub resize: Option<u64>,
    /// Move a band over a picture that stays, and repaint only what each buffer lacks.
    #[arg(long, conflicts_with = "still")]
    pub band: bool,
    /// Have each frame's buffer say so many milliseconds longer that it is being written to, as a GPU's would (root only).
    #[arg(long, value_name = "MS", conflicts_with = "shm")]
    pub fence: Option<u64>,
    /// Say with points of timelines when each frame may be read, so many milliseconds after its commit, and wait for
    /// points to have its buffer back.
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "0", conflicts_with = "shm")]
    pub explicit_sync: Option<u64>,
    /// Paint each buffer once and then only commit: what is left is the compositor's own cost.
    #[arg(long)]
    pub still: bool,
    /// Use wl_shm even where linux-dmabuf is offered.
    #[arg(long)]
    pub shm: bool,
    /// What the pointer looks like above the window.
    #[arg(long, value_enum, default_value_t)]
    pub pointer: pointer::Look,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Say `presented N` on standard error at every so many presented frames.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub tell: Option<u64>,
    /// Keep the last picture on the screen for this many seconds after the report.
    #[arg(long, default_value_t = 0)]
    pub linger: u64,
}

impl Args {
    /// How long to wait for anything at all.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Size of the window when so many frames were presented, where the choice is ours.
    #[must_use]
    pub fn size_at(&self, presented: u64) -> (u32, u32) {
        let quarters = match self.resize.map_or(0, |every| presented / every % 3) {
            0 => 4,
            1 => 3,
            _ => 2,
        };
        let part = |side: u32| (side * quarters / 4).max(1);
        (part(self.size.0), part(self.size.1))
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=16384).contains(side));
    text.split_once('x')
        .and_then(|(width, height)| Some((side(width)?, side(height)?)))
        .ok_or_else(|| format!("{text:?} is no size: give it as 640x480, each side 1 to 16384 pixels"))
}

fn print(args: &Args, report: &Report) -> io::Result<()> {
    let text = if args.json { serde_json::to_string(report)? + "\n" } else { report.to_string() };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn main() -> ExitCode {
    let args = Args::parse();
    match client::run(&args, |report| print(&args, report)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "heapwright-paint: {error}");
            ExitCode::FAILURE
        }
    }
}
