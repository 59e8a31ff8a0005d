//! Trying one heap with one device, at the layout that will be used.

use std::fmt;

use rustix::io::Errno;

use super::gem::{Framebuffer, FramebufferError, Import};
use super::test_commit::{Test, test_commit};
use crate::buffers::{Buffer, Layout};
use crate::devices::KmsDevice;
use crate::heaps::{Heap, HeapId, Request, dumb};
use crate::solver::problem::{Evidence, Link, Verdict};

/// How far one step came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel agreed.
    Passed,
    /// The kernel refused.
    Refused(Errno),
    /// The kernel refused, but it also refuses the device's own memory in this layout: not the heap's fault.
    RefusedForAnyMemory(Errno),
    /// The device went away meanwhile: unplugged, or its driver unbound.
    Vanished,
    /// Not tried, and why.
    NotTried(String),
}

impl Outcome {
    /// What a refusal means, which is nothing when the device is not there any more.
    fn refused(device: &KmsDevice, errno: Errno) -> Self {
        if errno == Errno::NODEV && device.has_vanished() {
            Outcome::Vanished
        } else {
            Outcome::Refused(errno)
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => f.write_str("ok"),
            Outcome::Refused(errno) => write!(f, "{errno}"),
            Outcome::RefusedForAnyMemory(errno) => write!(f, "{errno}, as for the device's own memory"),
            Outcome::Vanished => f.write_str("the device has gone"),
            Outcome::NotTried(why) => write!(f, "not tried: {why}"),
        }
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What: `allocate`, `PRIME import`, `AddFB2`, `TEST_ONLY`.
    pub what: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// For the solver.
    pub link: Link,
    /// For people: what was tried, in order; the first that did not pass is the last.
    pub steps: Vec<Step>,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.link.verdict {
            Verdict::Accepts => "accepts",
            Verdict::Refuses => "refuses",
            Verdict::Unknown => "unknown",
        };
        write!(f, "{} {verdict} {} ({}", self.link.device, self.link.heap, self.link.evidence.as_str())?;
        if let Some(bytes) = self.link.bytes {
            write!(f, " at {bytes} bytes")?;
        }
        for step in &self.steps {
            write!(f, "; {} {}", step.what, step.outcome)?;
        }
        f.write_str(")")
    }
}

/// Allocates a buffer from `heap` in this layout, tries it on `device`, and frees it.
///
/// Verdicts: `refuses` when the device takes the layout but not with this heap's memory; `unknown` when memory ran out or
/// the layout itself is at fault, which says nothing of the heap; else `accepts`, at this many bytes. A device that has
/// vanished refuses everything ([`Outcome::Vanished`]).
pub fn probe(device: &KmsDevice, heap: &dyn Heap, layout: &Layout) -> Probe {
    probe_with_test(device, heap, layout, Test::AsItIs)
}

/// As [`probe`], for buffers that are shown in the way that is tested.
pub(crate) fn probe_with_test(device: &KmsDevice, heap: &dyn Heap, layout: &Layout, test: Test) -> Probe {
    probe_with(device.name(), heap, layout, |buffer, steps| try_on(device, buffer, test, steps))
}

/// What all probes have in common: a buffer that is there for no longer than it is tried.
pub(super) fn probe_with(
    device: &str,
    heap: &dyn Heap,
    layout: &Layout,
    try_on: impl FnOnce(&Buffer, &mut Vec<Step>) -> Verdict,
) -> Probe {
    let mut steps = Vec::new();
    let verdict = match Buffer::allocate(heap, layout, "heapwright-probe") {
        Ok(buffer) => {
            steps.push(Step { what: "allocate", outcome: Outcome::Passed });
            if heap.makes_dma_bufs() {
                try_on(&buffer, &mut steps)
            } else {
                let outcome = Outcome::NotTried("the heap makes no dma-bufs".to_owned());
                steps.push(Step { what: "PRIME import", outcome });
                Verdict::Refuses
            }
        }
        Err(error) => {
            steps.push(Step { what: "allocate", outcome: Outcome::NotTried(error.to_string()) });
            Verdict::Unknown
        }
    };
    let evidence = if heap.makes_dma_bufs() { Evidence::Probed } else { Evidence::Declared };
    let bytes = (evidence == Evidence::Probed).then(|| layout.bytes());
    let heap = heap.id().as_str().to_owned();
    let found = Probe { link: Link { device: device.to_owned(), heap, verdict, evidence, bytes }, steps };
    tracing::debug!(probe = %found, "probed");
    found
}

