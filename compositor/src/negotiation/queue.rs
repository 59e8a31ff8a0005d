//! Which question is next, and what becomes of the answer.

use heapwright_alloc::buffers::Want;
use heapwright_protocols::allocation::server::{
    zhw_allocation_v1::{Change, Outcome, ZhwAllocationV1},
    zhw_allocator_v1::ZhwAllocatorV1,
};
use smithay::reexports::{
    calloop::{
        LoopHandle,
        ping::{Ping, make_ping},
        timer::TimeoutAction,
    },
    wayland_server::{DisplayHandle, Resource as _, backend::ClientId, protocol::wl_surface::WlSurface},
};
use tracing::{debug, error, info, warn};

use super::{
    AllocationData, Question, Told,
    answer::Had,
    question::DISPLAY,
    turns::Turns,
    worker::{Done, Job, Worker},
};
use crate::{
    client::ClientState,
    memory::Memory,
    state::{Heapwright, StartError},
};

/// How often idle memory and dry pools are looked after, while there are any.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// What clients asked of the allocator.
#[derive(Debug)]
pub struct Negotiations {
    /// All that live, to be told of changes.
    live: Vec<ZhwAllocationV1>,
    /// Those with a question, once for each.
    waiting: Turns<ClientId, ZhwAllocationV1>,
    worker: Worker,
    /// A question is being answered, or was in this round of the event loop.
    busy: bool,
    turn: Ping,
    ticking: bool,
}

impl Negotiations {
    /// Offers the allocator to clients, and answers them in turn.
    ///
    /// # Errors
    /// [`StartError`] when the event loop refuses.
    pub fn new(
        memory: &Memory,
        display: &DisplayHandle,
        events: &LoopHandle<'static, Heapwright>,
    ) -> Result<Self, StartError> {
        display.create_global::<Heapwright, ZhwAllocatorV1, ()>(1, ());
        let worker = Worker::start(memory.clone(), events, Heapwright::worker_done)?;
        let (turn, source) = make_ping().map_err(StartError::Ping)?;
        events.insert_source(source, |(), (), state: &mut Heapwright| state.next_turn())?;
        let (live, waiting) = (Vec::new(), Turns::default());
        Ok(Negotiations { live, waiting, worker, busy: false, turn, ticking: false })
    }

    /// One has gone, with its questions.
    pub(super) fn end(&mut self, client: &ClientId, allocation: &ZhwAllocationV1) {
        self.live.retain(|known| known != allocation);
        self.waiting.remove(client, allocation);
    }
}

impl Heapwright {
    /// A new one, with its first question.
    pub(super) fn negotiate(&mut self, client: ClientId, allocation: ZhwAllocationV1) {
        self.negotiations.live.push(allocation.clone());
        self.ask(client, allocation);
    }

    /// One more question.
    pub(super) fn ask(&mut self, client: ClientId, allocation: ZhwAllocationV1) {
        self.negotiations.waiting.push(client, allocation);
        self.begin_next();
    }

    /// Has the next question answered, unless one is. After each, the rest of the event loop has its turn.
    fn begin_next(&mut self) {
        if self.negotiations.busy {
            return;
        }
        let Some(allocation) = self.negotiations.waiting.pop() else { return };
        self.negotiations.busy = true;
        match self.job(allocation).map(|job| self.negotiations.worker.begin(job, &self.memory)) {
            Some(Ok(None)) => return,
            Some(Ok(Some(done))) => self.tell(done),
            Some(Err(error)) => error!(%error, "nobody gets much memory any more"),
            None => {}
        }
        self.negotiations.turn.ping();
    }

    /// The oldest question of an allocation, joined with what our side needs now.
    fn job(&self, allocation: ZhwAllocationV1) -> Option<Job> {
        let data = allocation.data::<AllocationData>()?;
        let question = data.next_question()?;
        let owner = allocation.client()?.get_data::<ClientState>()?.account.owner()?;
        let want = self.want(&question, data)?;
        Some(Job { allocation, question, want, owner })
    }

