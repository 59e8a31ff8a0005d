//! How long a solution takes, on a parsed problem: participants x options x heaps.
//!
//! Every participant accepts the same format with as many modifiers as it has options, half of them in common with its neighbours,
//! so that formats are rejected for several reasons and several pairs remain to be compared. Every second heap is refused by
//! somebody.

#![allow(missing_docs)] // The macros of criterion make an undocumented function.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heapwright_alloc::solver::problem::*;
use heapwright_alloc::solver::{Answer, solve};

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
fn problem(participants: usize, options: usize, heaps: usize) -> Problem {
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
fn contradictory(participants: usize, options: usize, heaps: usize) -> Problem {
    let mut problem = problem(participants, options, heaps);
    if let [.., a, b] = problem.participants.as_mut_slice() {
        (a.required, b.required) = (true, true);
        a.limits.min_pitch = Some(16384);
        b.limits.max_pitch = Some(8192);
    }
    problem
}

fn solver(criterion: &mut Criterion) {
    for (name, make, solvable) in
        [("solve", problem as fn(usize, usize, usize) -> Problem, true), ("conflict", contradictory, false)]
    {
        let mut group = criterion.benchmark_group(name);
        for (participants, options, heaps) in [(3, 20, 4), (6, 100, 8), (10, 400, 16)] {
            let problem = make(participants, options, heaps);
            assert_eq!(
                matches!(solve(&problem), Answer::Solved(_)),
                solvable,
                "{}",
                solve(&problem).to_json()
            );
            let id = BenchmarkId::from_parameter(format!("{participants}x{options}x{heaps}"));
            group.bench_with_input(id, &problem, |bencher, problem| bencher.iter(|| solve(problem)));
        }
        group.finish();
    }
}

criterion_group!(benches, solver);
criterion_main!(benches);
