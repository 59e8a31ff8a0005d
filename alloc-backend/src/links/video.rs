//! Trying memory with a camera or a codec.
//!
//! No format is set and nothing streams: the queue is taken for a moment, with the format it has, and the dma-buf is mapped
//! whole, so that the finding holds for its size whatever the format. A queue that somebody uses is left alone, and nothing is
//! said of it.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::{Outcome, Probe, Step, count};
use crate::devices::{ImportError, V4l2Device};
use crate::heaps::{Heap, HeapList, Request};
use crate::solver::problem::{Evidence, Link, Verdict};

/// What the step is called.
const IMPORT: &str = "V4L2 import";

/// Allocates at least `bytes` from `heap`, maps them into the queue of `device`, and frees them.
///
/// Verdicts: `accepts`, at the bytes that were tried; `refuses` when the queue refused this memory; `unknown` when it could
/// not be tried: memory ran out, or somebody uses the device.
pub fn probe_video(device: &V4l2Device, heap: &dyn Heap, bytes: u64) -> Probe {
    let bytes = bytes.max(device.least_import().unwrap_or(1));
    let mut steps = Vec::new();
    let (verdict, evidence) = if heap.makes_dma_bufs() {
        match heap.allocate(&Request::bytes(bytes, "heapwright-probe")) {
            Ok(made) => {
                steps.push(Step { what: "allocate", outcome: Outcome::Passed });
                count::import();
                let (verdict, outcome) = verdict_of(device.import(made.fd.as_fd(), bytes));
                steps.push(Step { what: IMPORT, outcome });
                (verdict, Evidence::Probed)
            }
            Err(error) => {
                steps.push(Step { what: "allocate", outcome: Outcome::NotTried(error.to_string()) });
                (Verdict::Unknown, Evidence::Unknown)
            }
        }
    } else {
        let outcome = Outcome::NotTried("the heap makes no dma-bufs".to_owned());
        steps.push(Step { what: IMPORT, outcome });
        (Verdict::Refuses, Evidence::Declared)
    };
    let evidence = if verdict == Verdict::Unknown { Evidence::Unknown } else { evidence };
    let link = Link {
        device: device.name().to_owned(),
        heap: heap.id().as_str().to_owned(),
        verdict,
        evidence,
        bytes: (evidence == Evidence::Probed).then_some(bytes),
    };
    let found = Probe { link, steps };
    tracing::debug!(probe = %found, "probed");
    found
}

fn verdict_of(import: Result<(), ImportError>) -> (Verdict, Outcome) {
    match import {
        Ok(()) => (Verdict::Accepts, Outcome::Passed),
        Err(ImportError::Refused(errno)) => (Verdict::Refuses, Outcome::Refused(errno)),
        Err(ImportError::NotTried(why)) => (Verdict::Unknown, Outcome::NotTried(why.to_owned())),
    }
}

/// Does a camera or codec take memory in pieces? As [`probe_scattered`](super::probe_scattered) asks a display: with pages
/// that occur twice, so that luck cannot answer. Tried once per device and kept in [`V4l2Device::takes_scattered`].
///
/// `None`: no heap here can make such a buffer, or the queue is in use, or it refuses for another reason.
pub fn probe_scattered_video(device: &V4l2Device, heaps: &HeapList) -> Option<bool> {
    if let Some(known) = device.takes_scattered() {
        return Some(known);
    }
    if device.imports() == Some(false) {
        return None;
    }
    let bytes = device.least_import()?.next_multiple_of(2 * rustix::param::page_size() as u64);
    let in_pieces = heaps.heaps.iter().find_map(|heap| heap.in_pieces(bytes)?.ok())?;
    count::import();
    let takes = match device.import(in_pieces.as_fd(), bytes) {
        Ok(()) => true,
        // What the kernel's queues of contiguous memory say of pieces (`vb2_dc_map_dmabuf` in videobuf2-dma-contig.c, Linux
        // 7.3), and of nothing else.
        Err(ImportError::Refused(Errno::FAULT)) => false,
        Err(error) => {
            tracing::debug!(device = device.name(), ?error, "memory in pieces was not tried");
            return None;
        }
    };
    tracing::debug!(device = device.name(), takes, "memory in pieces");
    device.learn_scattered(takes);
    Some(takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_in_use_says_nothing_of_the_memory() {
        let (verdict, outcome) = verdict_of(Err(ImportError::NotTried("somebody uses it")));
        assert_eq!(
            (verdict, outcome.to_string().as_str()),
            (Verdict::Unknown, "not tried: somebody uses it")
        );
        assert_eq!(verdict_of(Err(ImportError::Refused(Errno::FAULT))).0, Verdict::Refuses);
    }
}
