//! linux-drm-syncobj-v1: clients say with points of timelines when a buffer may be read, and are told in the same way when
//! it has been. Beside it, what waits for what where nobody says anything (implicit sync).
//!
//! | file | what it holds |
//! |---|---|
//! | [`device`] | who can wait for points and signal them: asked of the kernel, and tried |
//! | [`timeline`] | a client's timelines, and points of them |
//! | [`misuse`] | what a commit may and may not say: pure |
//! | `objects` | the global and its objects |
//! | `waits` | commits that are held back until their acquire points are signalled |
//! | `releases` | buffers in use, and the points that wait for their end |
//!
//! Ours, because of what Smithay 0.7's `wayland::drm_syncobj` does:
//!
//! | there | here |
//! |---|---|
//! | a timeline's handle is never closed, the kernel's object stays until we end | goes with the last point of it |
//! | a buffer without points: taken | `no_acquire_point` |
//! | a release point without a buffer: `no_acquire_point` | `no_buffer` |
//! | `get_surface` after `destroy`: nothing is checked any more | as the first |
//! | a surface destroyed while a commit of it waits: its release point is never signalled | signalled |
//! | a buffer committed twice: its second point is signalled by the next commit, though it is still shown | at its end |
//! | a buffer taken away before it was shown: its point waits for the next commit | signalled |
//! | the device is unplugged: nothing is signalled any more | another device is asked |
//! | a client may hold any number of timelines and of commits that wait | its share of descriptors |
//!
//! # What waits for what
//!
//! | who | waits for | where |
//! |---|---|---|
//! | a commit, and all that is committed with it | the buffer's acquire point, and the fences of all who write to it | `waits`, `handlers::compositor`: a blocker of the surface, never the event loop |
//! | the CPU that composes | nothing: what is applied has been written | |
//! | the display (`IN_FENCE_FD`) | nothing, for the same reason | Smithay sets it for what a GPU composes, and there is none |
//! | `wl_buffer.release`, release points | the page flip after which no plane reads the buffer | `backend::kms` holds it until then |
//!
//! A client's fence could be handed to the display, which would begin to wait before the client has ended its work. But then
//! the frame of one late client is the frame of everybody on that screen, and there is no taking it back; held back by itself,
//! a late client is late alone. `OUT_FENCE_PTR` gives a fence that signals at the page flip that ends a frame: the very moment
//! at which the event of that flip comes, which we wait for anyway to draw the next. It would be worth having if buffers were
//! handed back before that, which implicit sync allows and release points do not: a point has no fence to wait for before it
//! is signalled. Nothing here reads on a GPU, so there is no other fence that a release would have to carry.
//!
//! Implicit fences are waited for even where there are points, although the protocol lets us off: the kernel's own driver of
//! the display waits for them (`drm_gem_plane_helper_prepare_fb`), and with it everybody's frame.
//!
//! Invariants:
//! 1. A release point is signalled once, when no surface, no commit that waits and no display has the buffer any more: what
//!    has it holds a [`WlBuffer`] of it, and nothing else in this program may keep one.
//!    (Smithay keeps the commits of a destroyed subsurface until its `wl_subsurface` goes as well.)
//! 2. Nothing here waits in the event loop.
//! 3. A client makes us hold no more descriptors than its share, and what it holds goes with it.

pub mod device;
pub mod misuse;
mod objects;
mod releases;
pub mod timeline;
mod waits;

use std::sync::Arc;

use smithay::{
    reexports::wayland_server::{
        Client, DisplayHandle, Resource as _,
        backend::{GlobalId, protocol::ProtocolError},
        protocol::{wl_buffer::WlBuffer, wl_surface::WlSurface},
    },
    wayland::compositor::{BufferAssignment, SurfaceAttributes, with_states},
};
use tracing::{debug, info};

pub(crate) use objects::is_sound;
pub use objects::{SurfaceData, TimelineData};
pub use timeline::{Devices, Held, Point, Timeline};

use self::{objects::VERSION, releases::Releases, waits::Waits};
use crate::{backend::Backend, client::ClientState, state::Heapwright};

/// The protocol as it is offered.
#[derive(Debug)]
pub struct ExplicitSync {
    global: GlobalId,
    devices: Arc<Devices>,
    waits: Waits,
    releases: Releases,
}

impl ExplicitSync {
    fn new(display: &DisplayHandle, devices: Devices) -> Self {
        ExplicitSync {
            global: display.create_global::<Heapwright, objects::Manager, ()>(VERSION, ()),
            devices: Arc::new(devices),
            waits: Waits::default(),
            releases: Releases::default(),
        }
    }

    /// The global's name, to take it back.
    #[must_use]
    pub fn global(&self) -> GlobalId {
        self.global.clone()
    }

    /// Commits that wait for their acquire points.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waits.len()
    }

    /// Buffers with a release point to come.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.releases.len()
    }
}

impl Heapwright {
    /// Offers the protocol if a device here can do it: the display's, or any other that renders.
    pub fn offer_explicit_sync(&mut self) {
        let display = match &self.backend {
            Backend::Kms(kms) => kms.node(),
            _ => None,
        };
        match device::find(display) {
            found if found.is_empty() => debug!("no device has timelines of sync objects"),
            found => self.offer_explicit_sync_by(Devices::new(found)),
        }
    }

    /// Offers the protocol by these devices, the first before the others.
    pub fn offer_explicit_sync_by(&mut self, devices: Devices) {
        info!(?devices, "explicit sync");
        self.explicit_sync = Some(ExplicitSync::new(&self.display, devices));
    }

    /// Before a commit is taken: what goes with its buffer is noted, and the commit held back until it may be read.
    pub(crate) fn hold_back(&mut self, surface: &WlSurface) {
        let (Some(sync), Some(client)) = (&mut self.explicit_sync, surface.client()) else { return };
        let Some((acquire, release)) = objects::take_points(surface) else { return };
        let Some(buffer) = pending_buffer(surface) else { return };
        sync.releases.add(&buffer, release);
        let Some(state) = client.get_data::<ClientState>() else { return };
        match state.sync_held.take() {
            Some(held) => sync.waits.add(&self.events, surface, &client, acquire, held),
            None => too_much(&client, &self.display, &state.sync_held),
        }
    }

    /// A surface has gone: its commits wait for nobody, and nobody for them.
    pub(crate) fn forget_waits(&mut self, surface: &WlSurface) {
        if let Some(sync) = &mut self.explicit_sync {
            sync.waits.forget(&self.events, surface);
        }
    }

    /// After each round of the event loop: what is no longer in use is given back.
    pub(crate) fn settle_releases(&mut self) {
        if let Some(sync) = &mut self.explicit_sync {
            sync.releases.settle();
        }
    }
}

/// The buffer that the next commit will show.
fn pending_buffer(surface: &WlSurface) -> Option<WlBuffer> {
    with_states(surface, |states| {
        let mut attributes = states.cached_state.get::<SurfaceAttributes>();
        match &attributes.pending().buffer {
            Some(BufferAssignment::NewBuffer(buffer)) => Some(buffer.clone()),
            _ => None,
        }
    })
}

/// `wl_display`'s code for what is right but too much.
const IMPLEMENTATION: u32 = 3;

/// Ends a client whose commits wait for more points than it may have us watch.
fn too_much(client: &Client, display: &DisplayHandle, held: &Held) {
    client.kill(
        display,
        ProtocolError {
            code: IMPLEMENTATION,
            object_id: 1,
            object_interface: "wl_display".to_owned(),
            message: format!(
                "more than {} timelines and commits that wait for their acquire points",
                held.limit()
            ),
        },
    );
}
