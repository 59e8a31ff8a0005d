//! Whether buffers come back before the display has another to show.

use std::collections::HashSet;

/// Frames by their numbers, from 1.
#[derive(Debug, Default)]
pub struct GivenBack {
    newest_presented: u64,
    zero_copy: HashSet<u64>,
    /// Since the last look.
    released: Vec<u64>,
    early: Vec<u64>,
}

impl GivenBack {
    /// A frame is on the screen.
    pub fn presented(&mut self, frame: u64, zero_copy: bool) {
        self.newest_presented = self.newest_presented.max(frame);
        if zero_copy {
            self.zero_copy.insert(frame);
        }
    }

    /// The buffer of a frame came back.
    pub fn released(&mut self, frame: u64) {
        self.released.push(frame);
    }

    /// All that was sent together is read: the compositor may say in any order that a frame is shown and that its
    /// forerunner is not any more.
    pub fn settle(&mut self) {
        let newest = self.newest_presented;
        self.early.extend(self.released.drain(..).filter(|frame| newest <= *frame));
    }

    /// Frames that the display read from our memory, and whose memory came back before a later one was shown.
    pub fn early(&self) -> usize {
        self.early.iter().filter(|frame| self.zero_copy.contains(frame)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_display_may_still_read_is_early() {
        let mut back = GivenBack::default();
        back.presented(1, true);
        back.released(1);
        back.presented(2, true);
        back.settle();
        assert_eq!(back.early(), 0, "in one go with its successor");
        back.released(2);
        back.settle();
        assert_eq!(back.early(), 1);
        // A copy was made.
        back.presented(3, false);
        back.released(3);
        back.released(4);
        back.settle();
        assert_eq!(back.early(), 1);
        back.presented(4, true);
        assert_eq!(back.early(), 2, "even before it was shown at all");
    }
}
