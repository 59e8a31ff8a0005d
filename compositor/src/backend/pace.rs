//! When an output is drawn: once for any number of changes, never while a frame is on its way to the screen, and not before
//! those have answered who were told of the last frame, as long as there is time.
//!
//! ```text
//!            change                drawn                    vblank
//!   Idle ------------> Queued ----------------> Pending --------------> Idle
//!                       |  ^                       | change
//!          others are   |  | they have answered,   v
//!            awaited    v  | or it is time      Pending, dirty --vblank--> Queued
//!                     Awaiting
//! ```
//!
//! Who draws when told (most clients that move do) would else be one refresh late for good as soon as there are two of them: the
//! first to answer takes the next refresh, and what the second drew waits for the one after it.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

/// A frame is given this much before the refresh that is to show it, beside the time that drawing takes: for waking up, for the
/// kernel, and for the blanking, at the end of which a refresh is told but at whose start the display takes the frame (1.7 ms of
/// 1080p at 24 Hz).
const MARGIN: Duration = Duration::from_millis(4);

/// Who has not answered after so many refreshes is awaited no more; at 60 Hz, clients at 15 Hz still are.
const ROUNDS: u8 = 4;

/// The frame clock of one output, for which clients' surfaces are known as `K`. Pure: the backend does what the answers say.
/// All times are of one clock.
#[derive(Debug)]
pub struct Pace<K> {
    state: State,
    /// Who was told to draw and has not, and for how many refreshes they are still awaited.
    awaited: HashMap<K, u8>,
    /// Who has drawn for the next frame while this one is on its way.
    ahead: HashSet<K>,
    /// When the refresh comes for which is drawn now; long ago if the screen stands still.
    next: Duration,
    /// Until then there is time whatever drawing takes: to draw for each client alone takes longer.
    least: Duration,
    /// What drawing takes: the most of the last frames, older ones count less.
    effort: Duration,
}

#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum State {
    /// Nothing to draw, nothing on its way.
    Idle,
    /// A draw is queued in the event loop.
    Queued,
    /// Something is to be drawn, at this time if not before.
    Awaiting(Duration),
    /// A frame is on its way to the screen.
    Pending {
        /// Something has changed since.
        dirty: bool,
    },
}

impl<K> Default for Pace<K> {
    fn default() -> Self {
        Pace {
            state: State::Idle,
            awaited: HashMap::new(),
            ahead: HashSet::new(),
            next: Duration::ZERO,
            least: Duration::ZERO,
            effort: Duration::ZERO,
        }
    }
}

impl<K: Clone + Eq + Hash> Pace<K> {
    /// Something changed. Returns whether a draw must be queued now.
    #[must_use]
    pub fn changed(&mut self) -> bool {
        match &mut self.state {
            State::Idle => {
                self.state = State::Queued;
                true
            }
            State::Queued | State::Awaiting(_) => false,
            State::Pending { dirty } => {
                *dirty = true;
                false
            }
        }
    }

    /// A client has changed this. Returns whether a draw must be queued now.
    #[must_use]
    pub fn committed(&mut self, by: &K) -> bool {
        self.awaited.remove(by);
        if matches!(self.state, State::Pending { .. }) {
            self.ahead.insert(by.clone());
        }
        if self.awaited.is_empty() && matches!(self.state, State::Awaiting(_)) {
            self.state = State::Queued;
            return true;
        }
        self.changed()
    }

    /// Asked when the queued draw is to be made: whether it is to be made now. If not, it is to be queued again when
    /// [`committed`](Self::committed) or [`is_due`](Self::is_due) say so.
    #[must_use]
    pub fn draws_now(&mut self, now: impl FnOnce() -> Duration) -> bool {
        if self.state != State::Queued {
            // An older draw has done it.
            return false;
        }
        if self.awaited.is_empty() {
            return true;
        }
        let latest = self.next.saturating_sub(self.effort + MARGIN).max(self.least);
        if now() >= latest {
            return true;
        }
        self.state = State::Awaiting(latest);
        false
    }

