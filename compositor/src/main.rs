//! `heapwright`: the reference compositor and its tools.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{ColorChoice, Parser as _};
use heapwright::{
    cli::{Cli, Command, ExplainArgs},
    logging,
    run::{self, Outcome, RunError},
};
use heapwright_alloc::solver::{self, Problem};

/// Largest problem file that is read, bytes: far above any real machine, far below what hurts.
const MAX_PROBLEM: u64 = 64 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = match logging::start(&cli.log, cli.log_form) {
        Ok(log) => log,
        Err(error) => return fail(&error, 2),
    };
    match cli.command {
        Command::Explain(args) => explain(&args),
        Command::Msg { json, what } => match heapwright::msg::run(&what, json) {
            Ok(text) => print(&text),
            Err(error) => fail(&error, 2),
        },
        Command::Solve { file } => solve(&file),
        Command::Session(args) => ended(&log, run::session(&args), None),
        Command::Headless(args) => {
            let json = args.report.then_some(args.json);
            ended(&log, run::headless(&args), json)
        }
    }
}

/// Says what went wrong on standard error.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    // If standard error is closed there is nobody to tell; the exit code still says it.
    let _ = writeln!(io::stderr().lock(), "heapwright: {error}");
    ExitCode::from(code)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 2),
    }
}

fn ended(log: &slog::Logger, outcome: Result<Outcome, RunError>, report: Option<bool>) -> ExitCode {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            slog::error!(log, "{}", error);
            return ExitCode::from(error.exit_code());
        }
    };
    let text = match report {
        None => String::new(),
        Some(false) => outcome.report.to_string(),
        Some(true) => match serde_json::to_string_pretty(&outcome.report) {
            Ok(json) => json + "\n",
            Err(error) => return fail(&error, 1),
        },
    };
    if let Err(error) = io::stdout().lock().write_all(text.as_bytes()) {
        return fail(&error, 1);
    }
    ExitCode::from(outcome.exit_code)
}

fn explain(args: &ExplainArgs) -> ExitCode {
    let told = match heapwright::explain::run(args) {
        Ok(told) => told,
        Err(error) => return fail(&error, 2),
    };
    let colour = match args.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    let mut out = anstream::AutoStream::new(io::stdout().lock(), colour);
    match out.write_all(told.text.as_bytes()) {
        Ok(()) => ExitCode::from(told.exit_code),
        Err(error) => fail(&error, 2),
    }
}

fn read_problem(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MAX_PROBLEM).read_to_string(&mut text)?;
    } else {
        fs::File::open(file)?.take(MAX_PROBLEM).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn solve(file: &Path) -> ExitCode {
    let text = match read_problem(file) {
        Ok(text) => text,
        Err(error) => return fail(&io::Error::other(format!("cannot read {}: {error}", file.display())), 2),
    };
    let answer = match Problem::from_json(&text) {
        Ok(problem) => solver::solve(&problem),
        Err(invalid) => invalid.into(),
    };
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", answer.to_json()) {
        Ok(()) => ExitCode::from(answer.exit_code()),
        Err(error) => fail(&error, 2),
    }
}
