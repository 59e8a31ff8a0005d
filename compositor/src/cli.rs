//! The command line of `heapwright`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{backend::mode::WantedMode, logging::LogForm};

/// A Wayland compositor that builds every buffer where all the devices that touch it can use it.
#[derive(Debug, Parser)]
#[command(name = "heapwright", version, max_term_width = 110)]
pub struct Cli {
    /// What to log: a level, or `target=level` pairs, for instance `heapwright=debug,smithay=warn`.
    #[arg(
        long,
        global = true,
        env = "HEAPWRIGHT_LOG",
        default_value = "heapwright=info,heapwright_alloc=info,warn"
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
    /// Solve one allocation problem (JSON), for hardware you need not own; the answer is JSON too.
    ///
    /// Exit codes: 0 solved; 1 unsatisfiable, underconstrained or gave up; 2 the problem is invalid.
    Solve {
        /// The problem file; `-` reads standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
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
