//! When an output is drawn: once for any number of changes, and never while a frame is on its way to the screen.
//!
//! ```text
//!   Idle --change--> Queued --drawn--> Shown pending --vblank--> Idle
//!                                        | change
//!                                        v
//!                                   pending, dirty --vblank--> Queued
//! ```

/// State of one output's frame clock. Pure: the backend does what the answers say.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub enum Pace {
    /// Nothing to draw, nothing on its way.
    #[default]
    Idle,
    /// A draw is queued in the event loop.
    Queued,
    /// A frame is on its way to the screen.
    Pending {
        /// Something has changed since.
        dirty: bool,
    },
}

impl Pace {
    /// Something changed. Returns whether a draw must be queued now.
    #[must_use]
    pub fn changed(&mut self) -> bool {
        match self {
            Pace::Idle => {
                *self = Pace::Queued;
                true
            }
            Pace::Queued => false,
            Pace::Pending { dirty } => {
                *dirty = true;
                false
            }
        }
    }

    /// A frame was submitted (or a wait for the next refresh begun).
    pub fn submitted(&mut self) {
        *self = Pace::Pending { dirty: false };
    }

    /// Nothing was submitted and nothing will come.
    pub fn nothing(&mut self) {
        *self = Pace::Idle;
    }

    /// The frame reached the screen. Returns whether a draw must be queued now.
    #[must_use]
    pub fn shown(&mut self) -> bool {
        let dirty = *self == Pace::Pending { dirty: true };
        *self = if dirty { Pace::Queued } else { Pace::Idle };
        dirty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_make_one_draw() {
        let mut pace = Pace::default();
        assert!(pace.changed());
        assert!(!pace.changed());
        pace.submitted();
        assert!(!pace.changed(), "a frame is on its way");
        assert!(!pace.changed());
        assert!(pace.shown(), "the change is drawn after the frame was shown");
        pace.submitted();
        assert!(!pace.shown(), "nothing changed: nothing is drawn");
        assert_eq!(pace, Pace::Idle);
    }

    #[test]
    fn a_draw_that_changes_nothing_leaves_the_output_idle() {
        let mut pace = Pace::default();
        assert!(pace.changed());
        pace.nothing();
        assert!(pace.changed(), "the next change is drawn");
    }
}
