//! What the server remembers of one connected client.

use smithay::{
    reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason},
    wayland::compositor::CompositorClientState,
};
use tracing::{debug, info};

use crate::{explicit_sync::Held, guard::records::Ledger, negotiation::Account, shared_memory::SharedMemory};

/// Data attached to a Wayland connection.
#[derive(Debug, Default)]
pub struct ClientState {
    /// Smithay's own bookkeeping of the client's surfaces.
    pub compositor: CompositorClientState,
    /// What the guards remember of the client's objects.
    pub guard: Ledger,
    /// Buffers that we allocate for it.
    pub account: Account,
    /// Its pools of shared memory, and what of them displays read.
    pub shared_memory: SharedMemory,
    /// Descriptors of its timelines and of its commits that wait.
    pub sync_held: Held,
}

impl ClientData for ClientState {
    fn initialized(&self, client: ClientId) {
        debug!(?client, "client connected");
    }

    fn disconnected(&self, client: ClientId, reason: DisconnectReason) {
        self.account.close();
        match reason {
            DisconnectReason::ConnectionClosed => debug!(?client, "client left"),
            DisconnectReason::ProtocolError(error) => {
                info!(?client, %error, "client ended by its own protocol error")
            }
        }
    }
}
