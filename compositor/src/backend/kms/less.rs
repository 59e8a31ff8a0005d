//! An output that was lit with fewer pixels or colours than it should have, for want of memory: it gets them when there is
//! some.

use std::{iter, time::Duration};

use smithay::{
    backend::{
        allocator::{Fourcc, Modifier, dmabuf::Dmabuf},
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

/// Asks from now on, for the output that was just lit on this CRTC, whether it can have `mode` or its colours.
pub(super) fn follow(state: &mut Heapwright, crtc: crtc::Handle, mode: Mode) {
    let Some(head) = state.backend.head(crtc) else { return };
    let serial = head.serial;
    head.wanted = Some(mode);
    let timer = state.events.insert_timer(EVERY, move |state| {
        let Backend::Kms(kms) = &mut state.backend else { return TimeoutAction::Drop };
        if !kms.is_active() {
            return TimeoutAction::ToDuration(EVERY);
        }
        // Another output by now, or it was given another mode by somebody.
        let head = kms.heads.get(&crtc).filter(|head| head.serial == serial);
        let Some(wanted) = head.and_then(|head| head.wanted) else { return TimeoutAction::Drop };
        if improve(state, crtc, wanted) { TimeoutAction::Drop } else { TimeoutAction::ToDuration(EVERY) }
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

/// The modifiers of frames of this format, as Smithay chooses them.
fn modifiers(head: &Head, renderer: &PixmanRenderer, format: Fourcc) -> Vec<Modifier> {
    let drawn = Bind::<Dmabuf>::supported_formats(renderer).unwrap_or_default();
    let shown = head.compositor.surface().plane_info().formats.iter();
    let both = shown.filter(|pair| pair.code == format && drawn.contains(pair));
    both.map(|pair| pair.modifier).collect()
}

/// Gives an output the best that there is memory for. Whether that is all that it should have.
fn improve(state: &mut Heapwright, crtc: crtc::Handle, wanted: Mode) -> bool {
    let before = state.places();
    let Backend::Kms(kms) = &mut state.backend else { return true };
    let Some(head) = kms.heads.get_mut(&crtc) else { return true };
    let now = (head.compositor.pending_mode(), head.compositor.format());
    let down = iter::successors(Some(wanted), |mode| smaller(&head.modes, mode.size()));
    let larger = |mode: &Mode| size(mode).area() > size(&now.0).area();
    for (mode, format) in better(down, larger, now) {
        let output = head.output.name();
        let modifiers = modifiers(head, &kms.renderer, format);
        if modifiers.is_empty() {
            continue;
        }
        if let Err(error) = head.screen.reserve(size(&mode), format, &modifiers) {
            debug!(output, size = ?mode.size(), %format, %error, "no memory yet");
            continue;
        }
        match light::change_to(head, mode, Some((format, modifiers))) {
            Ok(()) => {
                info!(output, %format, "there is memory again: more pixels or colours");
                let done = (mode, format) == (wanted, FORMATS[0]);
                head.wanted = head.wanted.filter(|_| !done);
                state.arrange(&before);
                return done;
            }
            Err(why) => {
                warn!(output, %format, why, "an output keeps fewer pixels or colours");
                return true;
            }
        }
    }
    false
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
