//! The command line of `heapwright`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use heapwright_alloc::{
    constraints::{Format, Fourcc, ParseFourccError, ParseSizeError, Size},
    explain::RendererChoice,
};

use crate::{backend::mode::WantedMode, logging::LogForm};

/// What is logged: warnings of others, but not the one that Smithay's swapchain has for each buffer that it does not get:
/// that an output finds no memory is said by us, once.
const DEFAULT_LOG: &str =
    "heapwright=info,heapwright_alloc=info,smithay::backend::allocator::swapchain=off,warn";

/// A Wayland compositor that builds every buffer where all the devices that touch it can use it.
#[derive(Debug, Parser)]
#[command(name = "heapwright", version, max_term_width = 110)]
pub struct Cli {
    /// What to log: a level, or `target=level` pairs, for instance `heapwright=debug,smithay=warn`.
    #[arg(
        long,
        global = true,
        env = "HEAPWRIGHT_LOG",
        default_value = DEFAULT_LOG
    )]
    pub log: String,
    /// Form of the log on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogForm::Text)]
    pub log_form: LogForm,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a session on a display: opens a KMS device and input devices through the seat.
    Session(SessionArgs),
    /// Run an application on a screen of memory, anywhere, and exit with the application's code.
    Headless(HeadlessArgs),
    /// Say where buffers go on this machine and why: displays, planes, heaps, what each display makes of each heap.
    ///
    /// Needs no running compositor and no root, and says what it could not see. Exit codes: 0 the buffer has a place; 1 it
    /// has none on some display; 2 the question is wrong.
    Explain(ExplainArgs),
    /// Ask a running compositor, the one whose client you are.
    Msg {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        /// What to ask.
        #[command(subcommand)]
        what: MsgCommand,
    },
    /// Solve one allocation problem (JSON), for hardware you need not own; the answer is JSON too.
    ///
    /// Exit codes: 0 solved; 1 unsatisfiable, underconstrained or gave up; 2 the problem is invalid.
    Solve {
        /// The problem file; `-` reads standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

/// What to ask a running compositor.
#[derive(Debug, Clone, Subcommand)]
pub enum MsgCommand {
    /// Every surface, front to back: its buffer, in whose memory it lies, and whether it is shown without a copy or why not.
    Surfaces,
    /// What became of each surface in the last frames: the plane that read it or why it was copied, its memory, its damage.
    Frames {
        /// Only this output, for instance Virtual-1.
        #[arg(long, value_name = "NAME")]
        output: Option<String>,
        /// How many frames of each output.
        #[arg(long, value_name = "N", default_value_t = 5)]
        last: u32,
    },
    /// Every output: its device, its mode and those that it offers, its place, its planes.
    Outputs,
    /// Give an output another mode.
    Output {
        /// The output, for instance Virtual-1.
        name: String,
        /// One of the modes that it offers, for instance 1920x1080@60.
        #[arg(long, value_name = "WxH[@HZ]")]
        mode: WantedMode,
    },
    /// Watch it live: surfaces, planes, zero-copy or the reason against it, memory of each client. Ends with q or Ctrl-C.
    Top {
        /// Print once and end.
        #[arg(long)]
        once: bool,
    },
}

/// What is offered to clients.
#[derive(Debug, Clone, Copy, Args)]
pub struct OfferArgs {
    /// Version of linux-dmabuf. GTK 4 before 4.20 takes any version that it is offered and crashes with 6.
    #[arg(long, value_name = "VERSION", default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=6))]
    pub linux_dmabuf: u32,
}

/// Arguments of `heapwright session`.
#[derive(Debug, Args)]
pub struct SessionArgs {
    /// Device to use, for instance /dev/dri/card1; without it, the first with a connected display.
    #[arg(long)]
    pub device: Option<PathBuf>,
    /// Mode of the display, for instance 1920x1080@60; without it, the one that the display prefers.
    #[arg(long, value_name = "WxH[@HZ]")]
    pub mode: Option<WantedMode>,
    /// What is offered to clients.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// End when the last client has gone.
    #[arg(long)]
    pub exit_with_last_client: bool,
    /// Application to start in the session.
    #[arg(last = true)]
    pub app: Vec<String>,
}

/// Arguments of `heapwright headless`.
#[derive(Debug, Args)]
pub struct HeadlessArgs {
    /// Size of the screen in pixels.
    #[arg(long, value_name = "WxH", default_value = "1920x1080", value_parser = parse_size)]
    pub size: (u32, u32),
    /// What is offered to clients.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// Write the last picture that showed a window to this PNG file.
    #[arg(long, value_name = "FILE.png")]
    pub screenshot: Option<PathBuf>,
    /// Stop the application (SIGTERM) after this many seconds; the exit code is then 0 unless it says otherwise.
    #[arg(long, value_name = "SECONDS")]
    pub stop_after: Option<u64>,
    /// Print, when the application has ended, where every buffer lay and why, as JSON with `--json`.
    #[arg(long)]
    pub report: bool,
    /// Print the report as JSON.
    #[arg(long, requires = "report")]
    pub json: bool,
    /// The application and its arguments.
    #[arg(last = true, required = true)]
    pub app: Vec<String>,
}

/// Arguments of `heapwright explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Size of the buffer asked about; without it, that of the first display that is lit, else of the first screen that is
    /// plugged in, in the mode that suits it best, else 1920x1080.
    #[arg(long, value_name = "WxH", value_parser = parse_surface)]
    pub surface: Option<Size>,
    /// A surface of the running compositor, as `heapwright msg surfaces` calls it, or an application id or a title; without
    /// a name, the only one: size and format are its.
    #[arg(long, value_name = "SURFACE", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["surface", "format"])]
    pub running: Option<String>,
    /// Its format, for instance XR24; without it, XR24 or AR24.
    #[arg(long, value_name = "FOURCC", value_parser = parse_format)]
    pub format: Option<Fourcc>,
    /// How many buffers there are to be.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub count: u32,
    /// Only this display, for instance card1; without it, all.
    #[arg(long)]
    pub device: Option<String>,
    /// Who touches the buffer besides the display: a file with a list of participants as in a problem file; without it, a
    /// client that paints with the CPU, and a renderer.
    #[arg(long, value_name = "FILE.json")]
    pub participants: Option<PathBuf>,
    /// The renderer that reads the buffer: a GPU, for instance card0 or renderD128; `software` for OpenGL or Vulkan without
    /// a GPU; `cpu` for pixman, as this compositor draws; `none`, and then no renderer's driver is loaded. Behind a name,
    /// `:egl`, `:vulkan` or `:gbm` says which API it uses. Without it, a GPU that says what it imports, else the CPU.
    #[arg(long, value_name = "NAME[:API]", conflicts_with = "participants")]
    pub renderer: Option<RendererChoice>,
    /// A camera or codec that touches the buffer, too, for instance video0; may be given more than once. In place of the
    /// client, if it writes the buffer.
    #[arg(long, value_name = "NAME")]
    pub with: Vec<String>,
    /// Only look: allocate nothing, try nothing, load no renderer's driver.
    #[arg(long)]
    pub look_only: bool,
    /// Try everything, also what an earlier run has found out on this kernel.
    #[arg(long)]
    pub fresh: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Write one page for a browser to this file.
    #[arg(long, value_name = "FILE.html", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// Whether the text is coloured.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = clap::ColorChoice::Auto)]
    pub color: clap::ColorChoice,
}