/// Tries a buffer that is there, and that this device has not imported yet: the check that memory which passed once
/// passes again. The verdict is about this buffer.
pub fn check(device: &KmsDevice, buffer: &Buffer) -> Probe {
    check_with_test(device, buffer, Test::AsItIs)
}

/// As [`check`], for a buffer that is shown in the way that is tested.
pub(crate) fn check_with_test(device: &KmsDevice, buffer: &Buffer, test: Test) -> Probe {
    let mut steps = Vec::new();
    let verdict = try_on(device, buffer, test, &mut steps);
    let heap = buffer.heap().map(|heap| heap.as_str().to_owned()).unwrap_or_default();
    let device = device.name().to_owned();
    let bytes = Some(buffer.bytes());
    Probe { link: Link { device, heap, verdict, evidence: Evidence::Probed, bytes }, steps }
}

fn try_on(device: &KmsDevice, buffer: &Buffer, test: Test, steps: &mut Vec<Step>) -> Verdict {
    let import = match Import::new(device, buffer) {
        Ok(import) => import,
        Err(errno) => {
            steps.push(Step { what: "PRIME import", outcome: Outcome::refused(device, errno) });
            return verdict_of(errno);
        }
    };
    steps.push(Step { what: "PRIME import", outcome: Outcome::Passed });
    let framebuffer = match Framebuffer::new(device, &import, buffer.layout()) {
        Ok(framebuffer) => framebuffer,
        Err(error) => return refused("AddFB2", device, buffer.layout(), test, error, steps),
    };
    steps.push(Step { what: "AddFB2", outcome: Outcome::Passed });
    match test_commit(device, &framebuffer, buffer.layout(), test) {
        Ok(()) => steps.push(Step { what: "TEST_ONLY", outcome: Outcome::Passed }),
        Err(Outcome::Refused(errno)) => {
            let error = FramebufferError::Refused(errno);
            return refused("TEST_ONLY", device, buffer.layout(), test, error, steps);
        }
        Err(other) => steps.push(Step { what: "TEST_ONLY", outcome: other }),
    }
    Verdict::Accepts
}

/// Sorts a refusal after the import: is it this memory, or would the device's own be refused as well?
fn refused(
    what: &'static str,
    device: &KmsDevice,
    layout: &Layout,
    test: Test,
    error: FramebufferError,
    steps: &mut Vec<Step>,
) -> Verdict {
    let errno = match error {
        FramebufferError::Refused(errno) => errno,
        FramebufferError::NotExpressible(why) => {
            steps.push(Step { what, outcome: Outcome::NotTried(why.to_owned()) });
            return Verdict::Unknown;
        }
    };
    let outcome = Outcome::refused(device, errno);
    if outcome == Outcome::Vanished || own_memory_passes(what, device, layout, test) {
        steps.push(Step { what, outcome });
        verdict_of(errno)
    } else {
        steps.push(Step { what, outcome: Outcome::RefusedForAnyMemory(errno) });
        Verdict::Unknown
    }
}

/// Whether the device takes a dumb buffer of its own in this layout as far as this step.
fn own_memory_passes(what: &str, device: &KmsDevice, layout: &Layout, test: Test) -> bool {
    let pitch = layout.planes().first().map_or(0, |plane| plane.pitch);
    let request = Request { bytes: layout.bytes(), pitch, name: "heapwright-reference" };
    let id = HeapId::new("reference");
    let Ok(buffer) = dumb::allocate(device, &id, &request) else { return false };
    let buffer = buffer.fd;
    let Ok(import) = Import::new(device, &buffer) else { return false };
    let Ok(framebuffer) = Framebuffer::new(device, &import, layout) else { return false };
    what != "TEST_ONLY" || test_commit(device, &framebuffer, layout, test).is_ok()
}

/// A lack of memory, descriptors or time is no verdict on the heap.
pub(super) fn verdict_of(errno: Errno) -> Verdict {
    match errno {
        Errno::NOMEM
        | Errno::NOSPC
        | Errno::MFILE
        | Errno::NFILE
        | Errno::INTR
        | Errno::AGAIN
        | Errno::BUSY => Verdict::Unknown,
        _ => Verdict::Refuses,
    }
}
