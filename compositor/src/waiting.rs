//! Whose clients may wait for news of a frame, so that those of whom nothing has come since the last are not asked.

use std::{cell::RefCell, collections::HashSet};

use smithay::{
    reexports::wayland_server::{Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    wayland::{
        compositor::{SurfaceAttributes, SurfaceData},
        presentation::PresentationFeedbackCachedState,
    },
};

/// Whether a frame callback of the surface waits for a frame to go with.
pub fn waits_for_callback(data: &SurfaceData) -> bool {
    !data.cached_state.get::<SurfaceAttributes>().current().frame_callbacks.is_empty()
}

/// Whether a frame callback or presentation feedback of the surface does.
pub fn waits(data: &SurfaceData) -> bool {
    let mut feedback = data.cached_state.get::<PresentationFeedbackCachedState>();
    waits_for_callback(data) || !feedback.current().callbacks.is_empty()
}

/// Trees of surfaces, by their root, in which a frame callback or presentation feedback may wait. None is missing.
#[derive(Debug, Default)]
pub struct Waiting(RefCell<HashSet<ObjectId>>);

impl Waiting {
    /// A commit in the tree has taken effect, and may have brought a wish.
    pub fn committed(&self, root: &WlSurface) {
        self.0.borrow_mut().insert(root.id());
    }

    /// Whether anything in the tree may wait.
    #[must_use]
    pub fn may_wait(&self, root: &WlSurface) -> bool {
        let roots = self.0.borrow();
        !roots.is_empty() && roots.contains(&root.id())
    }

    /// How many such trees there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// News has gone to the tree, and this is whether anything in it [still waits](waits).
    pub fn looked(&self, root: &WlSurface, still: bool) {
        if !still {
            self.0.borrow_mut().remove(&root.id());
        }
    }

    /// The surface has gone.
    pub fn forget(&self, surface: &WlSurface) {
        self.0.borrow_mut().remove(&surface.id());
    }
}
