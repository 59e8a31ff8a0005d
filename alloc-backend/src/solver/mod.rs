//! The decision. Pure: the same problem always gives the same answer.
//!
//! # The problem
//!
//! A picture of a given size is to be put into buffers that every participant can use: the client's GPU that
//! renders it, the plane that scans it out, an encoder. Each states what it accepts; somebody has to pick one
//! format, one modifier, one layout and one heap that suit all, or say which participant must do without and
//! what that costs, or say who contradicts whom.
//!
//! ```text
//!              (format, modifier) pairs that a required participant offers, the cheapest first
//!                |
//!      XR24 LINEAR               XR24 I915_X_TILED              AR24 LINEAR
//!                |
//!     classes of heaps that the same participants refuse
//!                |
//!      {h0: refused by panel}                 {h1, h2: refused by nobody}
//!                |                                      |
//!   gpu:   option 0   option 3                 gpu:   option 0   option 3        required: must choose
//!             |                                          |
//!   panel: (dropped, weight 100)               panel: plane-31  plane-32  drop   optional: may be dropped
//!             |                                          |
//!   layout of merged limits                    layout of merged limits
//!             |                                          |
//!             h0                                    h1        h2                 bytes, budget, evidence,
//! cost
//! ```
//!
//! # The pruning rule
//!
//! The cost is a vector compared from the left. Its first three numbers (dropped weight, copies, bandwidth
//! ranks) only grow on the way down, so a branch whose numbers so far, with the least that the rest will add,
//! are above the best answer found is cut. And merging constraints only ever narrows: a layout that is too
//! large stays too large whoever joins, so that branch is cut too. Of two options that differ in nothing but
//! their place, the later one is never tried.
//!
//! Nothing else is cut, so the search is complete, and it is bounded: past [`Limits::max_steps`] the answer
//! is [`Answer::SearchLimit`], which claims nothing.
//!
//! # An example
//!
//! ```
//! use heapwright_alloc::solver::{Answer, Problem, solve};
//!
//! let problem: Problem = serde_json::from_str(
//!     r#"{ "size": [1920, 1080], "count": 2,
//!          "participants": [
//!            { "name": "gpu", "device": "v3d", "role": "render",
//!              "options": [ { "format": "XR24", "modifier": "LINEAR", "pitch_align": 64 } ] },
//!            { "name": "panel", "device": "vc4", "role": "scanout", "required": false, "weight": 100,
//!              "options": [ { "format": "XR24", "modifier": "LINEAR" } ],
//!              "memory": { "contiguous": true } } ],
//!          "heaps": [ { "id": "system", "cached": true }, { "id": "cma", "contiguous": true, "capacity": 67108864 } ] }"#,
//! )?;
//! let Answer::Solved(answer) = solve(&problem) else { panic!("no answer") };
//! assert_eq!((answer.heap.as_str(), answer.planes[0].pitch), ("cma", 7680));
//! assert_eq!(answer.satisfied, ["gpu", "panel"]);
//! // Who spoke against the other heap, and with which field.
//! let reason = answer.reasons.iter().find(|it| it.rejected.heap.as_deref() == Some("system")).expect("a reason");
//! assert_eq!((&*reason.participant, &*reason.field), ("panel", "contiguous"));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Where things are
//!
//! [`problem`] and [`answer`] are what goes in and comes out. `prepare` sorts the problem, so that its order
//! does not matter, and asks every question that concerns one participant alone (`heap`, `link`); `search`
//! goes down the tree above with `merge`, `layout` and `place`; `reasons` judges what was not chosen, and
//! `why` names who rejects it; `conflict` finds the culprits where nothing can be.

pub mod answer;
mod choices;
mod conflict;
mod fields;
mod heap;
pub mod heap_facts;
mod layout;
pub mod link;
mod merge;
mod place;
mod prepare;
pub mod problem;
mod reasons;
mod search;
mod steps;
mod validate;
mod why;

use std::collections::BTreeMap;

use conflict::Explanation;
use prepare::{Prepared, Waivers, offered};
use problem::Match;
use search::{DROPPED, Found};
use steps::{OutOfSteps, Steps};

pub(crate) use answer::listed;
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
    let mut steps = Steps::new(limits.max_steps);
    decide(problem, &mut steps).unwrap_or(Answer::SearchLimit { bound: limits.max_steps })
}

fn decide(problem: &Problem, steps: &mut Steps) -> Result<Answer, OutOfSteps> {
    let options = || problem.participants.iter().flat_map(offered).flatten();
    let mut open = Vec::new();
    if options().all(|option| option.format == Match::Any) {
        open.push("format".into());
    }
    if options().all(|option| option.modifier == Match::Any) {
        open.push("modifier".into());
    }
    if !open.is_empty() && !options_missing(problem) {
        return Ok(underconstrained(open));
    }
    let prepared = Prepared::new(problem, Waivers::default(), steps)?;
    if let Some(found) = search::best(&prepared, steps)? {
        return Ok(Answer::Solved(resolution(&prepared, &found)));
    }
    match conflict::explain(problem, steps)? {
        Explanation::Unpinned(fields) => Ok(underconstrained(fields)),
        Explanation::Conflict(conflict) => {
            Ok(Answer::Unsatisfiable { conflict, reasons: reasons::of_failure(&prepared) })
        }
    }
}

/// Whether a required participant lists no option at all: then nothing can be, whatever is pinned.
fn options_missing(problem: &Problem) -> bool {
    problem.participants.iter().any(|p| p.required && fields::accepts_nothing(p))
}

fn underconstrained(fields: Vec<std::borrow::Cow<'static, str>>) -> Answer {
    let why = format!(
        "no participant that takes part says which {} it accepts; an answer would be a guess: name it in one option",
        fields.join(" and ")
    );
    Answer::Underconstrained { fields, why }
}

fn resolution(prepared: &Prepared<'_>, found: &Found) -> Resolution {
    let (format, modifier) = found.pair();
    let heap = prepared.heaps.get(found.heap()).map(|heap| heap.facts);
    let (mut satisfied, mut dropped) = (Vec::with_capacity(prepared.parts.len()), Vec::new());
    let mut alternatives = BTreeMap::new();
    for part in &prepared.parts {
        let name = &part.spec.name;
        let chosen = found.chosen.get(part.slots.clone()).unwrap_or_default();
        if chosen.first().is_some_and(|at| *at == DROPPED) {
            dropped.push(name.clone());
            continue;
        }
        satisfied.push(name.clone());
        let mut taken: Vec<String> = Vec::new();
        for (group, at) in chosen.iter().enumerate() {
            let place = prepared.choices.get(*at).map_or(0, |choice| choice.alternative);
            let alternative = why::group_of(part.spec, group).and_then(|list| list.get(place));
            taken.extend(alternative.map(|alternative| why::alternative_name(alternative, place)));
        }
        if !taken.is_empty() {
            alternatives.insert(name.clone(), taken.join("+"));
        }
    }
    satisfied.sort_unstable();
    dropped.sort_unstable();
    Resolution {
        format,
        modifier,
        heap: heap.map(|heap| heap.id.clone()).unwrap_or_default(),
        pool: heap.map(|heap| heap.pool().to_owned()).unwrap_or_default(),
        count: found.placed.count,
        planes: found.layout.planes().to_vec(),
        size: found.placed.bytes,
        alternatives,
        satisfied,
        dropped,
        cost: found.cost,
        reasons: reasons::of_solution(prepared, found),
    }
}
