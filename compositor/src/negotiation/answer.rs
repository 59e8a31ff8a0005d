//! What the allocator says, as events.

use std::os::fd::{AsFd as _, OwnedFd};

use heapwright_alloc::{
    buffers::{Allocated, AllocatorError, PooledBuffer},
    constraints::{Fourcc, Modifier},
    solver::{Answer, Resolution},
};
use heapwright_protocols::allocation::server::zhw_allocation_v1::{Outcome, Reason, ZhwAllocationV1};

use crate::memory::NoBuffers;

/// Who can use a buffer, and who cannot.
pub type Outcomes = Vec<(String, Outcome)>;

/// What an answer is good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Had {
    /// For whom.
    pub outcomes: Outcomes,
    /// Buffers.
    pub buffers: u64,
}

impl Had {
    /// Of an answer.
    #[must_use]
    pub fn of(resolution: &Resolution) -> Self {
        Had { outcomes: outcomes(resolution), buffers: resolution.count }
    }
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub enum Told {
    /// Buffers.
    Buffers {
        /// Of each.
        format: Fourcc,
        /// Of each.
        modifier: Modifier,
        /// Bytes of each.
        bytes: u64,
        /// Offset and pitch of each plane, bytes.
        planes: Vec<(u32, u32)>,
        /// Who can use them, and who cannot.
        outcomes: Outcomes,
        /// Themselves.
        fds: Vec<OwnedFd>,
    },
    /// None.
    Failed {
        /// Why.
        reason: Reason,
        /// In words.
        message: String,
        /// Participant, field and value of what cannot hold together.
        conflict: Vec<(String, String, String)>,
    },
}

fn failed(reason: Reason, message: impl Into<String>) -> Told {
    Told::Failed { reason, message: message.into(), conflict: Vec::new() }
}

/// Who can use the buffers, and who cannot.
#[must_use]
fn outcomes(resolution: &Resolution) -> Outcomes {
    let satisfied = resolution.satisfied.iter().map(|name| (name.clone(), Outcome::Satisfied));
    satisfied.chain(resolution.dropped.iter().map(|name| (name.clone(), Outcome::Dropped))).collect()
}

impl Told {
    /// What came of an allocation. The buffers leave the process with this.
    #[must_use]
    pub fn of(result: Result<Allocated<PooledBuffer>, NoBuffers>) -> Told {
        match result {
            Ok(allocated) => Told::buffers(&allocated),
            Err(error @ NoBuffers::Crowded) => failed(Reason::OutOfMemory, error.to_string()),
            Err(NoBuffers::Allocator(error)) => Told::error(&error),
        }
    }

    fn buffers(allocated: &Allocated<PooledBuffer>) -> Told {
        let resolution = &allocated.resolution;
        let narrow = |plane: &heapwright_alloc::solver::PlaneLayout| {
            Some((u32::try_from(plane.offset).ok()?, u32::try_from(plane.pitch).ok()?))
        };
        let Some(planes) = resolution.planes.iter().map(narrow).collect() else {
            return failed(Reason::Invalid, "a plane lies beyond what linux-dmabuf can express");
        };
        match allocated.buffers.iter().map(PooledBuffer::export).collect() {
            Ok(fds) => Told::Buffers {
                format: resolution.format,
                modifier: resolution.modifier,
                bytes: resolution.size,
                planes,
                outcomes: outcomes(resolution),
                fds,
            },
            Err(errno) => failed(Reason::OutOfMemory, format!("no file descriptor is left: {errno}")),
        }
    }

    fn error(error: &AllocatorError) -> Told {
        let message = error.to_string();
        let AllocatorError::Unsolved { answer, failures, short, .. } = error else {
            let reason = match error {
                AllocatorError::Quota(_) => Reason::Quota,
                AllocatorError::NoDescriptors(_) => Reason::OutOfMemory,
                _ => Reason::Invalid,
            };
            return failed(reason, message);
        };
        let reason = match &**answer {
            // What would suit exists, and is used up.
            _ if !short.is_empty() || !failures.is_empty() => Reason::OutOfMemory,
            Answer::Unsatisfiable { .. } | Answer::Solved(_) => Reason::Unsatisfiable,
            Answer::Underconstrained { .. } => Reason::Underconstrained,
            Answer::SearchLimit { .. } => Reason::SearchLimit,
            Answer::Invalid { .. } => Reason::Invalid,
        };
        let conflict = match &**answer {
            Answer::Unsatisfiable { conflict, .. } if reason == Reason::Unsatisfiable => conflict
                .iter()
                .map(|it| (it.participant.to_string(), it.field.to_string(), it.value.clone()))
                .collect(),
            _ => Vec::new(),
        };
        Told::Failed { reason, message, conflict }
    }

    /// Sends it.
    pub fn send(&self, to: &ZhwAllocationV1) {
        match self {
            Told::Buffers { format, modifier, bytes, planes, outcomes, fds } => {
                let (modifier_hi, modifier_lo) = halves(modifier.0);
                let (size_hi, size_lo) = halves(*bytes);
                to.layout(format.0, modifier_hi, modifier_lo, size_hi, size_lo);
                for (index, (offset, pitch)) in (0..).zip(planes) {
                    to.plane(index, *offset, *pitch);
                }
                for (name, outcome) in outcomes {
                    to.participant(name.clone(), *outcome);
                }
                let mut count = 0;
                for fd in fds {
                    to.buffer(count, fd.as_fd());
                    count += 1;
                }
                to.done(count);
            }
            Told::Failed { reason, message, conflict } => {
                for (participant, field, value) in conflict {
                    to.conflict(short(participant), short(field), short(value));
                }
                to.failed(*reason, short(message));
            }
        }
    }
}

/// A message of Wayland holds 4096 bytes.
fn short(text: &str) -> String {
    const MOST: usize = 1000;
    let end = (0..=MOST.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// High and low 32 bits.
#[must_use]
pub fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_between_letters() {
        assert_eq!(short("all"), "all");
        assert_eq!(short(&"ä".repeat(1000)).len(), 1000);
        assert_eq!(short(&format!("x{}", "ä".repeat(1000))).len(), 999);
    }

    #[test]
    fn numbers_are_halved_as_linux_dmabuf_does() {
        assert_eq!(halves(0x0100_0000_0000_0002), (0x0100_0000, 2));
    }
}
