//! Buffers in use, and the points that wait for their end.
//!
//! Smithay keeps a [`WlBuffer`] in everything that has a buffer: a commit that waits, a surface, and each frame of a display
//! until the page flip that ends it. All of one object share its data, so their number is the data's count of owners, and
//! the object's own is the only one that is left when nobody has the buffer any more. A surface or client that dies, a commit
//! that another overtakes: all end in this count, and none has to be thought of by itself.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Weak},
};

use smithay::reexports::wayland_server::{
    Resource as _, Weak as WaylandWeak, backend::ObjectId, protocol::wl_buffer::WlBuffer,
};
use tracing::debug;

use super::timeline::Point;

/// A buffer that somebody has.
#[derive(Debug)]
struct InUse {
    buffer: WaylandWeak<WlBuffer>,
    data: Weak<dyn Any + Send + Sync>,
    /// Of each timeline the last: a point signals those before it.
    points: Vec<Point>,
}

impl InUse {
    fn is_free(&self) -> bool {
        match self.data.strong_count() {
            0 => true,
            // The object itself, unless the client has destroyed it and somebody still shows it.
            1 => self.buffer.is_alive(),
            _ => false,
        }
    }

    fn add(&mut self, point: Point) {
        match self.points.iter_mut().find(|known| known.is_of_same_timeline(&point)) {
            Some(known) => known.value = known.value.max(point.value),
            None => self.points.push(point),
        }
    }

    fn give_back(&self) {
        for point in &self.points {
            if let Err(error) = point.signal() {
                debug!(%error, "a release point was not signalled");
            }
        }
    }
}

/// All of them, by their Wayland objects.
#[derive(Debug, Default)]
pub(super) struct Releases(HashMap<ObjectId, InUse>);

impl Releases {
    /// A buffer is committed with this release point.
    pub(super) fn add(&mut self, buffer: &WlBuffer, point: Point) {
        // Without data it is no buffer that could be shown.
        let Some(data) = buffer.object_data().map(Arc::downgrade) else { return };
        let entry = self.0.entry(buffer.id());
        let in_use = entry.or_insert_with(|| InUse { buffer: buffer.downgrade(), data, points: Vec::new() });
        in_use.add(point);
    }

    /// Signals what is no longer in use. To be called when no request and no event is being dealt with.
    pub(super) fn settle(&mut self) {
        self.0.retain(|_, in_use| {
            let free = in_use.is_free();
            if free {
                in_use.give_back();
            }
            !free
        });
    }

    /// Buffers in use.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        // The compositor ends: nothing is shown any more.
        for in_use in self.0.values() {
            in_use.give_back();
        }
    }
}
