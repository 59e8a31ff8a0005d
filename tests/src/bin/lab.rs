//! `lab`: runs a command in a guest with a real display, real heaps and real clients.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use heapwright_tests::lab::{self, LabError, Lane, cache::Cache, kernel, root};

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
    /// Build what the guests are made of (some minutes the first time).
    Prepare,
    /// Print where the built kernel and root are.
    Where,
}

#[derive(Debug, Args)]
struct Run {
    /// Make a directory of the host visible in the guest; GUEST is below /run.
    #[arg(long, value_name = "HOST:GUEST", value_parser = mount)]
    mount: Vec<(PathBuf, String)>,
    /// Add to the kernel's command line.
    #[arg(long, value_name = "ARGUMENT")]
    kernel_argument: Vec<String>,
    /// Kill the guest after this many seconds.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Memory of the guest.
    #[arg(long, default_value = "2G")]
    memory: String,
    /// The command; one word is taken as a shell script.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn mount(text: &str) -> Result<(PathBuf, String), String> {
    match text.split_once(':') {
        Some((host, guest)) if guest.starts_with("/run/") => Ok((host.into(), guest.into())),
        _ => Err(format!("{text:?} is no mount: give it as /host/path:/run/guest/path")),
    }
}

/// Exit code of a lab that failed, apart from the codes of commands.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Uml(run) => uml(&run),
        Command::Prepare => Lane::Uml.prepare(&mut |what| say(&format!("lab: {what}"))).map(|()| 0),
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

fn uml(run: &Run) -> Result<u8, LabError> {
    let script = match run.command.as_slice() {
        [script] => script.clone(),
        words => {
            let quoted: Vec<_> =
                words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            quoted.join(" ")
        }
    };
    let mut scenario =
        lab::uml().with_workspace()?.timeout(Duration::from_secs(run.timeout)).memory(run.memory.as_str());
    for (host, guest) in &run.mount {
        scenario = scenario.mount(host, guest.as_str());
    }
    for argument in &run.kernel_argument {
        scenario = scenario.kernel_argument(argument.as_str());
    }
    let outcome = scenario.run_live(&script, &mut say)?;
    Ok(u8::try_from(outcome.code).unwrap_or(FAILED))
}

fn locate() -> Result<u8, LabError> {
    let cache = Cache::open()?;
    say(&kernel::uml(&cache, &mut |_| {})?.display().to_string());
    say(&root::debian(&cache, &mut |_| {})?.display().to_string());
    Ok(0)
}
