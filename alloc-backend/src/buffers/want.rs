//! What an allocator is asked, and what it answers.

use std::fmt;

use super::{Buffer, BufferError, Degradation, LayoutError, PoolError, Shortage};
use crate::constraints::Size;
use crate::heaps::{AllocError, HeapId};
use crate::links::Probe;
use crate::solver::problem::{Participant, Problem};
use crate::solver::{Answer, Resolution, listed};

/// Most buffers allocated at once; more is a mistake, or somebody's attempt at the machine's memory.
pub(super) const MAX_BUFFERS: u64 = 64;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Want<'a> {
    /// The picture, in pixels.
    pub size: Size,
    /// Who will touch it. Displays: [`KmsDevice::participant`](crate::devices::KmsDevice::participant).
    pub participants: Vec<Participant>,
    /// Buffers wanted at least, 1 to 64.
    pub count: u32,
    /// What debugfs will show.
    pub name: &'a str,
    /// Only memory that devices and Wayland clients can share as dma-bufs: no memfd.
    pub dma_buf_only: bool,
    /// Displays will show the buffers in another mode or format than what they show now, set together with the first of
    /// them: whoever does that tests it, not the allocator.
    pub new_mode: bool,
}

/// Buffers, and why they are where they are.
#[derive(Debug)]
pub struct Allocated<B = Buffer> {
    /// As many as the resolution's `count`.
    pub buffers: Vec<B>,
    /// The answer they were made from.
    pub resolution: Resolution,
    /// The question, with what had been found out by then.
    pub problem: Problem,
    /// Heaps that were chosen first and then had no memory.
    pub failures: Vec<HeapFailure>,
    /// What a dry pool cost, of participants or of spare buffers; `None` when nothing better could be had with all memory free.
    pub degraded: Option<Degradation>,
}

/// A heap that was chosen and could not deliver.
#[derive(Debug, Clone)]
pub struct HeapFailure {
    /// Which.
    pub heap: HeapId,
    /// Why.
    pub why: FailureReason,
}

/// Why a chosen heap could not deliver.
#[derive(Debug, Clone)]
pub enum FailureReason {
    /// It gave no memory.
    Buffer(BufferError),
    /// It gave memory that a device refused, although it had taken such memory before.
    Check(Box<Probe>),
    /// A quota stood in the way.
    Quota(PoolError),
}

impl fmt::Display for HeapFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            FailureReason::Buffer(error) => error.fmt(f),
            FailureReason::Quota(error) => write!(f, "heap {}: {error}", self.heap),
            FailureReason::Check(probe) => write!(f, "heap {}: {probe}", self.heap),
        }
    }
}

/// Why nothing was allocated.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AllocatorError {
    /// No answer, or none is left after some heaps failed.
    #[error("no heap serves this buffer: {}{}{}", in_words(.answer, .short), in_list(.failures), in_list(.short))]
    Unsolved {
        /// What the solver says.
        answer: Box<Answer>,
        /// What had been tried before.
        failures: Vec<HeapFailure>,
        /// The shortages without which there would be an answer: then it is worth asking again later.
        short: Vec<Shortage>,
        /// The question: a problem file for a bug report.
        problem: Box<Problem>,
    },
    /// The answer does not describe a buffer.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The owner of the buffers has had its share.
    #[error(transparent)]
    Quota(PoolError),
    /// This process has no descriptors left, so that no heap can serve.
    #[error(transparent)]
    NoDescriptors(AllocError),
    /// More buffers than anybody needs.
    #[error("{0} buffers asked, at most {MAX_BUFFERS} at once: ask for fewer")]
    TooMany(u64),
}

fn in_words(answer: &Answer, short: &[Shortage]) -> String {
    match answer {
        Answer::Unsatisfiable { conflict, .. } if !short.is_empty() => {
            format!("there is no room for it now, as {}", listed(conflict))
        }
        answer => answer.in_words(),
    }
}

fn in_list<T: fmt::Display>(list: &[T]) -> String {
    list.iter().fold(String::new(), |text, item| text + &format!("; {item}"))
}
