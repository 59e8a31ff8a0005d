//! Each surface's [`Aim`], and the word to its client when that changes: feedback of linux-dmabuf, and ours.

use std::cell::RefCell;

use heapwright_alloc::constraints::Size;
use smithay::{
    desktop::Window,
    output::Output,
    reexports::wayland_server::{Resource as _, protocol::wl_surface::WlSurface},
    wayland::compositor::{SurfaceData, with_states},
};
use tracing::debug;

use crate::{
    aim::{Aim, Sight},
    backend::Backend,
    feedback,
    frames::{Frame, Plane, Reason, Role, Seen, Verdict},
    memory::PlaneOf,
    shell::window::{Mode, mode_of},
    state::Heapwright,
};

/// A plane of an output, by the kernel's id.
type Target = (Output, u32);

fn with_aim<T>(surface: &WlSurface, f: impl FnOnce(&mut Aim<Target>) -> T) -> T {
    with_states(surface, |states| {
        let cell = states.data_map.get_or_insert(|| RefCell::new(Aim::default()));
        f(&mut cell.borrow_mut())
    })
}

/// Whether what a frame tells of a surface can come to change what its client is told.
#[must_use]
pub fn is_to_follow(data: &SurfaceData, seen: &Seen) -> bool {
    let stays = match seen.verdict {
        Verdict::ZeroCopy | Verdict::Composed(Reason::Format | Reason::Refused { scaled: false }) => false,
        Verdict::Hidden => true,
        Verdict::Composed(_) => {
            data.data_map.get::<RefCell<Aim<Target>>>().is_none_or(|aim| aim.borrow().is_at_rest())
        }
    };
    !stays && seen.role != Role::Pointer
}

impl Heapwright {
    /// The plane that a surface's buffers should suit, if it is to be told of one.
    #[must_use]
    pub fn aim_of(&self, surface: &WlSurface) -> Option<PlaneOf<'_>> {
        let Backend::Kms(kms) = &self.backend else { return None };
        let (output, plane) = with_aim(surface, |aim| aim.told().cloned())?;
        kms.plane(&output, plane)
    }

    /// Tells a window's surface of the plane that its mode promises, or takes that back; at once, since a window that
    /// changes its mode changes its buffers anyway.
    pub fn update_feedback(&mut self, window: &Window) {
        let Some(surface) = window.toplevel().map(|toplevel| toplevel.wl_surface().clone()) else { return };
        let target = match mode_of(window) {
            Mode::Fullscreen => self.output_of(window).and_then(|output| self.primary_of(&output)),
            Mode::Floating | Mode::Maximized => None,
        };
        with_aim(&surface, |aim| aim.set(target));
        let size = self.output_of(window).and_then(|output| feedback::size_of(&output));
        self.tell_aim(&surface, size);
    }

    /// Outputs have changed: as [`Heapwright::update_feedback`] for windows whose mode promises a plane. What the others were
    /// told of follows the frames.
    pub(crate) fn update_feedback_of_mode(&mut self, window: &Window) {
        if mode_of(window) == Mode::Fullscreen {
            self.update_feedback(window);
        }
    }

    /// An output has gone, with its planes.
    pub(crate) fn forget_aim(&mut self, surface: &WlSurface, output: &Output) {
        let told = with_aim(surface, |aim| aim.told().is_some_and(|(known, _)| known == output));
        if told {
            with_aim(surface, |aim| aim.set(None));
            self.tell_aim(surface, None);
            self.reconsider(surface);
        }
    }

    fn primary_of(&self, output: &Output) -> Option<Target> {
        let Backend::Kms(kms) = &self.backend else { return None };
        kms.primary_plane(output).map(|plane| (output.clone(), plane.plane))
    }

    /// Sends what linux-dmabuf says of it now, if that is new.
    fn tell_aim(&mut self, surface: &WlSurface, size: Option<Size>) {
        let wanted =
            self.aim_of(surface).zip(size).and_then(|(plane, size)| self.scanout_feedback(plane, size));
        self.dmabuf.set_surface_feedback(surface, wanted);
    }

    /// A frame went to the display: `surfaces` are those of it that [`is_to_follow`] chose, with their place in it. Clients of
    /// those whose plane has changed for good hear of it. Whether more frames like this one would tell nobody anything.
    pub fn follow_planes(&mut self, output: &Output, surfaces: &[(usize, WlSurface)], frame: &Frame) -> bool {
        let mut settled = true;
        for (index, surface) in surfaces {
            let Some(seen) = frame.surfaces.get(*index) else { continue };
            let sight = self.sight(output, seen, frame);
            let (news, at_rest) = with_aim(surface, |aim| (aim.frame(sight), aim.is_settled()));
            settled &= at_rest;
            if !news {
                continue;
            }
            debug!(surface = %surface.id(), plane = ?self.aim_of(surface), "a client is told of another plane");
            self.tell_aim(surface, Some(seen.buffer.size));
            self.reconsider(surface);
        }
        settled
    }

    fn sight(&self, output: &Output, seen: &Seen, frame: &Frame) -> Sight<Target> {
        let on = |plane| Sight::On((output.clone(), plane));
        match (seen.verdict, seen.plane) {
            (Verdict::ZeroCopy, Some(Plane::Primary(plane) | Plane::Overlay(Some(plane)))) => on(plane),
            (Verdict::ZeroCopy, _) | (Verdict::Hidden, _) => Sight::Unknown,
            (Verdict::Composed(Reason::Format | Reason::Refused { scaled: false }), _) => {
                self.best_plane(output, seen, frame).map_or(Sight::Composed, Sight::Wants)
            }
            (Verdict::Composed(_), _) => Sight::Composed,
        }
    }

    /// The plane that would take a surface whose buffer is all that stands in its way: the primary one if it is as large as
    /// the screen, else an overlay plane that shows nothing else.
    fn best_plane(&self, output: &Output, seen: &Seen, frame: &Frame) -> Option<Target> {
        let Backend::Kms(kms) = &self.backend else { return None };
        if feedback::size_of(output) == Some(seen.buffer.size) {
            return self.primary_of(output);
        }
        let taken =
            |plane: u32| frame.surfaces.iter().any(|other| other.plane == Some(Plane::Overlay(Some(plane))));
        let free = kms.overlay_planes(output).find(|plane| !taken(*plane))?;
        Some((output.clone(), free))
    }
}
