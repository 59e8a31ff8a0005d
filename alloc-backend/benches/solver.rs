//! How long a solution takes, on a parsed problem: participants x options x heaps. `solver_percentiles` has p99 and growth.

#![allow(missing_docs)] // The macros of criterion make an undocumented function.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heapwright_alloc::solver::{Answer, Problem, solve};

mod problems;

use problems::{contradictory, problem};

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
