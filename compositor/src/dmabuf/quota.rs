//! How many file descriptors each client makes us hold.
//!
//! Every plane of every buffer is a descriptor in our process. Without a limit one client could take them all, and the
//! next one's would be lost on the way.

use std::collections::HashMap;

use rustix::process::{Resource, getrlimit};
use smithay::reexports::wayland_server::backend::ClientId;

/// A client may hold this part of the descriptors that the process can open.
const SHARE: u64 = 4;
/// Bounds of the share, in descriptors: enough for one window on any system, and never an unreasonable number.
const LEAST: u64 = 64;
/// See [`LEAST`].
const MOST: u64 = 8192;

/// Descriptors held for each client, against one limit for all of them.
#[derive(Debug)]
pub struct FdQuota {
    held: HashMap<ClientId, usize>,
    limit: usize,
}

impl FdQuota {
    /// A limit of descriptors per client.
    pub fn new(limit: usize) -> Self {
        Self { held: HashMap::new(), limit }
    }

    /// A limit made of what the process may open now: raise `RLIMIT_NOFILE` before.
    pub fn of_process() -> Self {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = (open_files / SHARE).clamp(LEAST, MOST);
        Self::new(usize::try_from(share).unwrap_or(usize::MAX))
    }

    /// Descriptors per client.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Descriptors held for this client.
    pub fn held(&self, client: &ClientId) -> usize {
        self.held.get(client).copied().unwrap_or(0)
    }

    /// Counts one more, or says that this client has had its share.
    #[must_use]
    pub fn take(&mut self, client: &ClientId) -> bool {
        let held = self.held.entry(client.clone()).or_default();
        if *held >= self.limit {
            return false;
        }
        *held += 1;
        true
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, client: &ClientId, count: usize) {
        if let Some(held) = self.held.get_mut(client) {
            *held = held.saturating_sub(count);
            if *held == 0 {
                self.held.remove(client);
            }
        }
    }
}
