//! For which plane a surface's client is told to make its buffers, frame by frame. Pure.
//!
//! A client that is told of a plane may allocate everything anew, and so may one to whom that is taken back. So the word
//! follows the planes late: a surface that goes on and off a plane is told nothing, and to one that does so at a pace that
//! is just slow enough, each taking back comes later than the one before.

/// Frames on a plane, or fit for it but for their buffers, before the client is told of it: half a second at 60 Hz.
pub const JOIN: u32 = 30;
/// Frames off every plane before what the client was told is taken back the first time.
pub const LEAVE: u32 = 120;
/// How long that can grow: half a minute at 60 Hz.
pub const LEAVE_MOST: u32 = 16 * LEAVE;

/// What one frame says of a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<P> {
    /// A plane reads its buffer.
    On(P),
    /// It is composed, and all that keeps it from this plane is its buffer.
    Wants(P),
    /// It is composed for reasons that no other buffer would change.
    Composed,
    /// Nothing: it is hidden, or not known.
    Unknown,
}

/// A surface's plane as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim<P> {
    told: Option<P>,
    /// What the last frames want instead, and how many.
    next: Option<P>,
    streak: u32,
    leave: u32,
}

impl<P> Default for Aim<P> {
    fn default() -> Self {
        Aim { told: None, next: None, streak: 0, leave: LEAVE }
    }
}

impl<P: Clone + PartialEq> Aim<P> {
    /// The plane that the client knows of.
    pub fn told(&self) -> Option<&P> {
        self.told.as_ref()
    }

    /// Whether the client knows of no plane, and nothing says that it should: a surface that is composed changes nothing.
    pub fn is_at_rest(&self) -> bool {
        self.told.is_none() && self.streak == 0
    }

    /// Whether more frames like the last would change nothing.
    pub fn is_settled(&self) -> bool {
        self.streak == 0
    }

    /// The user or the client has changed what the surface is: the word changes with it at once. Whether it does.
    pub fn set(&mut self, plane: Option<P>) -> bool {
        let changes = self.told != plane;
        *self = Aim { told: plane, ..Aim::default() };
        changes
    }

    /// One frame has shown it so. Whether the client is to be told something else now.
    pub fn frame(&mut self, sight: Sight<P>) -> bool {
        let next = match sight {
            Sight::On(plane) | Sight::Wants(plane) => Some(plane),
            Sight::Composed => None,
            Sight::Unknown => return false,
        };
        if next == self.told {
            self.streak = 0;
            return false;
        }
        if self.streak == 0 || next != self.next {
            (self.next, self.streak) = (next, 0);
        }
        self.streak = self.streak.saturating_add(1);
        let enough = if self.next.is_some() { JOIN } else { self.leave };
        if self.streak < enough {
            return false;
        }
        if self.next.is_none() {
            self.leave = self.leave.saturating_mul(2).min(LEAVE_MOST);
        }
        self.told = self.next.take();
        self.streak = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEVER: [u32; 0] = [];

    fn frames(aim: &mut Aim<u8>, count: u32, sight: Sight<u8>) -> Vec<u32> {
        (1..=count).filter(|_| aim.frame(sight)).collect()
    }

    #[test]
    fn a_plane_is_told_when_it_lasts_and_taken_back_later_each_time() {
        let mut aim = Aim::default();
        assert_eq!(frames(&mut aim, 200, Sight::On(1)), [JOIN]);
        assert_eq!(frames(&mut aim, 200, Sight::Composed), [LEAVE]);
        assert_eq!(frames(&mut aim, 200, Sight::Wants(1)), [JOIN]);
        assert_eq!(frames(&mut aim, 400, Sight::Composed), [2 * LEAVE]);
        assert_eq!(frames(&mut aim, 40, Sight::On(2)), [JOIN]);
        assert_eq!(frames(&mut aim, 40, Sight::On(1)), [JOIN], "from plane to plane");
        assert!(aim.set(None), "at once");
        assert!(aim.set(Some(1)));
        assert_eq!(frames(&mut aim, 200, Sight::Composed), [LEAVE], "and as if it were new");
    }

    #[test]
    fn one_that_flaps_is_told_nothing() {
        let mut aim = Aim::default();
        assert!(aim.set(Some(1)));
        for _ in 0..1000 {
            assert_eq!(frames(&mut aim, LEAVE - 1, Sight::Composed), NEVER);
            assert_eq!(frames(&mut aim, 1, Sight::On(1)), NEVER);
        }
        assert!(aim.set(None));
        for _ in 0..1000 {
            assert_eq!(frames(&mut aim, JOIN - 1, Sight::On(1)), NEVER);
            assert_eq!(frames(&mut aim, 1, Sight::Composed), NEVER);
            assert_eq!(frames(&mut aim, JOIN - 1, Sight::On(2)), NEVER);
        }
        assert_eq!(frames(&mut aim, LEAVE, Sight::Unknown), NEVER, "nothing seen, nothing counted");
    }

    fn sight() -> impl Strategy<Value = Sight<u8>> {
        prop_oneof![
            (0..3u8).prop_map(Sight::On),
            (0..3u8).prop_map(Sight::Wants),
            Just(Sight::Composed),
            Just(Sight::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn a_client_is_told_no_oftener_than_every_so_many_frames(
            spans in prop::collection::vec((sight(), 1..300u32), 1..60),
        ) {
            let mut aim = Aim::default();
            let (mut frame, mut last, mut withdrawn) = (0u32, 0u32, 0u32);
            for (sight, length) in &spans {
                for _ in 0..*length {
                    frame += 1;
                    if aim.frame(*sight) {
                        prop_assert!(frame - last >= JOIN);
                        if aim.told().is_none() {
                            prop_assert!(frame - last >= (LEAVE << withdrawn.min(4)));
                            withdrawn += 1;
                        }
                        last = frame;
                    }
                }
            }
            // Whatever came before, what lasts is told in the end.
            frames(&mut aim, LEAVE_MOST, Sight::Composed);
            prop_assert_eq!(aim.told(), None);
            frames(&mut aim, JOIN, Sight::Wants(2));
            prop_assert_eq!(aim.told(), Some(&2));
        }
    }
}
