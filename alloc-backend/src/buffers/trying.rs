//! Trying what the solver chose, and what a refusal teaches.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Allocator, Layout, Want};
use crate::constraints::{Fourcc, Modifier};
use crate::devices::{KmsDevice, RenderNode};
use crate::links::{Outcome, Test, probe_renderer, probe_with_test};
use crate::solver::Resolution;
use crate::solver::problem::{Match, OptionSpec, Participant, Problem, Role, Verdict};

/// Pitch alignments tried, in bytes, when a device refuses a layout whatever its memory: those that drivers ask for.
const PITCH_ALIGNS: [u64; 3] = [64, 128, 256];

impl Want<'_> {
    /// How displays are asked about its buffers.
    pub(super) fn test(&self) -> Test {
        if self.new_mode { Test::InAnotherMode } else { Test::AsItIs }
    }
}

impl Allocator {
    /// Tries an answer with every device that would touch it; whether anything new was learned.
    pub(super) fn try_answer(
        &self,
        want: &Want<'_>,
        problem: &mut Problem,
        resolution: &Resolution,
        layout: &Layout,
        tried: &mut HashSet<(String, String, Layout)>,
    ) -> bool {
        let pair = (layout.format(), layout.modifier());
        let Some(heap) = self.heaps.get(&resolution.heap) else { return false };
        for device in self.touching(resolution, problem) {
            if self.links.accepted(device.name(), &resolution.heap, layout.bytes(), pair)
                || !tried.insert((device.name().to_owned(), resolution.heap.clone(), layout.clone()))
            {
                continue;
            }
            let found = probe_with_test(device, &**heap, layout, want.test());
            let layout_refused =
                found.steps.iter().any(|step| matches!(step.outcome, Outcome::RefusedForAnyMemory(_)));
            if layout_refused {
                self.change_layout(problem, device.name(), pair, layout);
            }
            if found.link.verdict == Verdict::Accepts {
                // A layout that passed only thanks to its pitch is a rule for next time.
                if let Some(align) = problem_pitch_align(problem, device.name(), pair) {
                    self.links.keep_pitch_align(device.name(), pair, align);
                }
            }
            problem.links.push(found.link.clone());
            // What was not tested is nothing to go by for others, who may show it as it is.
            if want.test() == Test::AsItIs || found.link.verdict == Verdict::Refuses {
                self.links.keep(found, pair);
            }
            return true;
        }
        for node in self.rendering(resolution, problem) {
            if self.links.accepted(node.name(), &resolution.heap, layout.bytes(), pair)
                || !tried.insert((node.name().to_owned(), resolution.heap.clone(), layout.clone()))
            {
                continue;
            }
            let found = probe_renderer(node, &**heap, layout);
            problem.links.push(found.link.clone());
            self.links.keep(found, pair);
            return true;
        }
        self.try_videos(problem, resolution, layout)
    }

    /// The device refuses this layout whatever the memory: ask for the next larger pitch alignment, or give the pair
    /// up for this buffer.
    fn change_layout(&self, problem: &mut Problem, device: &str, pair: (Fourcc, Modifier), layout: &Layout) {
        let pitch = layout.planes().first().map_or(0, |plane| plane.pitch);
        let next = PITCH_ALIGNS.into_iter().find(|align| pitch % align != 0);
        let shows = |it: &&mut Participant| it.device.as_deref() == Some(device) && is_shown(it);
        for participant in problem.participants.iter_mut().filter(shows) {
            match next {
                Some(align) => for_options(participant, |option| {
                    if pair_of(option) == Some(pair) {
                        option.limits.pitch_align = Some(align);
                    }
                }),
                None => retain_options(participant, |option| pair_of(option) != Some(pair)),
            }
        }
        tracing::debug!(device, format = %pair.0, modifier = %pair.1, pitch, ?next, "layout refused");
    }

    /// The display that a participant shows the buffer on.
    pub(super) fn display_of(&self, participant: &Participant) -> Option<&KmsDevice> {
        let name = participant.device.as_deref().filter(|_| is_shown(participant))?;
        self.devices.iter().find(|device| device.name() == name).map(|device| &**device)
    }

    /// The displays among the satisfied participants, each once.
    pub(super) fn touching<'a>(&'a self, resolution: &Resolution, problem: &Problem) -> Vec<&'a KmsDevice> {
        let satisfied = |it: &&Participant| resolution.satisfied.contains(&it.name);
        let mut devices: Vec<&KmsDevice> = Vec::new();
        for participant in problem.participants.iter().filter(satisfied) {
            if let Some(device) = self.display_of(participant) {
                if !devices.iter().any(|known| known.name() == device.name()) {
                    devices.push(device);
                }
            }
        }
        devices
    }

    /// The GPUs among the satisfied participants.
    fn rendering<'a>(&'a self, resolution: &Resolution, problem: &Problem) -> Vec<&'a RenderNode> {
        let satisfied = |it: &&Participant| resolution.satisfied.contains(&it.name);
        let renders = |node: &&Arc<RenderNode>| {
            let mut all = problem.participants.iter().filter(satisfied);
            all.any(|it| it.device.as_deref() == Some(node.name()))
        };
        self.renderers.iter().filter(renders).map(|node| &**node).collect()
    }
}

/// Whether it takes the buffer as a framebuffer. A display's GPU goes by the display's name, but what it renders is no
/// framebuffer, and may be what no plane takes.
fn is_shown(participant: &Participant) -> bool {
    matches!(participant.role, Role::Scanout | Role::Writeback)
}

pub(super) fn pair_of(option: &OptionSpec) -> Option<(Fourcc, Modifier)> {
    match (option.format, option.modifier) {
        (Match::Is(format), Match::Is(modifier)) => Some((format, modifier)),
        _ => None,
    }
}

pub(super) fn for_options(participant: &mut Participant, change: impl FnMut(&mut OptionSpec)) {
    participant.option_lists().flatten().for_each(change);
}

fn retain_options(participant: &mut Participant, keep: impl Fn(&OptionSpec) -> bool) {
    participant.option_lists().for_each(|options| options.retain(&keep));
}

fn problem_pitch_align(problem: &mut Problem, device: &str, pair: (Fourcc, Modifier)) -> Option<u64> {
    let mut found = None;
    for participant in problem.participants.iter_mut().filter(|it| it.device.as_deref() == Some(device)) {
        for_options(participant, |option| {
            if pair_of(option) == Some(pair) {
                found = found.max(option.limits.pitch_align);
            }
        });
    }
    found
}
