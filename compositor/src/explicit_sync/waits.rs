//! Commits that are held back until their acquire points are signalled.

use std::{collections::HashMap, io, os::fd::OwnedFd};

use smithay::{
    reexports::{
        calloop::{Interest, Mode, PostAction, RegistrationToken, generic::Generic},
        wayland_server::{Client, Resource as _, backend::ObjectId, protocol::wl_surface::WlSurface},
    },
    wayland::compositor::{Barrier, add_blocker},
};
use tracing::warn;

use super::{
    device::{event, has_come},
    timeline::{Hold, Point},
};
use crate::{client::ClientState, events::Events, state::Heapwright};

/// A commit that waits.
#[derive(Debug)]
struct Wait {
    surface: ObjectId,
    client: Client,
    barrier: Barrier,
    source: RegistrationToken,
    /// A sync object that nobody has any more tells nobody of its points, though a device may signal them yet.
    _point: Point,
    _hold: Hold,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waits: HashMap<u64, Wait>,
    next: u64,
}

impl Waits {
    /// Holds the pending commit of a surface back until the point is signalled, unless it has been.
    pub(super) fn add(
        &mut self,
        events: &Events,
        surface: &WlSurface,
        client: &Client,
        point: Point,
        hold: Hold,
    ) {
        let event = match announced(&point) {
            Ok(None) => return,
            Ok(Some(event)) => event,
            // No device knows the timeline any more: neither does the client's.
            Err(error) => return warn!(%error, "cannot wait for an acquire point: using the buffer as it is"),
        };
        let id = self.next;
        self.next += 1;
        let source = Generic::new(event, Interest::READ, Mode::Level);
        let inserted = events.insert_source(source, move |_, _, state| {
            if let Some(wait) = state.explicit_sync.as_mut().and_then(|sync| sync.waits.waits.remove(&id)) {
                wait.end(state);
            }
            Ok(PostAction::Remove)
        });
        let barrier = Barrier::new(false);
        match inserted {
            Ok(source) => {
                add_blocker(surface, barrier.clone());
                let (surface, client) = (surface.id(), client.clone());
                self.waits.insert(id, Wait { surface, client, barrier, source, _point: point, _hold: hold });
            }
            Err(error) => warn!(%error, "cannot wait for an acquire point: using the buffer as it is"),
        }
    }

    /// A surface has gone. What was committed together with it goes on without it.
    pub(super) fn forget(&mut self, events: &Events, surface: &WlSurface) {
        let surface = surface.id();
        let its = self.waits.iter().filter(|(_, wait)| wait.surface == surface);
        let its: Vec<_> = its.map(|(id, _)| *id).collect();
        for wait in its.iter().filter_map(|id| self.waits.remove(id)).collect::<Vec<_>>() {
            events.remove(wait.source);
            // Smithay is in the middle of the surface's end.
            events.insert_idle(move |state| wait.end(state));
        }
    }

    /// Commits that wait.
    pub(super) fn len(&self) -> usize {
        self.waits.len()
    }
}

/// The event of a point to come; nothing if it has come.
fn announced(point: &Point) -> io::Result<Option<OwnedFd>> {
    let event = event()?;
    point.notify(&event)?;
    Ok((!has_come(&event)).then_some(event))
}

impl Wait {
    fn end(self, state: &mut Heapwright) {
        self.barrier.signal();
        if let Some(client) = self.client.get_data::<ClientState>() {
            let display = state.display.clone();
            client.compositor.blocker_cleared(state, &display);
        }
    }
}