/// Largest side of a headless screen, pixels: what a display can have today, and far below overflow.
const MAX_SIDE: u32 = 16384;

/// Parses `1920x1080`.
fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || {
        format!(
            "{text:?} is no size: give width x height in pixels, 1x1 to {MAX_SIDE}x{MAX_SIDE}, as 1920x1080"
        )
    };
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side)).ok_or_else(wrong);
    Ok((side(width)?, side(height)?))
}

/// Parses the size of a surface, which the solver takes up to 2^31: only nothing is refused.
fn parse_surface(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: ParseSizeError| error.to_string())?;
    if size.is_empty() { Err(format!("{size} has no pixels")) } else { Ok(size) }
}

/// Parses a format, and knows how its pixels lie.
fn parse_format(text: &str) -> Result<Fourcc, String> {
    let format: Fourcc = text.parse().map_err(|error: ParseFourccError| error.to_string())?;
    match Format::of(format) {
        Some(_) => Ok(format),
        None => Err(format!(
            "{format} is no format that is known here: give one of drm_fourcc.h, as XR24 or NV12"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_checked_before_they_can_hurt() {
        assert_eq!(parse_size("1920x1080"), Ok((1920, 1080)));
        for bad in ["", "0x0", "1920", "1920x", "x1080", "-1x5", "1920x1080x2", "99999x1", "4294967297x1"] {
            assert!(parse_size(bad).is_err(), "{bad} must be refused");
        }
    }
}
