//! Whose turn it is.

use std::collections::VecDeque;

use heapwright_protocols::allocation::server::{
    zhw_allocation_v1::{Change, Outcome, ZhwAllocationV1},
    zhw_allocator_v1::ZhwAllocatorV1,
};
use smithay::{
    desktop::Window,
    reexports::{
        calloop::{
            LoopHandle,
            ping::{Ping, make_ping},
            timer::{TimeoutAction, Timer},
        },
        wayland_server::{DisplayHandle, Resource as _, protocol::wl_surface::WlSurface},
    },
};
use tracing::{debug, warn};

use super::{AllocationData, Told, answer::outcomes, question::DISPLAY};
use crate::{
    backend::Backend,
    client::ClientState,
    shell::window::{Mode, mode_of},
    state::{Heapwright, StartError},
};

/// How often idle memory and dry pools are looked after, while there are any.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// What clients asked of the allocator.
#[derive(Debug)]
pub struct Negotiations {
    /// All that live, to be told of changes.
    live: Vec<ZhwAllocationV1>,
    /// Unanswered questions, the oldest first.
    waiting: VecDeque<ZhwAllocationV1>,
    turn: Ping,
    ticking: bool,
}

impl Negotiations {
    /// Offers the allocator to clients, and answers them in turn.
    ///
    /// # Errors
    /// [`StartError`] when the event loop refuses.
    pub fn new(
        display: &DisplayHandle,
        events: &LoopHandle<'static, Heapwright>,
    ) -> Result<Self, StartError> {
        display.create_global::<Heapwright, ZhwAllocatorV1, ()>(1, ());
        let (turn, source) = make_ping().map_err(StartError::Ping)?;
        events.insert_source(source, |(), (), state: &mut Heapwright| state.answer_next())?;
        Ok(Negotiations { live: Vec::new(), waiting: VecDeque::new(), turn, ticking: false })
    }

    /// A new one, with its first question.
    pub(super) fn begin(&mut self, allocation: ZhwAllocationV1) {
        self.live.push(allocation.clone());
        self.ask(allocation);
    }

    /// One more question.
    pub(super) fn ask(&mut self, allocation: ZhwAllocationV1) {
        self.waiting.push_back(allocation);
        self.turn.ping();
    }

    /// One has gone, with its questions.
    pub(super) fn end(&mut self, allocation: &ZhwAllocationV1) {
        self.live.retain(|known| known != allocation);
        self.waiting.retain(|known| known != allocation);
    }
}

impl Heapwright {
    /// Answers the oldest question, and lets the rest of the event loop have its turn before the next.
    fn answer_next(&mut self) {
        let Some(allocation) = self.negotiations.waiting.pop_front() else { return };
        if !self.negotiations.waiting.is_empty() {
            self.negotiations.turn.ping();
        }
        let Some(data) = allocation.data::<AllocationData>() else { return };
        let Some(question) = data.next_question() else { return };
        let client = allocation.client();
        let owner = client.as_ref().and_then(|client| client.get_data::<ClientState>()?.account.owner());
        let (Some(owner), Some(source)) = (owner, self.backend.feedback_source()) else { return };
        let surface = data.surface();
        let want = question.want(&source.formats, self.display_of(surface.as_ref()));
        let result = self.memory.allocate_for(&want, owner);
        if let Err(error) = &result {
            debug!(%error, "nothing for a client");
        }
        let resolution = result.as_ref().ok().map(|allocated| outcomes(&allocated.resolution));
        let degraded = result.as_ref().map_or(true, |allocated| allocated.degraded.is_some());
        Told::of(result).send(&allocation);
        data.answered(question, resolution, degraded);
        self.keep_time();
    }

    /// The plane that would show a surface: that of the output which a fullscreen window covers.
    fn display_of(
        &self,
        surface: Option<&WlSurface>,
    ) -> Option<heapwright_alloc::solver::problem::Participant> {
        let window = self.window_of(surface?)?;
        if mode_of(&window) != Mode::Fullscreen {
            return None;
        }
        let output = self.output_of(&window)?;
        let Backend::Kms(kms) = &self.backend else { return None };
        self.memory.plane(kms.primary_plane(&output)?, DISPLAY)
    }

