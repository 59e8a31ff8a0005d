//! The decision. Pure: the same problem always gives the same answer.

pub mod answer;
pub mod heap_facts;
pub mod link;
pub mod problem;
mod validate;

pub use answer::{Answer, Cost, Culprit, PlaneLayout, Reason, Rejected, Resolution};
pub use problem::{InvalidProblem, Problem};

/// How long the search may go on.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
pub struct Limits {
    /// Steps of the search; one is some tens of nanoseconds.
    pub max_steps: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_steps: 20_000_000 }
    }
}

/// Solves a problem with the usual limits.
#[must_use]
pub fn solve(problem: &Problem) -> Answer {
    solve_with(problem, &Limits::default())
}

/// Solves a problem within `limits`.
#[must_use]
pub fn solve_with(problem: &Problem, limits: &Limits) -> Answer {
    if let Err(invalid) = problem.validate() {
        return invalid.into();
    }
    Answer::SearchLimit { bound: limits.max_steps }
}
