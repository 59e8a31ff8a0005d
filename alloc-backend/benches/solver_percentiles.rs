//! Median and 99th percentile of one solution, and how its time grows with the options; criterion gives neither.
//!
//! `cargo bench -p heapwright-alloc --bench solver_percentiles`. Without `--bench`, as under `cargo test`, each problem is solved
//! once, so that the bench is known to run.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use heapwright_alloc::solver::{Answer, Problem, solve};

mod problems;

use problems::{contradictory, first_fits, problem};

/// Times of one solution each, sorted. Stops after `most` solutions or three seconds.
fn sample(problem: &Problem, most: usize) -> Vec<Duration> {
    for _ in 0..most / 20 {
        black_box(solve(black_box(problem)));
    }
    let begin = Instant::now();
    let mut times = Vec::with_capacity(most);
    while times.len() < most && begin.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        let answer = solve(black_box(problem));
        times.push(start.elapsed());
        black_box(answer);
    }
    times.sort_unstable();
    times
}

/// The time that so many per thousand of the samples do not exceed, in microseconds.
fn percentile(times: &[Duration], per_thousand: usize) -> f64 {
    let at = (times.len() * per_thousand / 1000).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let most = if std::env::args().any(|argument| argument == "--bench") { 100_000 } else { 1 };
    writeln!(out, "participants x options x heaps     solutions   median us      p99 us      min us")?;
    for (name, make, solvable) in [
        ("solve", problem as fn(usize, usize, usize) -> Problem, true),
        ("conflict", contradictory as fn(usize, usize, usize) -> Problem, false),
    ] {
        for (participants, options, heaps) in [(3, 20, 4), (6, 100, 8), (10, 400, 16)] {
            let problem = make(participants, options, heaps);
            assert_eq!(matches!(solve(&problem), Answer::Solved(_)), solvable);
            let times = sample(&problem, most);
            let dimensions = format!("{name} {participants} x {options} x {heaps}");
            let (median, p99, min) =
                (percentile(&times, 500), percentile(&times, 990), percentile(&times, 0));
            writeln!(out, "{dimensions:<32} {:>11} {median:>11.1} {p99:>11.1} {min:>11.1}", times.len())?;
        }
    }
    writeln!(out, "\nfirst choice fits, 3 participants, 4 heaps")?;
    writeln!(out, "options each   median us      p99 us      min us   min ns per option")?;
    for options in (0..11).map(|power| 10 << power) {
        let problem = first_fits(3, options, 4);
        assert!(matches!(solve(&problem), Answer::Solved(_)));
        let times = sample(&problem, most);
        let (median, p99, min) = (percentile(&times, 500), percentile(&times, 990), percentile(&times, 0));
        writeln!(
            out,
            "{options:>12} {median:>11.1} {p99:>11.1} {min:>11.1} {:>19.1}",
            min * 1e3 / options as f64
        )?;
    }
    Ok(())
}
