//! The order in which a problem is written down is of no consequence to its answer.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

mod solver_support;

use heapwright_alloc::solver::{Problem, solve};
use proptest::prelude::*;
use solver_support::problem;

fn shuffled() -> impl Strategy<Value = (Problem, Problem)> {
    problem().prop_flat_map(|problem| {
        let participants = Just(problem.participants.clone()).prop_shuffle();
        let heaps = Just(problem.heaps.clone()).prop_shuffle();
        let links = Just(problem.links.clone()).prop_shuffle();
        let iommu = Just(problem.iommu.clone()).prop_shuffle();
        let size = (problem.size, problem.count);
        let other =
            (participants, heaps, links, iommu).prop_map(move |(participants, heaps, links, iommu)| {
                Problem { size: size.0, count: size.1, participants, heaps, links, iommu }
            });
        (Just(problem), other)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn shuffling_the_problem_does_not_change_the_answer((problem, other) in shuffled()) {
        prop_assert_eq!(solve(&problem), solve(&other));
        prop_assert_eq!(solve(&problem), solve(&problem));
    }

    #[test]
    fn a_problem_reads_back_from_its_own_file(problem in problem()) {
        let text = serde_json::to_string(&problem).unwrap();
        prop_assert_eq!(Problem::from_json(&text), Ok(problem));
    }

    #[test]
    fn an_answer_reads_back_from_its_own_json(problem in problem()) {
        let answer = solve(&problem);
        prop_assert_eq!(serde_json::from_str::<heapwright_alloc::solver::Answer>(&answer.to_json()).unwrap(), answer);
    }
}
