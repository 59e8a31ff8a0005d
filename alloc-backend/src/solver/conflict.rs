//! The conflict: a smallest set of constraints that cannot hold together.
//!
//! A constraint is one field of one required participant, with what it says in all its options. "Without it"
//! means: the field is not there. Optional participants take no part, since they can be dropped.
//!
//! Constraints only ever narrow, so a set that cannot hold together cannot be mended by adding to it. That is
//! what the divide and conquer below rests on (Junker's QuickXplain): it needs about 2 k log(n / k) searches
//! for k culprits among n.
//!
//! What the problem itself and the heaps say (size, count, budgets) is taken as given, and blamed only if all
//! participants together could not help it by wanting nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::answer::Culprit;
use super::choices::Universe;
use super::fields::{FIELDS, Field};
use super::prepare::{Prepared, Waivers, offered};
use super::problem::{Fourcc, Match, Modifier, Participant, Problem, Size, Verdict};
use super::search::feasible;
use super::steps::{OutOfSteps, Steps};

/// What is known of a problem without a solution.
#[derive(Debug)]
pub(super) enum Explanation {
    /// These cannot hold together.
    Conflict(Vec<Culprit>),
    /// There would be a solution if the format or the modifier were pinned by a participant that is not
    /// dropped.
    Unpinned(Vec<Cow<'static, str>>),
}

/// One thing that can be left out.
#[derive(Debug, Copy, Clone)]
enum Constraint<'a> {
    Field(usize, &'static Field),
    /// What is said of this participant's device refusing heaps.
    Links(usize),
    Size,
    Count,
    Heap(usize, &'static str),
    Pool(&'a str),
}

/// Explains why a problem that was searched in vain has no solution.
pub(super) fn explain(problem: &Problem, steps: &mut Steps) -> Result<Explanation, OutOfSteps> {
    if problem.heaps.is_empty() {
        return Ok(Explanation::Conflict(vec![culprit("(problem)", "heaps", "none".to_owned())]));
    }
    let required = wants(problem);
    let mut universe = Universe::of(problem.participants.iter().flat_map(offered).flatten());
    // Of formats that somebody names, all may be unknown; this one always has a layout.
    universe.formats.push(Fourcc::XRGB8888);
    universe.modifiers.push(Modifier::LINEAR);
    universe.sort();
    let mut asker = Asker {
        problem,
        required: &required,
        universe,
        presence_counts: problem.heaps.iter().any(|heap| heap.device.is_some()),
        tier: Tier::Participants,
        steps,
    };

    let wanted = asker.participants_constraints();
    if asker.holds(&wanted)? {
        return Ok(Explanation::Unpinned(unpinned(problem)));
    }
    if asker.holds(&[])? {
        let conflict = asker.minimal(&[], false, &wanted)?;
        return Ok(Explanation::Conflict(asker.name(&conflict)));
    }
    asker.tier = Tier::Givens;
    let given = asker.given_constraints();
    let conflict = asker.minimal(&[], false, &given)?;
    Ok(Explanation::Conflict(asker.name(&conflict)))
}

/// Of format and modifier, what no required participant pins.
pub(super) fn unpinned(problem: &Problem) -> Vec<Cow<'static, str>> {
    let options = || problem.participants.iter().filter(|p| p.required).flat_map(offered).flatten();
    let mut fields = Vec::new();
    if options().all(|option| option.format == Match::Any) {
        fields.push(Cow::Borrowed("format"));
    }
    if options().all(|option| option.modifier == Match::Any) {
        fields.push(Cow::Borrowed("modifier"));
    }
    if fields.is_empty() {
        // They pin both, but not in options that go together.
        fields.extend([Cow::Borrowed("format"), Cow::Borrowed("modifier")]);
    }
    fields
}

fn culprit(participant: impl Into<String>, field: &'static str, value: String) -> Culprit {
    Culprit { participant: participant.into(), field: Cow::Borrowed(field), value }
}

/// What may be left out: what participants want, or what is given.
#[derive(Debug, Copy, Clone, Eq, PartialEq)]
enum Tier {
    Participants,
    Givens,
}

/// What a required participant wants.
#[derive(Debug)]
struct Wants {
    /// Its place in the problem.
    at: usize,
    fields: Vec<&'static Field>,
    /// Its device refuses heaps.
    links: bool,
}

/// What the required participants want, by name.
fn wants(problem: &Problem) -> Vec<Wants> {
    let protected_heaps = problem.heaps.iter().any(|heap| heap.protected);
    let refused = problem.links.iter().filter(|link| link.verdict == Verdict::Refuses);
    let refused: BTreeSet<&str> = refused.map(|link| link.device.as_str()).collect();
    let mut required: Vec<(usize, &Participant)> =
        problem.participants.iter().enumerate().filter(|(_, p)| p.required).collect();
    required.sort_unstable_by_key(|(_, p)| p.name.as_str());
    let of = |(at, participant): (usize, &Participant)| {
        let bites = |field: &&Field| {
            (field.name != "can_protected" || protected_heaps) && (field.value)(participant).is_some()
        };
        let links = participant.device.as_deref().is_some_and(|device| refused.contains(device));
        Wants { at, fields: FIELDS.iter().filter(bites).collect(), links }
    };
    required.into_iter().map(of).collect()
}

struct Asker<'p, 's> {
    problem: &'p Problem,
    /// The required participants, by name.
    required: &'s [Wants],
    /// What `any` may become. It does not shrink when constraints are left out.
    universe: Universe,
    /// Whether a participant without constraints can make a difference.
    presence_counts: bool,
    tier: Tier,
    steps: &'s mut Steps,
}

impl<'p> Asker<'p, '_> {
    fn participant(&self, at: usize) -> Option<&'p Participant> {
        self.problem.participants.get(at)
    }

