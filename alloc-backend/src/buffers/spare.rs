//! Spare buffers: given up before somebody goes without the buffers at all. Pure but for what answers the questions.

use super::Want;
use super::degradation::QUALITY;
use super::want::MAX_BUFFERS;
use crate::constraints::Counts;
use crate::solver::problem::{Participant, Problem};
use crate::solver::{Answer, solve};

/// An answer that can be had.
pub(super) struct Found<T> {
    /// What was answered.
    pub found: T,
    /// What was answered with all spare buffers, where the answer has fewer.
    pub whole: Option<T>,
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

/// The best that can be had with spare buffers or fewer: where somebody would go without the buffers, or nobody get any, and
/// fewer spare ones help, as many as do no harm. `ask` answers the same question with so many buffers and none to spare,
/// `answer` finds the answer in what it says. Asks no more than eight times.
pub(super) fn within_means<T>(
    (participants, least): (&[Participant], u32),
    all: T,
    answer: impl Fn(&T) -> &Answer,
    mut ask: impl FnMut(u32) -> T,
) -> Found<T> {
    let whole = |found| Found { found, whole: None };
    let is_perfect = quality(answer(&all)).is_some_and(|cost| cost.iter().all(|it| *it == 0));
    let mut enough = least.max(1);
    let mut too_many = most(participants, least).min(MAX_BUFFERS as u32 + 1);
    if is_perfect || too_many <= enough || !has_spare(participants) {
        return whole(all);
    }
    let mut best = ask(enough);
    if !is_better(answer(&best), answer(&all)) {
        return whole(all);
    }
    // Fewer never serve less: the largest number that serves as many lies between these two.
    while too_many - enough > 1 {
        let between = enough + (too_many - enough) / 2;
        let found = ask(between);
        if is_better(answer(&best), answer(&found)) {
            too_many = between;
        } else {
            (enough, best) = (between, found);
        }
    }
    Found { found: best, whole: Some(all) }
}

/// The answer to a problem as it stands, within means.
pub(super) fn solve_within_means(problem: &Problem) -> Answer {
    let ask = |count| {
        let mut participants = problem.participants.clone();
        give_up_spare(&mut participants);
        solve(&Problem { count, participants, ..problem.clone() })
    };
    let of = (&problem.participants[..], problem.count);
    within_means(of, solve(problem), |answer| answer, ask).found
}

fn has_spare(participants: &[Participant]) -> bool {
    let spare = |slack: Option<u32>| slack.is_some_and(|buffers| buffers > 0);
    participants.iter().any(|it| spare(it.counts.dedicated_slack) || spare(it.counts.shared_slack))
}

fn give_up_spare(participants: &mut [Participant]) {
    for participant in participants {
        participant.counts.dedicated_slack = None;
        participant.counts.shared_slack = None;
    }
}

/// Buffers at most, if all take part.
pub(super) fn most(participants: &[Participant], least: u32) -> u32 {
    let counts = || participants.iter().map(|it| it.counts);
    let sum = |of: fn(Counts) -> Option<u32>| {
        counts().filter_map(of).fold(0, |all: u32, one| all.saturating_add(one))
    };
    let held = sum(|it| it.camping).saturating_add(sum(|it| it.dedicated_slack));
    let shared = counts().filter_map(|it| it.shared_slack).max().unwrap_or(0);
    let stated = counts().filter_map(|it| it.min_count).max().unwrap_or(0);
    held.saturating_add(shared).max(stated).max(least)
}

impl Want<'_> {
    /// Buffers at most, if all who are named take part: with all spare ones. Never more than are allocated at once.
    #[must_use]
    pub fn most(&self) -> u32 {
        most(&self.participants, self.count.max(1)).min(MAX_BUFFERS as u32)
    }

    /// The same with so many buffers, or as many as are needed at the same time, and none to spare.
    pub(super) fn of_only(&self, count: u32) -> Self {
        let mut less = Want { count, ..self.clone() };
        give_up_spare(&mut less.participants);
        less
    }
}
