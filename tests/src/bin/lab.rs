//! `lab`: runs a command in a guest with a real display, real heaps and real clients.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use heapwright_tests::lab::{
    self, DeviceTree, LabError, Lane, Outcome, Scenario, cache::Cache, kernel, root,
};
use serde_json::json;

/// The lab: real kernels on a machine without displays.
#[derive(Debug, Parser)]
#[command(name = "lab", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command in a User-Mode Linux guest: vkms, vgem, the system heap, udmabuf.
    ///
    /// The workspace's programs are on its PATH. Exits with the command's code, or 125 when the lab fails.
    Uml(Run),
    /// Run a command in a QEMU guest: vkms, bochs, virtio-gpu, the system heap, CMA behind two heaps, udmabuf.
    ///
    /// As `uml`, and slower: boots in 6 s, and programs run at a tenth of the host's speed. `lab-shot DISPLAY NAME` (bochs
    /// or virtio) photographs a screen, `lab-input ACTION...` types and points.
    Qemu(Run),
    /// Run a command on an emulated ARM board: one display that takes only contiguous memory, and a pool of 64 MiB of it.
    ///
    /// As `qemu`; the screen's name for `lab-shot` is pl111. The workspace is built for the board first. `--kernel-argument
    /// cma=16M` makes the pool another size, `cma=0` leaves it out.
    Board {
        /// Where the display takes its pictures from.
        #[arg(long, value_enum, default_value = "display-cma")]
        device_tree: Tree,
        #[command(flatten)]
        run: Run,
    },
    /// Build what guests are made of (some minutes the first time; the board's a quarter of an hour).
    Prepare {
        /// Whose [default: those that every check needs, uml and qemu].
        lanes: Vec<LaneName>,
    },
    /// Exit with 0 if all that a lane's guests are made of is built, else say what is not and exit with 1.
    Ready {
        /// Which lane.
        lane: LaneName,
    },
    /// Print where the built kernels and the root are.
    Where,
}

/// The kinds of guest, by the names of their commands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LaneName {
    Uml,
    Qemu,
    Board,
}

/// What the board's device tree says of its display.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tree {
    /// It takes memory of the pool that all share.
    DisplayCma,
    /// It takes memory of a region of its own, that no heap allocates from.
    Untouched,
}

#[derive(Debug, Args)]
struct Run {
    /// Make a directory of the host visible in the guest; GUEST is below /run.
    #[arg(long, value_name = "HOST:GUEST", value_parser = mount)]
    mount: Vec<(PathBuf, String)>,
    /// Add to the kernel's command line.
    #[arg(long, alias = "kernel-arg", value_name = "ARGUMENT")]
    kernel_argument: Vec<String>,
    /// Kill the guest after this many seconds.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Memory of the guest [default: 2G, on the board 1G].
    #[arg(long, alias = "mem")]
    memory: Option<String>,
    /// Set an environment variable of the command.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Print one JSON object at the end, with the output, the exit code and the marks, or the lab's error.
    #[arg(long)]
    json: bool,
    /// The command; one word is taken as a shell script.
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<String>,
}

fn mount(text: &str) -> Result<(PathBuf, String), String> {
    match text.split_once(':') {
        Some((host, guest)) if guest.starts_with("/run/") => Ok((host.into(), guest.into())),
        _ => Err(format!("{text:?} is no mount: give it as /host/path:/run/guest/path")),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|other| other.is_ascii_alphanumeric() || other == '_')
    };
    match text.split_once('=') {
        Some((left, right)) if name(left) => Ok((left.to_owned(), right.to_owned())),
        _ => Err(format!("{text:?} is no variable: give it as NAME=VALUE")),
    }
}

/// Exit code of a lab that failed, apart from the codes of commands.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Uml(options) => run(lab::uml(), &options),
        Command::Qemu(options) => run(lab::qemu(), &options),
        Command::Board { device_tree, run: options } => {
            let tree = match device_tree {
                Tree::DisplayCma => DeviceTree::DisplayCma,
                Tree::Untouched => DeviceTree::Untouched,
            };
            run(lab::board().device_tree(tree), &options)
        }
        Command::Prepare { lanes } => prepare(&lanes),
        Command::Ready { lane } => ready(lane),
        Command::Where => locate(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "lab: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// A line on standard output; a closed one ends nothing, the exit code still tells.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

impl From<LaneName> for Lane {
    fn from(name: LaneName) -> Lane {
        match name {
            LaneName::Uml => Lane::Uml,
            LaneName::Qemu => Lane::Qemu,
            LaneName::Board => Lane::Board,
        }
    }
}

fn prepare(lanes: &[LaneName]) -> Result<u8, LabError> {
    let progress = &mut |what: &str| say(&format!("lab: {what}"));
    let named: Vec<Lane> = lanes.iter().map(|lane| Lane::from(*lane)).collect();
    for lane in if named.is_empty() { &Lane::ALWAYS[..] } else { &named } {
        lane.prepare(progress)?;
        if *lane == Lane::Board {
            progress("building the workspace for the board (some minutes the first time)");
            Scenario::new(*lane).with_workspace()?;
        }
    }
    Ok(0)
}

fn ready(lane: LaneName) -> Result<u8, LabError> {
    let missing = Lane::from(lane).missing()?;
    if let Some(missing) = &missing {
        say(&format!("{missing} is not built yet"));
    }
    Ok(u8::from(missing.is_some()))
}

fn run(scenario: Scenario, run: &Run) -> Result<u8, LabError> {
    let script = match run.command.as_slice() {
        [script] => script.clone(),
        words => {
            let quoted: Vec<_> =
                words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            quoted.join(" ")
        }
    };
    let mut scenario = scenario.with_workspace()?.timeout(Duration::from_secs(run.timeout));
    if let Some(memory) = &run.memory {
        scenario = scenario.memory(memory.as_str());
    }
    for (host, guest) in &run.mount {
        scenario = scenario.mount(host, guest.as_str());
    }
    for argument in &run.kernel_argument {
        scenario = scenario.kernel_argument(argument.as_str());
    }
    for (name, value) in &run.env {
        scenario = scenario.env(name.as_str(), value.as_str());
    }
    if run.json {
        let started = Instant::now();
        let result = scenario.run(&script);
        let seconds = started.elapsed().as_secs_f64();
        let (report, code) = match &result {
            Ok(outcome) => {
                let Outcome { code, output, marks, .. } = outcome;
                (json!({"exit_code": code, "seconds": seconds, "output": output, "marks": marks}), *code)
            }
            Err(error) => (json!({"error": error.to_string(), "seconds": seconds}), i32::from(FAILED)),
        };
        say(&report.to_string());
        return Ok(u8::try_from(code).unwrap_or(FAILED));
    }
    let outcome = scenario.run_live(&script, &mut say)?;
    Ok(u8::try_from(outcome.code).unwrap_or(FAILED))
}

fn locate() -> Result<u8, LabError> {
    let cache = Cache::open()?;
    say(&kernel::uml(&cache, &mut |_| {})?.display().to_string());
    say(&kernel::qemu(&cache, &mut |_| {})?.display().to_string());
    say(&root::debian(&cache, &mut |_| {})?.display().to_string());
    Ok(0)
}
