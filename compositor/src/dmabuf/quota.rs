//! How many file descriptors each client makes us hold.
//!
//! Every plane of every buffer is a descriptor in our process. Without a limit one client could take them all, and the
//! next one's would be lost on the way.

use heapwright_alloc::buffers::{Amount, Limit, Quotas};
use smithay::reexports::wayland_server::backend::ClientId;

use crate::descriptors::share;

/// A client may hold this part of the descriptors that the process can open.
const SHARE: u64 = 4;
/// Bounds of the share, in descriptors: enough for one window on any system, and never an unreasonable number.
const LEAST: u64 = 64;
/// See [`LEAST`].
const MOST: u64 = 8192;

/// Descriptors held for each client, against one limit for all of them.
#[derive(Debug)]
pub struct FdQuota {
    held: Quotas<ClientId>,
    limit: usize,
}

impl FdQuota {
    /// A limit of descriptors per client.
    pub fn new(limit: usize) -> Self {
        Self { held: Quotas::new(Limit::of_count(limit as u64)), limit }
    }

    /// A limit made of what the process may open now: raise `RLIMIT_NOFILE` before.
    pub fn of_process() -> Self {
        Self::new(usize::try_from(share(SHARE, LEAST, MOST)).unwrap_or(usize::MAX))
    }

    /// Descriptors per client.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Descriptors held for this client.
    pub fn held(&self, client: &ClientId) -> usize {
        usize::try_from(self.held.used(client).count).unwrap_or(usize::MAX)
    }

    /// Counts one more, or says that this client has had its share.
    #[must_use]
    pub fn take(&mut self, client: &ClientId) -> bool {
        self.held.take(client, Amount::count(1)).is_ok()
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, client: &ClientId, count: usize) {
        self.held.give_back(client, Amount::count(count as u64));
    }
}
