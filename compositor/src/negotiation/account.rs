//! Whose buffers they are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use heapwright_alloc::buffers::Owner;

use crate::memory::Memory;

/// Live objects of the extension that one client may have.
const MAX_OBJECTS: usize = 256;

/// Clients so far.
static CLIENTS: AtomicU64 = AtomicU64::new(1);

/// A client's account with the pool of buffers, closed when the client goes.
#[derive(Debug, Default)]
pub struct Account {
    open: Option<(Owner, Memory)>,
    objects: AtomicUsize,
}

impl Account {
    /// A new client's.
    #[must_use]
    pub fn open(memory: &Memory) -> Self {
        let owner = Owner::new(CLIENTS.fetch_add(1, Ordering::Relaxed));
        Account { open: Some((owner, memory.clone())), objects: AtomicUsize::new(0) }
    }

    /// Who it is, for the pool; `None` for a client that is none.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.open.as_ref().map(|(owner, _)| *owner)
    }

    /// The client has gone.
    pub fn close(&self) {
        if let Some((owner, memory)) = &self.open {
            memory.forget(*owner);
        }
    }

    /// Counts one more object; whether it may be.
    #[must_use]
    pub(super) fn take_object(&self) -> bool {
        self.objects.fetch_add(1, Ordering::Relaxed) < MAX_OBJECTS
    }

    /// An object has gone.
    pub(super) fn give_object_back(&self) {
        self.objects.fetch_sub(1, Ordering::Relaxed);
    }
}
