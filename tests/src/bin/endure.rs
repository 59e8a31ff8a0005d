//! `endure`: hours of use of the board in minutes, and what is left of it.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser;
use heapwright_tests::endurance::{self, Held, TWO_HOURS};

/// Opens, closes, resizes windows on the board, makes them fullscreen and kills them, and tells after each round what the
/// session holds. Fails when anything is left in the end that was not there in the beginning.
#[derive(Debug, Parser)]
#[command(name = "endure", max_term_width = 110)]
struct Cli {
    /// Things that the user does; without it, as many as in two hours with one every two seconds.
    #[arg(long, default_value_t = TWO_HOURS, value_parser = clap::value_parser!(u64).range(1..))]
    actions: u64,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "endure: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut held = Vec::new();
    let scenario = endurance::board(cli.actions).with_workspace()?;
    let outcome = scenario.run_live(&endurance::script(cli.actions), &mut |line| {
        if let Some(now) = Held::parse(line) {
            held.push(now);
            // The run goes on when nobody listens.
            let _ = writeln!(io::stdout().lock(), "{now}");
        }
    })?;
    if outcome.code != 0 {
        return Err(format!("the scenario failed:\n{}", outcome.tail()).into());
    }
    let (Some(first), Some(last)) = (held.first(), held.last()) else {
        return Err(format!("nothing was told:\n{}", outcome.tail()).into());
    };
    let left = last.left_since(first);
    let mut out = io::stdout().lock();
    for what in &left {
        writeln!(out, "LEFT: {what}")?;
    }
    if left.is_empty() {
        writeln!(out, "nothing is left")?;
    }
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
