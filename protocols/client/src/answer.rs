//! What the compositor answers.

use std::os::fd::{AsFd as _, OwnedFd};

use heapwright_alloc::{
    buffers::{Buffer, BufferError},
    constraints::{Fourcc, Modifier, Size},
    solver::PlaneLayout,
};
pub use heapwright_protocols::allocation::client::zhw_allocation_v1::{Change as Changed, Outcome, Reason};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_buffer_params_v1::ZwpLinuxBufferParamsV1;

/// Buffers, or why there are none.
pub type Answer = Result<Buffers, Refused>;

/// Buffers of one layout: all zero, or with what this client itself left in them earlier.
#[derive(Debug)]
pub struct Buffers {
    /// Pixels, as they were asked for.
    pub size: Size,
    /// The format.
    pub format: Fourcc,
    /// The modifier.
    pub modifier: Modifier,
    /// Of each buffer.
    pub bytes: u64,
    /// Offset and pitch of each plane, bytes.
    pub planes: Vec<(u32, u32)>,
    /// What became of every participant; the compositor's own have names in parentheses.
    pub outcomes: Vec<(String, Outcome)>,
    /// The dma-bufs.
    pub fds: Vec<OwnedFd>,
}

impl Buffers {
    /// Whether a participant can use them; `None` when there is none of that name.
    #[must_use]
    pub fn satisfies(&self, participant: &str) -> Option<bool> {
        let found = self.outcomes.iter().find(|(name, _)| name == participant);
        found.map(|(_, outcome)| *outcome == Outcome::Satisfied)
    }

    /// Whether a display can show them as they are.
    #[must_use]
    pub fn for_display(&self) -> bool {
        self.satisfies("(display)") == Some(true)
    }

    /// Adds every plane of the buffer `index` to the parameters of a `wl_buffer`, which then need only be created with
    /// the size and format of this answer. `false` when there is no such buffer.
    #[must_use]
    pub fn add_to(&self, index: usize, params: &ZwpLinuxBufferParamsV1) -> bool {
        let Some(fd) = self.fds.get(index) else { return false };
        let (high, low) = ((self.modifier.0 >> 32) as u32, self.modifier.0 as u32);
        for (plane, (offset, pitch)) in (0..).zip(&self.planes) {
            params.add(fd.as_fd(), plane, *offset, *pitch, high, low);
        }
        true
    }

    /// The buffers with their layouts, to be mapped.
    ///
    /// # Errors
    /// [`BufferError`] when what came is no dma-buf, or a plane lies beyond its end: the compositor's fault.
    pub fn into_buffers(self) -> Result<Vec<Buffer>, BufferError> {
        let ends = self.planes.iter().skip(1).map(|(offset, _)| u64::from(*offset)).chain([self.bytes]);
        let plane = |((offset, pitch), end): (&(u32, u32), u64)| {
            let (offset, pitch) = (u64::from(*offset), u64::from(*pitch));
            PlaneLayout { offset, pitch, size: end.saturating_sub(offset) }
        };
        let planes: Vec<_> = self.planes.iter().zip(ends).map(plane).collect();
        let made = |fd| Buffer::import(fd, self.size, self.format, self.modifier, planes.clone());
        self.fds.into_iter().map(made).collect()
    }
}

/// A constraint that takes part in a contradiction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Whose; the compositor's own participants have names in parentheses.
    pub participant: String,
    /// Which, by the name of its entry in the protocol.
    pub field: String,
    /// What it asks, for people.
    pub value: String,
}

/// There are no buffers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// A smallest set of constraints that contradict each other; empty for other reasons.
    pub conflict: Vec<Conflict>,
}