    /// When a draw that waits for others has waited long enough.
    #[must_use]
    pub fn waits_until(&self) -> Option<Duration> {
        match self.state {
            State::Awaiting(latest) => Some(latest),
            State::Idle | State::Queued | State::Pending { .. } => None,
        }
    }

    /// Whether a draw that has waited for others must be queued now.
    #[must_use]
    pub fn is_due(&mut self, now: Duration) -> bool {
        let due = self.waits_until().is_some_and(|latest| now >= latest);
        if due {
            self.state = State::Queued;
        }
        due
    }

    /// A frame was drawn, and that took so long.
    pub fn drawn(&mut self, took: Duration) {
        self.effort = took.max(self.effort - self.effort / 8);
    }

    /// A frame was submitted (or a wait for the next refresh begun).
    pub fn submitted(&mut self) {
        self.ahead.clear();
        self.state = State::Pending { dirty: false };
    }

    /// Nothing was submitted and nothing will come.
    pub fn nothing(&mut self) {
        self.ahead.clear();
        self.state = State::Idle;
    }

    /// When the next refresh comes, where one comes every `period`.
    #[must_use]
    pub fn next_refresh(&self, now: Duration, period: Duration) -> Duration {
        if self.next > now { self.next } else { now + period }
    }

    /// These were told at a refresh that they may draw; the next comes a `period` later.
    pub fn told(&mut self, at: Duration, period: Duration, whom: impl IntoIterator<Item = K>) {
        (self.next, self.least) = (at + period, at + period / 4);
        self.awaited.retain(|_, rounds| {
            *rounds -= 1;
            *rounds > 0
        });
        let ahead = std::mem::take(&mut self.ahead);
        for one in whom.into_iter().filter(|one| !ahead.contains(one)) {
            self.awaited.insert(one, ROUNDS);
        }
    }

