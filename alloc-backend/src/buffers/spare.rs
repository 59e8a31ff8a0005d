//! Spare buffers: given up before somebody goes without the buffers at all.

use super::degradation::{QUALITY, Scarcity};
use super::{Allocator, Want};
use crate::constraints::Counts;
use crate::solver::Answer;
use crate::solver::problem::Problem;

/// An answer that can be had.
pub(super) struct Found {
    /// The question, as it was answered.
    pub problem: Problem,
    pub answer: Answer,
    /// The question with all spare buffers, where the answer has fewer.
    pub whole: Option<Problem>,
}

impl Want<'_> {
    fn has_spare(&self) -> bool {
        let spare = |slack: Option<u32>| slack.is_some_and(|buffers| buffers > 0);
        self.participants.iter().any(|it| spare(it.counts.dedicated_slack) || spare(it.counts.shared_slack))
    }

    /// Buffers at most, if all take part.
    fn most(&self) -> u32 {
        let counts = || self.participants.iter().map(|it| it.counts);
        let sum = |all: &dyn Fn(Counts) -> Option<u32>| counts().filter_map(all).fold(0, u32::saturating_add);
        let held = sum(&|it| it.camping).saturating_add(sum(&|it| it.dedicated_slack));
        let shared = counts().filter_map(|it| it.shared_slack).max().unwrap_or(0);
        held.saturating_add(shared)
    }

    /// The same with so many buffers, or as many as are needed at the same time, and none to spare.
    fn of_only(&self, count: u32) -> Self {
        let mut less = Want { count, ..self.clone() };
        for participant in &mut less.participants {
            participant.counts.dedicated_slack = None;
            participant.counts.shared_slack = None;
        }
        less
    }
}

/// Smaller is better; `None` for no answer.
fn quality(answer: &Answer) -> Option<&[u64]> {
    match answer {
        Answer::Solved(resolution) => Some(&resolution.cost[..QUALITY]),
        _ => None,
    }
}

/// Whether one answer serves more than the other.
fn is_better(one: &Answer, other: &Answer) -> bool {
    match (quality(one), quality(other)) {
        (Some(one), Some(other)) => one < other,
        (one, other) => one.is_some() && other.is_none(),
    }
}

impl Allocator {
    /// Solves a want as [`Allocator::resolve_within`] does. Where somebody would go without the buffers, or nobody get any,
    /// and fewer spare ones help, the answer has as many as do no harm.
    pub(super) fn resolve_within_means(&self, want: &Want<'_>, scarcity: &Scarcity) -> Found {
        let (problem, answer) = self.resolve_within(want, scarcity);
        let whole = |problem, answer| Found { problem, answer, whole: None };
        if !want.has_spare() || quality(&answer).is_some_and(|cost| cost.iter().all(|it| *it == 0)) {
            return whole(problem, answer);
        }
        let ask = |count| self.resolve_within(&want.of_only(count), scarcity);
        let mut enough = want.count.max(1);
        let mut best = ask(enough);
        if !is_better(&best.1, &answer) {
            return whole(problem, answer);
        }
        // Fewer never serve less: the largest number that serves as many lies between these two.
        let mut too_many = want.most().max(enough);
        while too_many - enough > 1 {
            let between = enough + (too_many - enough) / 2;
            let found = ask(between);
            if is_better(&best.1, &found.1) {
                too_many = between;
            } else {
                (enough, best) = (between, found);
            }
        }
        Found { problem: best.0, answer: best.1, whole: Some(problem) }
    }

    /// What [`Allocator::allocate`] would answer now, as far as can be known without allocating: where memory is short,
    /// with fewer spare buffers rather than without somebody.
    #[must_use]
    pub fn foresee(&self, want: &Want<'_>) -> Answer {
        self.resolve_within_means(want, &Scarcity::new(self.shortages())).answer
    }
}
