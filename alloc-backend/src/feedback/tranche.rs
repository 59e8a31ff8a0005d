//! Preference groups of linux-dmabuf feedback. Pure: a problem in, tranches out.
//!
//! A pair (format, modifier) is offered to a client only when the solver, asked for exactly that pair, finds memory
//! with which the target is satisfied: what is advertised can be allocated, on this machine, at this size, now.

use crate::constraints::{Fourcc, Modifier};
use crate::solver::problem::{Match, OptionSpec, Participant, Problem};
use crate::solver::{Answer, solve};

/// Whom a tranche is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The participant's name in the problem.
    pub participant: String,
    /// The `dev_t` of its device.
    pub device: u64,
    /// Whether it is a display that would scan the buffer out.
    pub scanout: bool,
}

/// One pair in a tranche.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrancheFormat {
    /// The format.
    pub format: Fourcc,
    /// The modifier.
    pub modifier: Modifier,
    /// The pitch of plane 0 in bytes with which it solves at the problem's size. linux-dmabuf cannot say it; our own
    /// protocol can.
    pub pitch: u64,
}

/// One preference group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tranche {
    /// The `dev_t` of the device that would use the buffer.
    pub target_device: u64,
    /// Whether a display could show the buffer directly.
    pub scanout: bool,
    /// The pairs, in the target's own order.
    pub formats: Vec<TrancheFormat>,
}

impl Tranche {
    /// The pairs without their pitches.
    pub fn pairs(&self) -> Vec<(Fourcc, Modifier)> {
        self.formats.iter().map(|it| (it.format, it.modifier)).collect()
    }
}

/// One tranche per target, in the order given, without those that would be empty.
pub fn default_tranches(problem: &Problem, targets: &[Target]) -> Vec<Tranche> {
    targets
        .iter()
        .map(|target| tranche(problem, target))
        .filter(|tranche| !tranche.formats.is_empty())
        .collect()
}

/// What one plane of a display would take: the target's alternative of this name, and no other.
pub fn scanout_tranche(problem: &Problem, target: &Target, plane: &str) -> Tranche {
    let mut problem = problem.clone();
    for participant in problem.participants.iter_mut().filter(|it| it.name == target.participant) {
        if let Some(alternatives) = &mut participant.alternatives {
            alternatives.retain(|alternative| alternative.name.as_deref() == Some(plane));
        }
    }
    tranche(&problem, target)
}

/// The pairs of the target's options with which the problem solves and the target is satisfied. Other participants stay
/// as they are: the required ones must be satisfied too.
pub fn tranche(problem: &Problem, target: &Target) -> Tranche {
    let mut found = Tranche { target_device: target.device, scanout: target.scanout, formats: Vec::new() };
    let Some(at) = problem.participants.iter().position(|it| it.name == target.participant) else {
        return found;
    };
    let mut question = problem.clone();
    let pairs = pairs(&question.participants[at]);
    question.participants[at].required = true;
    // One more voice that wants this pair and nothing else; it has no device and asks nothing of the memory.
    let voice = question.participants.len();
    let name = "(this pair)".to_owned();
    question.participants.push(Participant { name, ..Participant::default() });
    for (format, modifier) in pairs {
        question.participants[voice].options = Some(vec![OptionSpec {
            format: format.into(),
            modifier: modifier.into(),
            ..OptionSpec::default()
        }]);
        if let Answer::Solved(answer) = solve(&question) {
            let pitch = answer.planes.first().map_or(0, |plane| plane.pitch);
            found.formats.push(TrancheFormat { format, modifier, pitch });
        }
    }
    found
}

/// Every pair the participant names, once, in its order. `any` names none: it has to come from elsewhere.
fn pairs(participant: &Participant) -> Vec<(Fourcc, Modifier)> {
    let own = participant.options.iter().flatten();
    let alternatives = participant.alternatives.iter().flatten();
    let groups = participant.groups.iter().flatten().flatten();
    let mut pairs = Vec::new();
    for option in own.chain(alternatives.chain(groups).flat_map(|alternative| &alternative.options)) {
        if let (Match::Is(format), Match::Is(modifier)) = (option.format, option.modifier) {
            if !pairs.contains(&(format, modifier)) {
                pairs.push((format, modifier));
            }
        }
    }
    pairs
}