    fn participants_constraints(&self) -> Vec<Constraint<'p>> {
        let of = |wants: &Wants| {
            let at = wants.at;
            let links = wants.links.then_some(Constraint::Links(at));
            let fields: Vec<_> =
                wants.fields.iter().map(|field| Constraint::Field(at, field)).chain(links).collect();
            fields
        };
        self.required.iter().flat_map(of).collect()
    }

    fn given_constraints(&self) -> Vec<Constraint<'p>> {
        let mut constraints = vec![Constraint::Size, Constraint::Count];
        let mut heaps: Vec<_> = self.problem.heaps.iter().enumerate().collect();
        heaps.sort_unstable_by_key(|(_, heap)| (heap.pool(), heap.id.as_str()));
        for (at, heap) in heaps {
            if !heap.can_open {
                constraints.push(Constraint::Heap(at, "can_open"));
            }
            if heap.max_bytes.is_some() {
                constraints.push(Constraint::Heap(at, "max_bytes"));
            }
            if heap.max_ranges == Some(0) {
                constraints.push(Constraint::Heap(at, "max_ranges"));
            }
            let known = matches!(constraints.last(), Some(Constraint::Pool(pool)) if *pool == heap.pool());
            if (heap.free.is_some() || heap.capacity.is_some()) && !known {
                constraints.push(Constraint::Pool(heap.pool()));
            }
        }
        constraints
    }

    /// A smallest part of `doubted` that cannot hold together with `sure`, where all of both cannot. `grown`
    /// says that `sure` has been added to since it was last asked.
    fn minimal(
        &mut self,
        sure: &[Constraint<'p>],
        grown: bool,
        doubted: &[Constraint<'p>],
    ) -> Result<Vec<Constraint<'p>>, OutOfSteps> {
        if grown && !self.holds(sure)? {
            return Ok(Vec::new());
        }
        if doubted.len() <= 1 {
            return Ok(doubted.to_vec());
        }
        let (left, right) = doubted.split_at(doubted.len() / 2);
        let with_left = [sure, left].concat();
        let mut of_right = self.minimal(&with_left, true, right)?;
        let with_right = [sure, &of_right].concat();
        let mut conflict = self.minimal(&with_right, !of_right.is_empty(), left)?;
        conflict.append(&mut of_right);
        Ok(conflict)
    }

    /// Whether these constraints can hold together, all others of the tier left out.
    fn holds(&mut self, kept: &[Constraint<'p>]) -> Result<bool, OutOfSteps> {
        let (problem, waivers) = self.relaxed(kept)?;
        let prepared = Prepared::new(&problem, waivers, self.steps)?;
        feasible(&prepared, self.steps)
    }

    /// The problem with only these constraints. A participant that keeps none is not in it: it would accept
    /// anything (but its being there counts where a heap is a device's own, and others forbid reaching into
    /// that).
    fn relaxed(&mut self, kept: &[Constraint<'p>]) -> Result<(Problem, Waivers), OutOfSteps> {
        /// What copying a participant costs, in steps.
        const COPY: usize = 16;
        let mut fields: Vec<(usize, &'static str)> = kept
            .iter()
            .filter_map(|constraint| match constraint {
                Constraint::Field(at, field) => Some((*at, field.name)),
                Constraint::Links(at) => Some((*at, "link")),
                _ => None,
            })
            .collect();
        fields.sort_unstable();
        let mut waivers = Waivers { unpinned: Some(self.universe.clone()), ..Waivers::default() };
        let mut problem = self.problem.clone_givens();
        self.steps.take(kept.len() + problem.links.len() + problem.heaps.len() + self.required.len())?;
        for wants in self.required {
            let keeps = |name: &str| fields.binary_search(&(wants.at, name)).is_ok();
            waivers.chroma_pitch |= wants.fields.iter().any(|f| f.name == "chroma_pitch" && !keeps(f.name));
            let first = fields.partition_point(|(at, _)| *at < wants.at);
            if !self.presence_counts && fields.get(first).is_none_or(|(at, _)| *at != wants.at) {
                continue;
            }
            let Some(participant) = self.problem.participants.get(wants.at) else { continue };
            self.steps
                .take(COPY + offered(participant).map(Vec::len).sum::<usize>() * (1 + wants.fields.len()))?;
            let mut participant = participant.clone();
            for field in wants.fields.iter().filter(|field| !keeps(field.name)) {
                (field.remove)(&mut participant);
            }
            if !keeps("link") {
                waivers.links.push(participant.name.clone());
            }
            problem.participants.push(participant);
        }
        waivers.links.sort_unstable();
        if self.tier == Tier::Givens {
            relax_givens(&mut problem, kept);
        }
        Ok((problem, waivers))
    }

    fn name(&self, conflict: &[Constraint<'p>]) -> Vec<Culprit> {
        let mut culprits: Vec<Culprit> =
            conflict.iter().filter_map(|constraint| self.culprit(constraint)).collect();
        culprits.sort_unstable();
        culprits
    }

    fn culprit(&self, constraint: &Constraint<'p>) -> Option<Culprit> {
        let problem = self.problem;
        Some(match constraint {
            Constraint::Field(at, field) => {
                let participant = self.participant(*at)?;
                culprit(&participant.name, field.name, (field.value)(participant)?)
            }
            Constraint::Links(at) => {
                let participant = self.participant(*at)?;
                let refused = problem.links.iter().filter(|link| {
                    link.verdict == Verdict::Refuses && Some(&link.device) == participant.device.as_ref()
                });
                let mut heaps: Vec<String> = refused
                    .map(|link| format!("{} refuses {} ({})", link.device, link.heap, link.evidence.as_str()))
                    .collect();
                heaps.sort_unstable();
                heaps.dedup();
                culprit(&participant.name, "link", super::fields::list(heaps)?)
            }
            Constraint::Size => culprit("(problem)", "size", problem.size.to_string()),
            Constraint::Count => culprit("(problem)", "count", problem.count.to_string()),
            Constraint::Heap(at, field) => {
                let heap = problem.heaps.get(*at)?;
                let value = match *field {
                    "can_open" => heap.can_open.to_string(),
                    "max_bytes" => heap.max_bytes?.to_string(),
                    _ => heap.max_ranges?.to_string(),
                };
                culprit(format!("(heap {})", heap.id), field, value)
            }
            Constraint::Pool(pool) => {
                let heaps = || problem.heaps.iter().filter(|heap| heap.pool() == *pool);
                let free = heaps().filter_map(|heap| heap.free).min();
                let capacity = heaps().filter_map(|heap| heap.capacity).min();
                let field = if free.is_some() { "free" } else { "capacity" };
                culprit(format!("(pool {pool})"), field, free.or(capacity)?.to_string())
            }
        })
    }
}

impl Problem {
    /// The problem without its participants.
    fn clone_givens(&self) -> Problem {
        Problem {
            size: self.size,
            count: self.count,
            participants: Vec::new(),
            heaps: self.heaps.clone(),
            links: self.links.clone(),
            iommu: self.iommu.clone(),
        }
    }
}

/// Takes away what is given and not kept.
fn relax_givens(problem: &mut Problem, kept: &[Constraint<'_>]) {
    if !kept.iter().any(|constraint| matches!(constraint, Constraint::Size)) {
        problem.size = Size::new(1, 1);
    }
    if !kept.iter().any(|constraint| matches!(constraint, Constraint::Count)) {
        problem.count = 1;
    }
    let mut heaps: Vec<(usize, &str)> = Vec::new();
    let mut pools: Vec<&str> = Vec::new();
    for constraint in kept {
        match constraint {
            Constraint::Heap(at, field) => heaps.push((*at, field)),
            Constraint::Pool(pool) => pools.push(pool),
            _ => {}
        }
    }
    heaps.sort_unstable();
    pools.sort_unstable();
    for (at, heap) in problem.heaps.iter_mut().enumerate() {
        let keeps = |field: &str| heaps.binary_search(&(at, field)).is_ok();
        heap.can_open |= !keeps("can_open");
        heap.max_bytes = heap.max_bytes.filter(|_| keeps("max_bytes"));
        heap.max_ranges = heap.max_ranges.filter(|_| keeps("max_ranges"));
        if pools.binary_search(&heap.pool()).is_err() {
            (heap.free, heap.capacity) = (None, None);
        }
    }
}
