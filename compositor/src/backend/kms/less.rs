//! An output that was lit with fewer pixels or colours than it should have, for want of memory: it gets them when there is
//! some.

use std::{iter, time::Duration};

use smithay::{
    backend::{
        allocator::{Format, Fourcc, Modifier, dmabuf::Dmabuf},
        renderer::{Bind, pixman::PixmanRenderer},
    },
    reexports::{
        calloop::timer::TimeoutAction,
        drm::control::{Mode, crtc},
    },
};
use tracing::{debug, info, warn};

use super::{
    super::Backend,
    head::Head,
    light::{self, FORMATS, size, smaller},
};
use crate::state::Heapwright;

/// How often it is asked whether there is memory again.
const EVERY: Duration = Duration::from_secs(2);
/// How seldom at most, where the display has refused what there was memory for.
const LAST: Duration = Duration::from_secs(60);

/// How it went.
enum Step {
    /// There is nothing better to be had.
    Done,
    /// There is, or may be, when there is more memory.
    Waits,
    /// The display did not take it.
    Refused,
}

/// Asks from now on, for the output that was just lit on this CRTC, whether it can have `mode` or its colours.
pub(super) fn follow(state: &mut Heapwright, crtc: crtc::Handle, mode: Mode) {
    let Some(head) = state.backend.head(crtc) else { return };
    let serial = head.serial;
    head.wanted = Some(mode);
    let mut wait = EVERY;
    let timer = state.events.insert_timer(EVERY, move |state| {
        // Pools that were dry are to be tried again.
        let _ = state.memory.tick(state.clock.now().into());
        let Backend::Kms(kms) = &mut state.backend else { return TimeoutAction::Drop };
        // Another output by now, or another display on it that does not offer the mode.
        let head = kms.heads.get(&crtc).filter(|head| head.serial == serial);
        let wanted = head.and_then(|head| head.wanted.filter(|mode| head.modes.contains(mode)));
        let Some(wanted) = wanted else { return TimeoutAction::Drop };
        if !kms.is_active() {
            return TimeoutAction::ToDuration(EVERY);
        }
        match improve(state, crtc, wanted) {
            Step::Waits => {}
            Step::Refused => wait = (wait * 2).min(LAST),
            Step::Done => {
                if let Some(head) = state.backend.head(crtc) {
                    head.wanted = None;
                }
                return TimeoutAction::Drop;
            }
        }
        TimeoutAction::ToDuration(wait)
    });
    if let Err(error) = timer {
        warn!(%error, "an output keeps fewer pixels or colours");
    }
}

/// What is better than `now`, the best first: of the modes from the wanted one down, those that are `larger` than the one of
/// now in every format, then that one in better formats.
fn better<M: Copy>(
    modes: impl IntoIterator<Item = M>,
    larger: impl Fn(&M) -> bool,
    now: (M, Fourcc),
) -> Vec<(M, Fourcc)> {
    let larger = modes.into_iter().take_while(larger);
    let all = larger.flat_map(|mode| FORMATS.map(|format| (mode, format)));
    let colours = FORMATS.into_iter().take_while(|format| *format != now.1).map(|format| (now.0, format));
    all.chain(colours).collect()
}

/// The modifiers of frames of this format, as Smithay chooses them when an output is lit.
fn modifiers(head: &Head, renderer: &PixmanRenderer, format: Fourcc) -> Vec<Modifier> {
    let drawn = Bind::<Dmabuf>::supported_formats(renderer).unwrap_or_default();
    let of = |pairs: &mut dyn Iterator<Item = &Format>| -> Vec<Modifier> {
        pairs.filter(|pair| pair.code == format).map(|pair| pair.modifier).collect()
    };
    let shown = of(&mut head.compositor.surface().plane_info().formats.iter());
    let drawn = of(&mut drawn.iter());
    if shown == [Modifier::Invalid]
        && !drawn.contains(&Modifier::Invalid)
        && drawn.contains(&Modifier::Linear)
    {
        return shown;
    }
    shown.into_iter().filter(|modifier| drawn.contains(modifier)).collect()
}

/// Gives an output the best that there is memory for.
fn improve(state: &mut Heapwright, crtc: crtc::Handle, wanted: Mode) -> Step {
    let before = state.places();
    let Backend::Kms(kms) = &mut state.backend else { return Step::Done };
    let Some(head) = kms.heads.get_mut(&crtc) else { return Step::Done };
    let now = (head.compositor.pending_mode(), head.compositor.format());
    let down = iter::successors(Some(wanted), |mode| smaller(&head.modes, mode.size()));
    let larger = |mode: &Mode| size(mode).area() > size(&now.0).area();
    let better = better(down, larger, now).into_iter().filter_map(|(mode, format)| {
        let modifiers = modifiers(head, &kms.renderer, format);
        (!modifiers.is_empty()).then_some((mode, format, modifiers))
    });
    let better: Vec<_> = better.collect();
    if better.is_empty() {
        return Step::Done;
    }
    let output = head.output.name();
    let mut refused = Step::Waits;
    for (index, (mode, format, modifiers)) in better.into_iter().enumerate() {
        let memory = head.screen.reserve(size(&mode), format, &modifiers).map_err(|error| error.to_string());
        let changed = match memory {
            Ok(()) => light::change_to(head, mode, Some((format, modifiers))),
            Err(error) => {
                debug!(output, size = ?mode.size(), %format, error, "no memory yet");
                continue;
            }
        };
        match changed {
            Ok(()) => {
                info!(output, %format, "there is memory again: more pixels or colours");
                state.arrange(&before);
                return if index == 0 { Step::Done } else { Step::Waits };
            }
            Err(why) => {
                debug!(output, size = ?mode.size(), %format, why, "more pixels or colours are refused");
                refused = Step::Refused;
            }
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_before_colours_and_nothing_gets_worse() {
        let [full, alpha, half] = FORMATS;
        let better = |now| better([3, 2, 1], |mode| *mode > now, (now, half));
        let of = |mode| FORMATS.map(|format| (mode, format));
        assert_eq!(better(1), [&of(3)[..], &of(2), &[(1, full), (1, alpha)]].concat());
        assert_eq!(better(3), [(3, full), (3, alpha)]);
        assert_eq!(super::better([3], |mode| *mode > 3, (3, full)), []);
    }
}
