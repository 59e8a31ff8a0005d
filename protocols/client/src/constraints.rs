//! What this program needs of a buffer.

use heapwright_alloc::solver::problem::Participant;

use crate::said::{Said, said};

/// What a problem file can say and the protocol cannot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("participant {participant:?}: {what}")]
pub struct Inexpressible {
    /// Whose.
    pub participant: String,
    /// What, and what to do instead.
    pub what: &'static str,
}

/// The participants of a client, to be stated to a compositor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    participants: Vec<(Participant, Option<u64>)>,
}

impl Constraints {
    /// With one more participant, which touches memory with the CPU, or on a device that does not matter.
    #[must_use]
    pub fn with(mut self, participant: Participant) -> Self {
        self.participants.push((participant, None));
        self
    }

    /// With one more participant on a device, given by the `dev_t` of its primary or render node.
    #[must_use]
    pub fn with_on(mut self, participant: Participant, device: u64) -> Self {
        self.participants.push((participant, Some(device)));
        self
    }

    /// The participants, each with its device.
    #[must_use]
    pub fn participants(&self) -> &[(Participant, Option<u64>)] {
        &self.participants
    }

    /// The requests that state them.
    pub(crate) fn said(&self) -> Result<Vec<Said<'_>>, Inexpressible> {
        let mut all = Vec::new();
        for (participant, device) in &self.participants {
            said(participant, *device, &mut all)?;
        }
        Ok(all)
    }
}
