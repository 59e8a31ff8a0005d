//! An output of which no frame reaches the screen: tried again ever more seldom, and said once.

use std::time::Duration;

/// From the first failure to the next try.
const FIRST: Duration = Duration::from_millis(50);
/// The longest time between two tries: what a user waits for a picture to come back.
const LAST: Duration = Duration::from_secs(1);
/// Frames that fail in a row before it is said: one or two are the kernel's way to say "not now".
const PATIENCE: u32 = 3;

/// Frames that failed one after another. Pure: who draws does what the answers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Setback {
    failed: u32,
    /// The reason that was said.
    said: Option<Reason>,
}

/// What stands in the way.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no memory to draw in.
    Memory,
    /// The frame was not taken.
    Refused,
}

impl Setback {
    /// Another frame failed. How long to wait before the next, and whether it is to be said.
    pub(super) fn again(&mut self, reason: Reason) -> (Duration, bool) {
        let wait = FIRST.saturating_mul(1 << self.failed.min(16)).min(LAST);
        self.failed = self.failed.saturating_add(1);
        let say = self.failed >= PATIENCE && self.said != Some(reason);
        if say {
            self.said = Some(reason);
        }
        (wait, say)
    }

    /// A frame was taken. Whether that is news, as the contrary was said.
    pub(super) fn over(&mut self) -> bool {
        std::mem::take(self).said.is_some()
    }

    /// Whether it was said that frames fail.
    pub(super) fn is_known(&self) -> bool {
        self.said.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_second_and_the_same_is_said_once() {
        let mut setback = Setback::default();
        let tries: Vec<_> = (0..8).map(|_| setback.again(Reason::Memory)).collect();
        let waits: Vec<_> = tries.iter().map(|(wait, _)| wait.as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        let said: Vec<_> = tries.iter().map(|(_, say)| *say).collect();
        assert_eq!(said, [false, false, true, false, false, false, false, false]);
        assert!(setback.again(Reason::Refused).1, "another reason is news");
        assert!(setback.is_known() && setback.over() && !setback.is_known());
        assert!(!setback.over(), "and its end is said once");
    }

    #[test]
    fn a_frame_that_fails_now_and_then_is_not_worth_a_word() {
        let mut setback = Setback::default();
        for _ in 0..10 {
            assert_eq!(setback.again(Reason::Refused), (FIRST, false));
            assert!(!setback.over());
        }
    }
}
