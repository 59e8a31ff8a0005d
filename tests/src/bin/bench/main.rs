//! `bench`: what a frame costs us, beside what it costs others, in one guest.
//!
//! On the virtual display, processor time is that of the host's processes behind the guest's, see
//! [`heapwright_tests::lab::cpu`]. The kernel is told not to map framebuffers at each flip (`vkms.skip_vmap=1`), which no
//! real display does and which would drown everything else. On the board the guest's own kernel counts.

mod libdrm;
mod measure;
mod peers;
mod table;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use heapwright_tests::lab::{self, Scenario};

use measure::{Measured, Watch, medians};
use peers::{Run, Scene, Size};

/// Measurements in the lab. Run it in release: a debug build measures the compiler's laziness.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Cost of a frame of several kinds of clients, beside other compositors and a bare page-flip loop.
    Frames(Frames),
    /// The same on the emulated board, whose display takes only contiguous memory: without a copy, and with one.
    ///
    /// Its processor is emulated: numbers mean something beside each other, not beside those of another machine.
    Board(Board),
}

#[derive(Debug, Args)]
struct Frames {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Seconds of steady state to measure.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Size of the screen; may be given more than once. Without it, both.
    #[arg(long, value_enum)]
    size: Vec<Size>,
    /// What is shown; may be given more than once. Without it, all.
    #[arg(long, value_enum)]
    scene: Vec<Scene>,
    /// Measure only those compositors whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print the guest's console while it runs.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Args)]
struct Board {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Seconds of steady state to measure.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// How often each is measured; what is told is the round with the median processor time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Print the guest's console while it runs.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Frames(frames) => run(&frames),
        Command::Board(board) => on_board(&board),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(frames: &Frames) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let sizes = if frames.size.is_empty() { &[Size::Small, Size::Large][..] } else { &frames.size };
    let mut all = Vec::new();
    for size in sizes {
        all.extend(measure_at(*size, frames)?);
    }
    tell(&all, &table::checks(&all), frames.seconds, frames.json)
}

fn on_board(board: &Board) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runs = Run::on_board(board.rounds);
    let scenario = lab::board().with_workspace()?;
    let script = peers::board_script(&runs, board.seconds);
    let all = medians(measure(scenario, &script, &runs, Size::Small, (board.seconds, board.verbose))?);
    tell(&all, &table::board_checks(&all), board.seconds, board.json)
}

/// Prints what was measured, and what of it can't be.
fn tell(
    all: &[Measured],
    checks: &[String],
    seconds: u64,
    json: bool,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    if json {
        let report = serde_json::json!({ "seconds": seconds, "measured": all, "implausible": checks });
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{}", table::render(all))?;
        for check in checks {
            writeln!(out, "IMPLAUSIBLE: {check}")?;
        }
    }
    Ok(if checks.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the guest finds the newer libdrm.
const LIBDRM: &str = "/run/libdrm";

/// All runs at one size, in one guest.
fn measure_at(size: Size, frames: &Frames) -> Result<Vec<Measured>, Box<dyn std::error::Error>> {
    let scenes = if frames.scene.is_empty() { &Scene::VIRTUAL[..] } else { &frames.scene };
    let mut runs = Run::all(scenes);
    runs.retain(|run| run.compositor.name.contains(&frames.only));
    let script = peers::script(&runs, size, frames.seconds, LIBDRM);
    let scenario = lab::uml()
        .with_workspace()?
        .mount(libdrm::directory()?, LIBDRM)
        .kernel_argument("vkms.skip_vmap=1")
        .kernel_argument("vkms.create_default_dev=0");
    measure(scenario, &script, &runs, size, (frames.seconds, frames.verbose))
}

/// Runs `script` in one guest and follows it.
fn measure(
    scenario: Scenario,
    script: &str,
    runs: &[Run],
    size: Size,
    (seconds, verbose): (u64, bool),
) -> Result<Vec<Measured>, Box<dyn std::error::Error>> {
    let mut watch = Watch::default();
    let patience = Duration::from_secs((seconds + 120) * runs.len() as u64);
    let outcome = scenario.timeout(patience).run_live(script, &mut |line| {
        watch.line(line);
        if verbose {
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    })?;
    if outcome.code != 0 {
        return Err(format!("the scenario failed:\n{}", outcome.tail()).into());
    }
    Ok(runs.iter().map(|run| watch.measured(*run, size, &outcome)).collect())
}