    /// The frame reached the screen. Returns whether a draw must be queued now.
    #[must_use]
    pub fn shown(&mut self) -> bool {
        let State::Pending { dirty } = self.state else { return false };
        self.state = if dirty { State::Queued } else { State::Idle };
        dirty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(16);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A pace at whose refresh, at 100 ms, these were told.
    fn told(whom: &[u32]) -> Pace<u32> {
        let mut pace = Pace::default();
        assert!(pace.changed());
        pace.submitted();
        pace.told(ms(100), PERIOD, whom.iter().copied());
        assert!(!pace.shown());
        pace
    }

    #[test]
    fn many_changes_make_one_draw() {
        let mut pace = Pace::<u32>::default();
        assert!(pace.changed());
        assert!(!pace.changed());
        pace.submitted();
        assert!(!pace.changed(), "a frame is on its way");
        assert!(!pace.changed());
        assert!(pace.shown(), "the change is drawn after the frame was shown");
        pace.submitted();
        assert!(!pace.shown(), "nothing changed: nothing is drawn");
        assert!(pace.changed(), "and the next change is");
    }

    #[test]
    fn a_draw_that_changes_nothing_leaves_the_output_idle() {
        let mut pace = Pace::<u32>::default();
        assert!(pace.changed());
        pace.nothing();
        assert!(pace.changed(), "the next change is drawn");
    }

    #[test]
    fn a_single_client_is_drawn_when_it_commits_and_no_clock_is_read() {
        let mut pace = told(&[1]);
        assert!(pace.committed(&1));
        assert!(pace.draws_now(|| panic!("the clock is not free")));
    }

    #[test]
    fn the_first_to_commit_waits_for_the_others_and_the_last_has_them_drawn() {
        let mut pace = told(&[1, 2, 3]);
        assert!(pace.committed(&1));
        assert!(!pace.draws_now(|| ms(101)));
        assert_eq!(pace.waits_until(), Some(ms(116) - MARGIN));
        assert!(!pace.committed(&3));
        assert!(!pace.changed(), "what else changes waits as well");
        assert!(!pace.is_due(ms(111)));
        assert!(pace.committed(&2));
        assert_eq!(pace.waits_until(), None);
        assert!(pace.draws_now(|| panic!("all are there")));
    }

    #[test]
    fn who_does_not_answer_holds_nobody_up_longer_than_to_the_refresh() {
        let mut pace = told(&[1, 2]);
        assert!(pace.committed(&1));
        pace.drawn(ms(5));
        assert!(!pace.draws_now(|| ms(101)));
        let latest = ms(111) - MARGIN;
        assert_eq!(pace.waits_until(), Some(latest), "drawing takes time, too");
        assert!(!pace.is_due(latest - ms(1)));
        assert!(pace.is_due(latest));
        assert!(!pace.is_due(latest), "it is queued once");
        assert!(pace.draws_now(|| latest));
    }

    #[test]
    fn who_is_slow_is_awaited_for_some_refreshes_and_then_no_more() {
        let mut pace = told(&[1, 2]);
        let mut awaited = 0;
        for refresh in 1..9 {
            let now = ms(100 + 16 * (refresh - 1) + 1);
            assert!(pace.committed(&1));
            if !pace.draws_now(|| now) {
                awaited += 1;
                assert!(pace.is_due(now + PERIOD));
            }
            pace.submitted();
            pace.told(ms(100 + 16 * refresh), PERIOD, [1]);
            assert!(!pace.shown());
        }
        assert_eq!(awaited, ROUNDS);
    }

    #[test]
    fn who_has_drawn_already_is_not_awaited() {
        let mut pace = told(&[]);
        assert!(pace.committed(&1));
        assert!(pace.draws_now(|| ms(101)));
        pace.submitted();
        assert!(!pace.committed(&1), "a frame is on its way");
        pace.told(ms(116), PERIOD, [1]);
        assert!(pace.shown());
        assert!(pace.draws_now(|| panic!("what it drew last is there")));
        pace.submitted();
        pace.told(ms(132), PERIOD, [1, 2]);
        assert!(!pace.shown());
        assert!(pace.committed(&2));
        assert!(!pace.draws_now(|| ms(133)), "now it is");
    }

    #[test]
    fn a_draw_that_another_has_done_is_none_and_what_is_not_pending_is_not_shown() {
        let mut pace = Pace::<u32>::default();
        assert!(pace.changed());
        assert!(!pace.shown(), "of a frame from before, and the draw stays queued");
        assert!(pace.draws_now(|| ms(1)));
        pace.submitted();
        assert!(!pace.draws_now(|| ms(2)), "it is on its way");
        assert!(!pace.shown());
        assert!(!pace.draws_now(|| ms(2)), "there is nothing to draw");
    }

    #[test]
    fn a_wait_for_the_next_refresh_ends_with_it() {
        let pace = told(&[1]);
        assert_eq!(pace.next_refresh(ms(110), PERIOD), ms(116));
        assert_eq!(pace.next_refresh(ms(116), PERIOD), ms(132));
        assert_eq!(pace.next_refresh(ms(900), PERIOD), ms(916), "whenever that is, after a rest");
    }

    #[test]
    fn after_a_rest_what_changes_is_drawn_at_once() {
        let mut pace = told(&[1]);
        assert!(pace.changed(), "the pointer moves, say");
        assert!(pace.draws_now(|| ms(500)));
    }

    #[test]
    fn where_drawing_takes_all_of_a_refresh_others_have_a_part_of_it_all_the_same() {
        let mut pace = told(&[1, 2]);
        pace.drawn(ms(50));
        assert!(pace.committed(&1));
        assert!(!pace.draws_now(|| ms(101)));
        assert!(pace.is_due(ms(104)));
        for _ in 0..40 {
            pace.drawn(ms(1));
        }
        assert!(!pace.draws_now(|| ms(104)), "what was slow once is forgotten");
    }
}
