//! For clients' buffers on planes: buffers of our own that stand for them where Smithay asks.
//!
//! Smithay 0.7 holds the buffers of a frame until it has shown the next one, and a client's buffer is released when the last
//! who holds it lets go. Frames that Smithay does not make would so keep a client's buffer for ever. It holds the stand-in
//! instead; the client's own is held by who knows what is on the screen.

use std::{cell::RefCell, collections::HashMap};

use smithay::{
    backend::renderer::{buffer_y_inverted, utils::Buffer},
    reexports::wayland_server::{
        Client, DataInit, Dispatch, DisplayHandle, Resource as _, Weak,
        backend::ObjectId,
        protocol::wl_buffer::{self, WlBuffer},
    },
    wayland::single_pixel_buffer::get_single_pixel_buffer,
};
use tracing::debug;

use crate::{own_buffers::OwnBuffers, state::Heapwright};

/// What a buffer stands for. Weak: a release point waits until nobody has the client's buffer any more.
#[derive(Debug)]
struct For(Weak<WlBuffer>);

/// Every stand-in, by the buffer that it stands for.
#[derive(Debug)]
pub struct StandIns {
    own: OwnBuffers,
    made: RefCell<HashMap<ObjectId, Buffer>>,
}

impl StandIns {
    /// Those are made by `own`.
    #[must_use]
    pub fn new(own: OwnBuffers) -> Self {
        StandIns { own, made: RefCell::default() }
    }

    /// What stands for a client's buffer. Nothing does for one that its client has destroyed, since nobody would say when to
    /// forget it; nor where Smithay asks more of it than which framebuffer it is: whether its rows go upwards, whether it is but
    /// a colour. (How it is synchronised it asks, too, but here that is [`crate::explicit_sync`]'s.)
    #[must_use]
    pub fn of(&self, buffer: &Buffer) -> Option<Buffer> {
        if let Some(known) = self.made.borrow().get(&buffer.id()) {
            return Some(known.clone());
        }
        let is_plain =
            !buffer_y_inverted(buffer).unwrap_or(false) && get_single_pixel_buffer(buffer).is_err();
        if !is_plain || !buffer.is_alive() || OwnBuffers::made(buffer) {
            return None;
        }
        let made = self.own.create(For(buffer.downgrade()));
        let made = made.inspect_err(|error| debug!(%error, "no stand-in for a buffer")).ok()?;
        self.made.borrow_mut().insert(buffer.id(), made.clone());
        Some(made)
    }

    /// A client has destroyed its buffer. Whether something stood for it.
    pub fn forget(&self, buffer: &WlBuffer) -> bool {
        let stand_in = self.made.borrow_mut().remove(&buffer.id());
        stand_in.inspect(|stand_in| self.own.destroy(stand_in)).is_some()
    }
}

/// The client's buffer that `buffer` stands for, if it stands for one that still is.
#[must_use]
pub fn original(buffer: &WlBuffer) -> Option<WlBuffer> {
    let For(original) = buffer.data()?;
    original.upgrade().ok()
}

impl Dispatch<WlBuffer, For> for Heapwright {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlBuffer,
        _: wl_buffer::Request,
        _: &For,
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        // Nobody is at the other end.
    }
}
