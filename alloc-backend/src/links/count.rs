//! What trying has cost this process, in calls to the kernel that try something.
//!
//! For the whole process and only ever growing: whoever wants the cost of one thing takes the difference. A device is
//! read again by others, so counts kept per device would lose what the earlier reading had cost.

use std::sync::atomic::{AtomicU64, Ordering};

static IMPORTS: AtomicU64 = AtomicU64::new(0);
static FRAMEBUFFERS: AtomicU64 = AtomicU64::new(0);
static TEST_COMMITS: AtomicU64 = AtomicU64::new(0);

/// Attempts, passed or refused. Not counted: giving back what an attempt made (one call per import and framebuffer that
/// passed), allocating the buffers, and reading the planes' properties before a test commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProbeCount {
    /// PRIME imports, and dma-bufs mapped into the queue of a camera or codec.
    pub imports: u64,
    /// AddFB2.
    pub framebuffers: u64,
    /// Atomic commits with `TEST_ONLY`.
    pub test_commits: u64,
}

impl ProbeCount {
    /// Since the process began.
    #[must_use]
    pub fn so_far() -> Self {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProbeCount {
            imports: read(&IMPORTS),
            framebuffers: read(&FRAMEBUFFERS),
            test_commits: read(&TEST_COMMITS),
        }
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        ProbeCount {
            imports: self.imports.saturating_sub(earlier.imports),
            framebuffers: self.framebuffers.saturating_sub(earlier.framebuffers),
            test_commits: self.test_commits.saturating_sub(earlier.test_commits),
        }
    }
}

pub(super) fn import() {
    IMPORTS.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn framebuffer() {
    FRAMEBUFFERS.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn test_commit() {
    TEST_COMMITS.fetch_add(1, Ordering::Relaxed);
}
