//! `heapwright-video`: a player without a film. It paints NV12 with the CPU, as a software decoder does, into buffers that the
//! compositor allocated for it and its display, and has its controls on a subsurface above.
//!
//! Where there is no NV12 to be had, it paints XRGB into `wl_shm` and says why.

mod client;
mod events;
#[path = "../heapwright-paint/given_back.rs"]
mod given_back;
mod part;
mod picture;
mod player;
#[path = "../heapwright-paint/report.rs"]
mod report;
mod told;
#[path = "../heapwright-paint/wait.rs"]
mod wait;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;

use told::Told;

/// Shows moving bars in NV12, with controls above, and reports how they were shown.
#[derive(Debug, Clone, Parser)]
#[command(name = "heapwright-video", version)]
pub struct Args {
    /// Cover the whole output.
    #[arg(long)]
    pub fullscreen: bool,
    /// Size of the window in pixels.
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = size)]
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
    /// Pictures a second, if the display can show as many.
    #[arg(long, value_name = "HZ", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// Change the controls at every so many frames.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub controls_every: Option<u64>,
    /// Show no controls.
    #[arg(long, conflicts_with = "controls_every")]
    pub no_controls: bool,
    /// Change between fullscreen and a window at every so many presented frames.
    #[arg(long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub toggle: Option<u64>,
    /// Show the first picture again and again.
    #[arg(long)]
    pub still: bool,
    /// Show one picture, once: only the controls change, together with commits of the window that bring no buffer.
    #[arg(long, conflicts_with_all = ["no_controls", "toggle"])]
    pub paused: bool,
    /// Ask for no buffers: XRGB in `wl_shm`.
    #[arg(long)]
    pub shm: bool,
    /// Give up when no frame comes for this many seconds.
    #[arg(long, default_value_t = 10)]
    pub patience: u64,
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
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (16..=16384).contains(side) && side % 2 == 0);
    text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?))).ok_or_else(|| {
        format!("{text:?} is no size of video: give it as 1280x720, each side 16 to 16384 pixels and even")
    })
}

fn print(args: &Args, told: &Told) -> io::Result<()> {
    let text = if args.json { serde_json::to_string(told)? + "\n" } else { told.to_string() };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn main() -> ExitCode {
    let args = Args::parse();
    match player::run(&args, |told| print(&args, told)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "heapwright-video: {error}");
            ExitCode::FAILURE
        }
    }
}
