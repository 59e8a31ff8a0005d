//! The client's side of a question joined with ours.

use heapwright_alloc::{
    buffers::Want,
    constraints::{Fourcc, Modifier, Size},
    solver::problem::{Participant, Role},
};

use crate::memory::takes;

/// Name of the compositor's renderer in answers.
pub const RENDERER: &str = "(renderer)";
/// Name of the display in answers.
pub const DISPLAY: &str = "(display)";

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its participants.
    pub participants: Vec<Participant>,
    /// Pixels.
    pub size: Size,
    /// Buffers wanted at least.
    pub count: u32,
}

impl Question {
    /// Everybody who would touch the buffers: the client's participants, a renderer that takes `renderer`, and the
    /// display, if one would show them.
    #[must_use]
    pub fn want(&self, renderer: &[(Fourcc, Modifier)], display: Option<Participant>) -> Want<'static> {
        let mut participants = self.participants.clone();
        participants.push(takes(RENDERER, Role::Sample, renderer));
        participants.extend(display);
        Want {
            size: self.size,
            participants,
            count: self.count,
            name: "negotiated",
            dma_buf_only: true,
            ..Want::default()
        }
    }
}
