//! Whose clients may wait for news of a frame, so that those of whom nothing has come since the last are not asked.

use std::{cell::RefCell, collections::HashSet};

use smithay::{
    desktop::utils::with_surfaces_surface_tree,
    reexports::wayland_server::{Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    wayland::{compositor::SurfaceAttributes, presentation::PresentationFeedbackCachedState},
};

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

    /// News has gone to the tree: looks whether anything in it still waits.
    pub fn told(&self, root: &WlSurface) {
        let mut waits = false;
        with_surfaces_surface_tree(root, |_, data| {
            let mut attributes = data.cached_state.get::<SurfaceAttributes>();
            waits |= !attributes.current().frame_callbacks.is_empty();
            let mut feedback = data.cached_state.get::<PresentationFeedbackCachedState>();
            waits |= !feedback.current().callbacks.is_empty();
        });
        if !waits {
            self.0.borrow_mut().remove(&root.id());
        }
    }

    /// The surface has gone.
    pub fn forget(&self, surface: &WlSurface) {
        self.0.borrow_mut().remove(&surface.id());
    }
}
