//! Trying one heap with one device that renders.

use super::gem::Import;
use super::probe::{Outcome, Probe, Step, probe_with, verdict_of};
use crate::buffers::{Buffer, Layout};
use crate::devices::RenderNode;
use crate::heaps::Heap;
use crate::solver::problem::Verdict;

/// Allocates a buffer from `heap` in this layout, has `node` import it, and frees it; as [`probe`](super::probe()), but what
/// comes after the import is a driver's in user space: whether it reads this format and modifier is what
/// [`RenderDevice::imports`](crate::devices::RenderDevice::imports) says.
pub fn probe_renderer(node: &RenderNode, heap: &dyn Heap, layout: &Layout) -> Probe {
    probe_with(node.name(), heap, layout, |buffer, steps| try_import(node, buffer, steps))
}

fn try_import(node: &RenderNode, buffer: &Buffer, steps: &mut Vec<Step>) -> Verdict {
    let (outcome, verdict) = match Import::of(node, node.name(), buffer) {
        Ok(_) => (Outcome::Passed, Verdict::Accepts),
        Err(rustix::io::Errno::NODEV) if node.has_vanished() => (Outcome::Vanished, Verdict::Unknown),
        Err(errno) => (Outcome::Refused(errno), verdict_of(errno)),
    };
    steps.push(Step { what: "PRIME import", outcome });
    verdict
}
