//! Problems of a given size, for the benches of the solver.
//!
//! Every participant accepts the same format with as many modifiers as it has options, half of them in common with its
//! neighbours, so that formats are rejected for several reasons and several pairs remain to be compared. Every second heap
//! is refused by somebody.

#![allow(dead_code)] // Each bench uses its part.

use heapwright_alloc::solver::problem::*;

fn option(at: usize, shift: usize, limits: LayoutLimits) -> OptionSpec {
    let modifier = if at == 0 { Modifier::LINEAR } else { Modifier((1 << 56) | (at + shift) as u64) };
    OptionSpec {
        format: Fourcc::XRGB8888.into(),
        modifier: modifier.into(),
        rank: (at % 3 != 0).then_some(at as u32),
        limits,
    }
}

/// A problem of the given dimensions that has a solution.
pub fn problem(participants: usize, options: usize, heaps: usize) -> Problem {
    let participant = |at: usize| {
        let limits = LayoutLimits {
            pitch_align: Some(64 << (at % 3)),
            max_pitch: (at % 2 == 1).then_some(16384),
            ..LayoutLimits::default()
        };
        let options: Vec<OptionSpec> = (0..options).map(|o| option(o, at * options / 8, limits)).collect();
        let scanout = at % 2 == 1;
        Participant {
            name: format!("p{at}"),
            device: Some(format!("d{at}")),
            role: if scanout { Role::Scanout } else { Role::Render },
            required: !scanout,
            weight: 10,
            options: (!scanout).then(|| options.clone()),
            alternatives: scanout.then(|| vec![Alternative { name: Some("plane-31".into()), options }]),
            memory: MemoryLimits { contiguous: scanout, ..MemoryLimits::default() },
            counts: Counts { camping: Some(1), ..Counts::default() },
            ..Participant::default()
        }
    };
    let heap = |at: usize| HeapFacts {
        id: format!("h{at}"),
        pool: Some(format!("pool{at}")),
        contiguous: at % 2 == 1,
        cached: true,
        free: (at % 2 == 1).then_some(256 << 20),
        ..HeapFacts::default()
    };
    let link = |at: usize| Link {
        device: format!("d{}", at % participants),
        heap: format!("h{at}"),
        verdict: Verdict::Accepts,
        evidence: Evidence::Probed,
        bytes: Some(8_294_400),
    };
    Problem {
        size: Size::new(1920, 1080),
        count: 3,
        participants: (0..participants).map(participant).collect(),
        heaps: (0..heaps).map(heap).collect(),
        links: (0..heaps).map(link).collect(),
        iommu: vec!["d0".into()],
    }
}

/// The same, without a solution: the last two want pitches that exclude each other.
pub fn contradictory(participants: usize, options: usize, heaps: usize) -> Problem {
    let mut problem = problem(participants, options, heaps);
    if let [.., a, b] = problem.participants.as_mut_slice() {
        (a.required, b.required) = (true, true);
        a.limits.min_pitch = Some(16384);
        b.limits.max_pitch = Some(8192);
    }
    problem
}

/// A problem whose first choice fits: everybody lists the same options, the best of them first, and nobody refuses a heap.
pub fn first_fits(participants: usize, options: usize, heaps: usize) -> Problem {
    let listed: Vec<OptionSpec> = (0..options)
        .map(|at| OptionSpec { rank: Some(at as u32), ..option(at, 0, LayoutLimits::default()) })
        .collect();
    let participant = |at: usize| Participant {
        name: format!("p{at}"),
        device: Some(format!("d{at}")),
        options: Some(listed.clone()),
        ..Participant::default()
    };
    let heap = |at: usize| HeapFacts { id: format!("h{at}"), cached: true, ..HeapFacts::default() };
    Problem {
        size: Size::new(1920, 1080),
        participants: (0..participants).map(participant).collect(),
        heaps: (0..heaps).map(heap).collect(),
        ..Problem::default()
    }
}
