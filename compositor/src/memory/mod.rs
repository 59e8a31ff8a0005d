//! Every buffer of our own and of clients: where it lies and why.
//!
//! The one place where the compositor asks for memory. It states who will touch a buffer, and the solver decides;
//! when the chosen heap fails, the question is asked again without it.

mod canvas;
mod report;
mod screen;

pub use canvas::{Canvas, CanvasError};
pub use report::{Record, Report};
pub use screen::ScreenAllocator;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heapwright_alloc::{
    buffers::{Buffer, BufferError, Layout, LayoutError},
    constraints::{Fourcc, Modifier, Size},
    heaps::{self, HeapList, Root},
    solver::{
        self, Answer, Problem, Resolution,
        link::Link,
        problem::{Match, OptionSpec, Participant, Role},
    },
};
use tracing::{debug, info, warn};

/// A picture that every format and every heap can be asked about.
const USUAL: Size = Size { width: 640, height: 480 };

/// Where memory comes from, and what was taken. Clones share one state.
#[derive(Debug, Clone)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    heaps: HeapList,
    links: Vec<Link>,
    report: Report,
}

/// No buffer could be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The participants and heaps do not go together.
    #[error("no heap serves {what}: {answer}")]
    NoAnswer {
        /// What was asked for.
        what: String,
        /// The solver's answer, as JSON.
        answer: String,
    },
    /// Heaps were chosen, and failed.
    #[error("no memory for {what}: {}", .failures.join("; "))]
    Exhausted {
        /// What was asked for.
        what: String,
        /// Each heap's failure.
        failures: Vec<String>,
    },
    /// The solver's layout is out of range.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A participant that takes LINEAR buffers of one format.
#[must_use]
pub fn linear(name: &str, role: Role, format: Fourcc) -> Participant {
    Participant {
        name: name.to_owned(),
        role,
        options: Some(vec![OptionSpec {
            format: Match::Is(format),
            modifier: Match::Is(Modifier::LINEAR),
            ..OptionSpec::default()
        }]),
        ..Participant::default()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

impl Memory {
    /// Lists the heaps of this machine.
    #[must_use]
    pub fn new() -> Self {
        let heaps = heaps::list(&Root::default());
        for heap in &heaps.heaps {
            let facts = heap.facts();
            info!(heap = %heap.id(), names = ?facts.names, contiguous = facts.contiguous, "heap");
        }
        for problem in &heaps.problems {
            info!(path = %problem.path.display(), error = %problem.error, "heap that cannot be used");
        }
        Memory {
            shared: Arc::new(Mutex::new(Shared { heaps, links: Vec::new(), report: Report::default() })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while holding the lock, and a half-written report would do no harm.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any heap makes memory that devices and other processes can import.
    #[must_use]
    pub fn makes_dma_bufs(&self) -> bool {
        self.lock().heaps.heaps.iter().any(|heap| heap.makes_dma_bufs())
    }

    /// Allocates one buffer that all `participants` can use.
    ///
    /// # Errors
    /// [`MemoryError`] says what stood in the way, heap by heap.
    pub fn allocate(
        &self,
        name: &str,
        size: Size,
        participants: Vec<Participant>,
        dma_buf: bool,
    ) -> Result<(Buffer, Resolution), MemoryError> {
        let mut shared = self.lock();
        let what = format!("{name}, {size}");
        let mut usable: Vec<_> =
            shared.heaps.heaps.iter().filter(|heap| !dma_buf || heap.makes_dma_bufs()).cloned().collect();
        let mut failures = Vec::new();
        loop {
            let problem = Problem {
                size,
                participants: participants.clone(),
                heaps: usable.iter().map(|heap| heap.facts()).collect(),
                links: shared.links.clone(),
                ..Problem::default()
            };
            let resolution = match solver::solve(&problem) {
                Answer::Solved(resolution) => resolution,
                answer if failures.is_empty() => {
                    return Err(MemoryError::NoAnswer { what, answer: answer.to_json() });
                }
                _ => return Err(MemoryError::Exhausted { what, failures }),
            };
            let Some(index) = usable.iter().position(|heap| heap.id().as_str() == resolution.heap) else {
                return Err(MemoryError::NoAnswer {
                    what,
                    answer: format!("heap {} is gone", resolution.heap),
                });
            };
            let layout = Layout::of(&resolution, size)?;
            match Buffer::allocate(&*usable[index], &layout, name) {
                Ok(buffer) => {
                    debug!(name, %size, heap = resolution.heap, "allocated");
                    let names = usable[index].facts().names;
                    shared.report.ours(name, &resolution, size, names);
                    return Ok((buffer, resolution));
                }
                Err(error) => {
                    warn!(name, heap = resolution.heap, %error, "a heap failed: asking the others");
                    failures.push(failure(&resolution.heap, &error));
                    usable.remove(index);
                }
            }
        }
    }

    /// Whether some heap could serve `participants`, for a picture of any usual size.
    #[must_use]
    pub fn could_serve(&self, participants: Vec<Participant>) -> bool {
        let shared = self.lock();
        let heaps = shared.heaps.heaps.iter().filter(|heap| heap.makes_dma_bufs());
        let problem = Problem {
            size: USUAL,
            participants,
            heaps: heaps.map(|heap| heap.facts()).collect(),
            links: shared.links.clone(),
            ..Problem::default()
        };
        matches!(solver::solve(&problem), Answer::Solved(_))
    }

    /// Takes note of a client's buffer.
    pub fn client_buffer(&self, record: Record) {
        self.lock().report.add(record);
    }

    /// What was allocated so far, and why.
    #[must_use]
    pub fn report(&self) -> Report {
        self.lock().report.clone()
    }
}

fn failure(heap: &str, error: &BufferError) -> String {
    format!("{heap}: {error}")
}