    /// Something changed for a window: tells its negotiations to ask again, if the answer would be another.
    pub fn reconsider(&self, window: &Window) {
        let Some(toplevel) = window.toplevel() else { return };
        for allocation in &self.negotiations.live {
            let Some(data) = allocation.data::<AllocationData>() else { continue };
            if data.surface().as_ref() == Some(toplevel.wl_surface()) {
                self.reconsider_one(allocation, data);
            }
        }
    }

    fn reconsider_one(&self, allocation: &ZhwAllocationV1, data: &AllocationData) {
        let Some((question, before)) = data.settled() else { return };
        let Some(source) = self.backend.feedback_source() else { return };
        let want = question.want(&source.formats, self.display_of(data.surface().as_ref()));
        let now = match self.memory.foresee(&want) {
            heapwright_alloc::solver::Answer::Solved(resolution) => outcomes(&resolution),
            _ => Vec::new(),
        };
        if let Some(change) = change(before.as_deref(), &now) {
            data.told_of_change();
            allocation.changed(change);
        }
    }

    /// While memory lies idle or a pool is dry, looks after both every second.
    fn keep_time(&mut self) {
        if self.negotiations.ticking {
            return;
        }
        let timer = self.events.insert_source(Timer::from_duration(TICK), |_, (), state| {
            let now = state.clock.now().into();
            let again = state.memory.tick(now);
            let wanting = state.look_after_the_degraded();
            if again || wanting {
                return TimeoutAction::ToDuration(TICK);
            }
            state.negotiations.ticking = false;
            TimeoutAction::Drop
        });
        match timer {
            Ok(_) => self.negotiations.ticking = true,
            Err(error) => warn!(%error, "idle buffers are not looked after"),
        }
    }

    /// Those that got less than they could have, or nothing, for want of memory. Whether there are any.
    fn look_after_the_degraded(&self) -> bool {
        let mut any = false;
        for allocation in &self.negotiations.live {
            let Some(data) = allocation.data::<AllocationData>().filter(|data| data.is_degraded()) else {
                continue;
            };
            any = true;
            self.reconsider_one(allocation, data);
        }
        any
    }
}

/// What an answer that would satisfy `now` means to one who was told `before`.
fn change(before: Option<&[(String, Outcome)]>, now: &[(String, Outcome)]) -> Option<Change> {
    let satisfied = |all: &[(String, Outcome)]| -> Vec<String> {
        all.iter()
            .filter(|(_, outcome)| *outcome == Outcome::Satisfied)
            .map(|(name, _)| name.clone())
            .collect()
    };
    let now = satisfied(now);
    let Some(before) = before else { return (!now.is_empty()).then_some(Change::Memory) };
    let before = satisfied(before);
    if before.iter().any(|name| !now.contains(name)) {
        // The display that does not show the surface any more wants nothing of it: nothing ceased to hold.
        let lost = before.iter().filter(|name| !now.contains(name) && *name != DISPLAY).count();
        return (lost > 0).then_some(Change::Stale);
    }
    now.iter().any(|name| !before.contains(name)).then_some(Change::Better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(satisfied: &[&str], dropped: &[&str]) -> Vec<(String, Outcome)> {
        let of = |names: &[&str], outcome| {
            names.iter().map(|name| ((*name).to_owned(), outcome)).collect::<Vec<_>>()
        };
        [of(satisfied, Outcome::Satisfied), of(dropped, Outcome::Dropped)].concat()
    }

    #[test]
    fn a_change_is_what_somebody_gains_or_loses() {
        let renderer = told(&["cpu", "(renderer)"], &["(display)"]);
        let all = told(&["cpu", "(renderer)", "(display)"], &[]);
        let windowed = told(&["cpu", "(renderer)"], &[]);
        let lost = told(&["cpu"], &["(renderer)"]);
        for (before, now, news) in [
            (Some(&renderer), &all, Some(Change::Better)),
            (Some(&renderer), &renderer, None),
            (Some(&all), &windowed, None),
            (Some(&windowed), &all, Some(Change::Better)),
            (Some(&all), &lost, Some(Change::Stale)),
            (None, &windowed, Some(Change::Memory)),
            (None, &Vec::new(), None),
        ] {
            assert_eq!(change(before.map(Vec::as_slice), now), news, "{before:?} {now:?}");
        }
    }
}
