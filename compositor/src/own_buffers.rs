//! Buffers of our own as Wayland buffers: Smithay 0.7 puts nothing else on planes that lie above the primary one.
//!
//! They belong to a client of which nobody hears. The other end of its connection is read for one reason: Smithay sends
//! releases there, and a connection that is full is closed.

use std::{
    io::{self, Read as _},
    os::unix::net::UnixStream,
    sync::Arc,
};

use smithay::{
    backend::{allocator::dmabuf::Dmabuf, renderer::utils::Buffer},
    reexports::{
        calloop::{Interest, Mode, PostAction, generic::Generic},
        wayland_server::{
            Client, Dispatch, DisplayHandle, Resource as _,
            backend::{ClientData, InvalidId},
            protocol::wl_buffer::WlBuffer,
        },
    },
};

use crate::{events::Events, state::Heapwright};

/// Makes Wayland buffers of our own memory.
#[derive(Debug, Clone)]
pub struct OwnBuffers {
    display: DisplayHandle,
    client: Client,
}

/// What tells our client from those that have connected.
#[derive(Debug)]
struct Ours;

impl ClientData for Ours {}

impl OwnBuffers {
    /// Adds the client.
    ///
    /// # Errors
    /// No descriptors left, or the event loop takes no more sources.
    pub fn new(display: &DisplayHandle, events: &Events) -> io::Result<Self> {
        let (server, client) = UnixStream::pair()?;
        client.set_nonblocking(true)?;
        let mut display = display.clone();
        let ours = display.insert_client(server, Arc::new(Ours))?;
        let source = Generic::new(client, Interest::READ, Mode::Level);
        events
            .insert_source(source, |_, stream, _| {
                let mut told = [0; 1024];
                let mut stream: &UnixStream = stream;
                match stream.read(&mut told) {
                    Ok(0) => Ok(PostAction::Remove),
                    Ok(_) => Ok(PostAction::Continue),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(PostAction::Continue),
                    Err(error) => Err(error),
                }
            })
            .map_err(|error| io::Error::other(error.error))?;
        Ok(OwnBuffers { display, client: ours })
    }

    /// The buffer as one of Wayland's.
    ///
    /// # Errors
    /// [`InvalidId`] after the display has ended.
    pub fn wrap(&self, dmabuf: Dmabuf) -> Result<Buffer, InvalidId> {
        self.create(dmabuf)
    }

    /// A buffer with this in it.
    ///
    /// # Errors
    /// [`InvalidId`] after the display has ended.
    pub(crate) fn create<D>(&self, data: D) -> Result<Buffer, InvalidId>
    where
        D: Send + Sync + 'static,
        Heapwright: Dispatch<WlBuffer, D>,
    {
        let buffer = self.client.create_resource::<WlBuffer, D, Heapwright>(&self.display, 1, data)?;
        Ok(Buffer::with_implicit(buffer))
    }

    /// Ends a buffer's life as an object: those who hold it may go on, and nothing is sent when they let go.
    pub(crate) fn destroy(&self, buffer: &WlBuffer) {
        // It can't be gone: nobody else destroys it, and all go together.
        let _ = self.display.backend_handle().destroy_object::<Heapwright>(&buffer.id());
    }

    /// Whether a buffer is one of ours.
    #[must_use]
    pub fn made(buffer: &WlBuffer) -> bool {
        buffer.client().is_some_and(|client| client.get_data::<Ours>().is_some())
    }
}
