//! Answers that had to do with less, because memory was short.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Shortage;
use super::spare::{most, solve_within_means};
use crate::heaps::HeapId;
use crate::solver::problem::{HeapFacts, Problem};
use crate::solver::{Answer, Resolution};

/// How much of the cost vector is about quality: what was dropped, and copies per frame. The rest is economy.
pub(super) const QUALITY: usize = 2;

/// What a want would have got, had there been memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Degradation {
    /// The answer with all memory free.
    pub wanted: Box<Resolution>,
    /// Participants that it would have satisfied and the answer taken does not, sorted.
    pub dropped: Vec<String>,
    /// Buffers of the answer taken, where it has fewer spare ones than the wanted answer's `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffers: Option<u64>,
    /// The shortages that stood in the way: of the wanted answer's pool, or all that are known.
    pub short: Vec<Shortage>,
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = &self.wanted;
        write!(f, "pool {} has no room for {} x {} bytes", wanted.pool, wanted.count, wanted.size)?;
        match (self.dropped.as_slice(), self.buffers) {
            ([], None) => f.write_str(": a copy is made instead"),
            ([], Some(buffers)) => write!(f, ": makes do with {buffers}"),
            (dropped, None) => write!(f, ": goes without {}", dropped.join(", ")),
            (dropped, Some(buffers)) => {
                write!(f, ": makes do with {buffers}, goes without {}", dropped.join(", "))
            }
        }
    }
}

/// What is known to be short while one want is carried out.
#[derive(Debug, Clone, Default)]
pub(super) struct Scarcity {
    pub shortages: Vec<Shortage>,
    failed: Vec<HeapId>,
}

impl Scarcity {
    pub(super) fn new(shortages: Vec<Shortage>) -> Self {
        Scarcity { shortages, failed: Vec::new() }
    }

    /// A heap of this pool gave no memory.
    pub(super) fn short(&mut self, shortage: Shortage, heap: &HeapId) {
        match self.shortages.iter_mut().find(|known| known.pool == shortage.pool) {
            // It was told what is free and still failed: it does not keep to what it said, so it is left out.
            Some(known) => {
                *known = shortage;
                self.fail(heap);
            }
            None => self.shortages.push(shortage),
        }
    }

    /// A heap is of no use for this want.
    pub(super) fn fail(&mut self, heap: &HeapId) {
        self.failed.push(heap.clone());
    }

    pub(super) fn has_failed(&self, heap: &HeapId) -> bool {
        self.failed.contains(heap)
    }

    /// A heap's facts, with what was learned of its pool.
    pub(super) fn applied(&self, mut facts: HeapFacts) -> HeapFacts {
        if let Some(shortage) = self.shortages.iter().find(|it| it.pool == facts.pool()) {
            facts.free = Some(facts.free.or(facts.capacity).unwrap_or(u64::MAX).min(shortage.free));
        }
        facts
    }
}

/// Whether an answer does without something for lack of memory alone. `problem` is the question with all spare buffers, also
/// where some were given up.
pub(super) fn degradation(problem: &Problem, got: &Resolution, scarcity: &Scarcity) -> Option<Degradation> {
    let quality = &got.cost[..QUALITY];
    if quality.iter().all(|cost| *cost == 0)
        && got.count >= u64::from(most(&problem.participants, problem.count))
    {
        return None;
    }
    let wanted = with_room(problem)?;
    let fewer = wanted.count > got.count;
    match wanted.cost[..QUALITY].cmp(quality) {
        Ordering::Less => {}
        Ordering::Equal if fewer => {}
        _ => return None,
    }
    let dropped = got.dropped.iter().filter(|name| !wanted.dropped.contains(name)).cloned().collect();
    let short = in_the_way(problem, &wanted, scarcity);
    let buffers = fewer.then_some(got.count);
    Some(Degradation { wanted: Box::new(wanted), dropped, buffers, short })
}

/// The answer if all memory were free; there may be none even then.
fn with_room(problem: &Problem) -> Option<Resolution> {
    // What is free does not matter in this question; how much there is at all does.
    let mut full = problem.clone();
    for facts in &mut full.heaps {
        facts.free = None;
    }
    match solve_within_means(&full) {
        Answer::Solved(wanted) => Some(wanted),
        _ => None,
    }
}

/// The shortages that keep an answer from being had.
fn in_the_way(problem: &Problem, wanted: &Resolution, scarcity: &Scarcity) -> Vec<Shortage> {
    let mut short: Vec<Shortage> =
        scarcity.shortages.iter().filter(|it| it.pool == wanted.pool).cloned().collect();
    if short.is_empty() {
        // The kernel says itself what is free, so nothing had to fail.
        let free =
            problem.heaps.iter().filter(|heap| heap.pool() == wanted.pool).filter_map(|heap| heap.free).min();
        short.extend(free.map(|free| Shortage { pool: wanted.pool.clone(), free, retry_at: None }));
    }
    short
}

/// The shortages for which a problem has no answer; none when it would have none anyway.
pub(super) fn shortages_behind(problem: &Problem, scarcity: &Scarcity) -> Vec<Shortage> {
    with_room(problem).map_or_else(Vec::new, |wanted| in_the_way(problem, &wanted, scarcity))
}

/// Whether an answer is as good as what was wanted.
pub(super) fn has_room(answer: &Resolution, degraded: &Degradation) -> bool {
    answer.cost[..QUALITY] <= degraded.wanted.cost[..QUALITY] && answer.count >= degraded.wanted.count
}