    /// A question joined with what our side needs now.
    fn want(&self, question: &Question, data: &AllocationData) -> Option<Want<'static>> {
        let source = self.backend.feedback_source()?;
        Some(question.want(&source.formats, self.display_of(data.surface().as_ref())))
    }

    /// The worker has done its job.
    fn worker_done(&mut self, done: Done) {
        self.tell(done);
        self.next_turn();
    }

    fn next_turn(&mut self) {
        self.negotiations.busy = false;
        self.begin_next();
    }

    /// Sends an answer.
    fn tell(&mut self, done: Done) {
        let Done { job: Job { allocation, question, want, owner }, result } = done;
        if let Err(error) = &result {
            debug!(%error, "nothing for a client");
        }
        let had = result.as_ref().ok().map(|allocated| Had::of(&allocated.resolution));
        let missed = match &result {
            Ok(allocated) => allocated.degraded.as_ref().map(|degraded| degraded.dropped.clone()),
            Err(_) => Some(Vec::new()),
        };
        if let Some(data) = allocation.data::<AllocationData>().filter(|_| allocation.is_alive()) {
            Told::of(result).send(&allocation);
            let now = self.want(&question, data);
            data.answered(question, display_in(&want), had, missed.as_deref());
            if now.is_some_and(|now| now.participants != want.participants) {
                // Our side has changed while the question was answered.
                self.reconsider_one(&allocation, data);
            }
        } else {
            drop(result);
            if allocation.client().is_none() {
                // It left while its question was answered.
                self.memory.forget(owner);
            }
        }
        self.keep_time();
    }

    /// The plane that would show a surface.
    fn display_of(
        &self,
        surface: Option<&WlSurface>,
    ) -> Option<heapwright_alloc::solver::problem::Participant> {
        self.memory.plane(self.aim_of(surface?)?, DISPLAY)
    }

    /// Whether a surface's buffers are not what its display reads only because there was no memory for such.
    pub(crate) fn is_without_display(&self, surface: &WlSurface) -> bool {
        let mut live = self.negotiations.live.iter().filter_map(|it| it.data::<AllocationData>());
        live.any(|data| data.is_without_display() && data.surface().as_ref() == Some(surface))
    }

    /// Something changed for a surface: tells its negotiations to ask again, if the answer would be another.
    pub fn reconsider(&self, surface: &WlSurface) {
        for allocation in &self.negotiations.live {
            let Some(data) = allocation.data::<AllocationData>() else { continue };
            if data.surface().as_ref() == Some(surface) {
                self.reconsider_one(allocation, data);
            }
        }
    }

    /// Whether it was told.
    fn reconsider_one(&self, allocation: &ZhwAllocationV1, data: &AllocationData) -> bool {
        let Some((question, before)) = data.settled() else { return false };
        let Some(want) = self.want(&question, data).filter(|want| !self.memory.is_crowded(want.most()))
        else {
            return false;
        };
        let now = match self.memory.foresee(&want) {
            heapwright_alloc::solver::Answer::Solved(resolution) => Had::of(&resolution),
            _ => Had::default(),
        };
        let moved = data.display() != display_in(&want);
        let Some(change) = change(before.as_ref(), &now, moved) else { return false };
        if data.is_degraded() {
            info!(?change, size = %want.size, "there is memory again for what a client went without: it is told");
        }
        data.told_of_change();
        allocation.changed(change);
        true
    }

    /// While memory lies idle or a pool is dry, looks after both every second.
    fn keep_time(&mut self) {
        if self.negotiations.ticking {
            return;
        }
        let timer = self.events.insert_timer(TICK, |state| {
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
        let (mut any, mut told) = (false, false);
        for allocation in &self.negotiations.live {
            let Some(data) = allocation.data::<AllocationData>().filter(|data| data.is_degraded()) else {
                continue;
            };
            any = true;
            // What one is told of is not there for the next.
            if data.waits_for_spare() || (told && data.lacks_only_spare()) {
                continue;
            }
            told |= self.reconsider_one(allocation, data);
        }
        any
    }
}

/// The device of the display that a question has in mind.
fn display_in(want: &Want<'_>) -> Option<String> {
    want.participants.iter().find(|it| it.name == DISPLAY)?.device.clone()
}

/// What an answer that would be good for `now` means to one who was told `before`, of another display if it has `moved`.
fn change(before: Option<&Had>, now: &Had, moved: bool) -> Option<Change> {
    let satisfied = |had: &Had| -> Vec<String> {
        let satisfied = had.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Satisfied);
        satisfied.map(|(name, _)| name.clone()).collect()
    };
    let (buffers, had) = (now.buffers, before);
    let now = satisfied(now);
    let Some(had) = had else { return (!now.is_empty()).then_some(Change::Memory) };
    let mut before = satisfied(had);
    if moved {
        // That one display could use the buffers says nothing of another.
        before.retain(|name| name != DISPLAY);
    }
    if before.iter().any(|name| !now.contains(name)) {
        // The display that does not show the surface any more wants nothing of it: nothing ceased to hold.
        let lost = before.iter().filter(|name| !now.contains(name) && *name != DISPLAY).count();
        return (lost > 0).then_some(Change::Stale);
    }
    let gained = now.iter().any(|name| !before.contains(name));
    (gained || buffers > had.buffers).then_some(Change::Better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(satisfied: &[&str], dropped: &[&str]) -> Had {
        let of = |names: &[&str], outcome| {
            names.iter().map(|name| ((*name).to_owned(), outcome)).collect::<Vec<_>>()
        };
        Had {
            outcomes: [of(satisfied, Outcome::Satisfied), of(dropped, Outcome::Dropped)].concat(),
            buffers: 3,
        }
    }

    #[test]
    fn a_change_is_what_somebody_gains_or_loses() {
        let renderer = told(&["cpu", "(renderer)"], &["(display)"]);
        let all = told(&["cpu", "(renderer)", "(display)"], &[]);
        let windowed = told(&["cpu", "(renderer)"], &[]);
        let lost = told(&["cpu"], &["(renderer)"]);
        let few = Had { buffers: 2, ..all.clone() };
        for (before, now, news) in [
            (Some(&renderer), &all, Some(Change::Better)),
            (Some(&renderer), &renderer, None),
            (Some(&all), &windowed, None),
            (Some(&windowed), &all, Some(Change::Better)),
            (Some(&all), &few, None),
            (Some(&few), &all, Some(Change::Better)),
            (Some(&renderer), &few, Some(Change::Better)),
            (Some(&all), &lost, Some(Change::Stale)),
            (None, &windowed, Some(Change::Memory)),
            (None, &Had::default(), None),
        ] {
            assert_eq!(change(before, now, false), news, "{before:?} {now:?}");
        }
        for (before, now, news) in [
            (&all, &all, Some(Change::Better)),
            (&all, &renderer, None),
            (&all, &windowed, None),
            (&all, &lost, Some(Change::Stale)),
        ] {
            assert_eq!(change(Some(before), now, true), news, "another display: {before:?} {now:?}");
        }
    }
}
