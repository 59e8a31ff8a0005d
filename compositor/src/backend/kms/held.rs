//! What must not be given back yet: what is on the screen, and what is on its way there.

/// Things by their names: of one frame on the screen, and of the next.
#[derive(Debug)]
pub(super) struct Held<N, T> {
    shown: Vec<(N, T)>,
    next: Option<Vec<(N, T)>>,
}

impl<N, T> Default for Held<N, T> {
    fn default() -> Self {
        Held { shown: Vec::new(), next: None }
    }
}

impl<N: PartialEq + Clone, T: Clone> Held<N, T> {
    /// A frame of these is on its way.
    pub(super) fn queued(&mut self, next: Vec<(N, T)>) {
        self.next = Some(next);
    }

    /// A frame is on its way that differs from the one on the screen only in these, each in the place of the named one.
    pub(super) fn replaced(&mut self, news: Vec<(N, (N, T))>) {
        let mut next = self.shown.clone();
        for (before, new) in news {
            // One for each: a thing may be shown twice.
            match next.iter_mut().find(|(name, _)| *name == before) {
                Some(old) => *old = new,
                None => next.push(new),
            }
        }
        self.queued(next);
    }

    /// The frame that was on its way is on the screen.
    pub(super) fn shown(&mut self) {
        if let Some(next) = self.next.take() {
            self.shown = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_buffer_is_let_go_when_the_frame_after_it_is_on_the_screen() {
        let buffers: Vec<_> = (0..4).map(Rc::new).collect();
        let held = |at: usize| Rc::strong_count(&buffers[at]) > 1;
        let named = |at: usize| (at, Rc::clone(&buffers[at]));
        let mut frames = Held::default();
        frames.queued(vec![named(0), named(1)]);
        assert!(held(0) && held(1), "on their way");
        frames.shown();
        frames.replaced(vec![(1, named(2))]);
        assert!(held(0) && held(1) && held(2), "the old one is still read");
        frames.shown();
        assert_eq!([held(0), held(1), held(2)], [true, false, true]);
        frames.replaced(vec![(2, named(2))]);
        frames.shown();
        assert!(held(0) && held(2), "drawn into anew and shown again");
        frames.replaced(vec![(0, named(2))]);
        frames.shown();
        frames.replaced(vec![(2, named(3))]);
        frames.shown();
        assert!(held(2) && held(3), "it was shown twice, and is still shown once");
        frames.queued(vec![named(3)]);
        frames.shown();
        frames.shown();
        assert_eq!([held(0), held(1), held(2), held(3)], [false, false, false, true]);
    }
}
