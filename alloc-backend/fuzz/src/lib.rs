//! What the fuzz targets do with the bytes they get: plain functions, so that tests can drive them too.
//!
//! A function returns normally, whatever the bytes; a panic is a finding.

use heapwright_alloc::links::quirks::{KernelVersion, Subject, Table, parse};
use heapwright_alloc::solver::problem::{HeapFacts, OptionSpec, Participant};
use heapwright_alloc::solver::{Answer, Limits, Problem, solve_with};

/// Enough for every problem that a person would write, and little enough to try many in a second.
const LIMITS: Limits = Limits { max_steps: 50_000 };

/// Parses and solves a problem file.
///
/// # Panics
/// If a problem or an answer does not read back as it was written, or a solution contradicts itself.
pub fn problem_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(problem) = Problem::from_json(text) else { return };
    let written = serde_json::to_string(&problem);
    assert!(
        written.as_ref().is_ok_and(|text| Problem::from_json(text).as_ref() == Ok(&problem)),
        "the problem does not read back: {written:?}"
    );

    let answer = solve_with(&problem, &LIMITS);
    let json = answer.to_json();
    assert!(
        serde_json::from_str::<Answer>(&json).is_ok_and(|read| read == answer),
        "the answer does not read back: {json}"
    );
    assert!(solve_with(&problem, &LIMITS) == answer, "another answer the second time: {json}");
    if let Answer::Solved(found) = &answer {
        let needed: Vec<&String> =
            problem.participants.iter().filter(|p| p.required).map(|p| &p.name).collect();
        assert!(
            needed.iter().all(|name| found.satisfied.contains(name)),
            "a required one is dropped: {json}"
        );
        assert!(found.count >= u64::from(problem.count), "too few buffers: {json}");
        assert!(found.size.checked_mul(found.count).is_some(), "more bytes than there are: {json}");
        let mut end = 0_u64;
        for plane in &found.planes {
            assert!(plane.offset >= end, "planes overlap: {json}");
            end = plane.offset.saturating_add(plane.size);
        }
        assert!(end <= found.size, "a plane beyond the end: {json}");
    }
}

/// Parses a quirk table and applies it to every driver that it names.
///
/// # Panics
/// If a table does not read back as it was written, or widens what a participant takes.
pub fn quirk_table(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(table) = parse(text) else { return };
    let written = serde_json::to_string(&table);
    assert!(
        written
            .as_ref()
            .is_ok_and(|text| serde_json::from_str::<Table>(text).is_ok_and(|read| read == table)),
        "the table does not read back: {written:?}"
    );
    let heaps = [true, false].map(|contiguous| HeapFacts {
        id: format!("h{}", u8::from(contiguous)),
        contiguous,
        ..HeapFacts::default()
    });
    for driver in table.rules().iter().flat_map(|rule| &rule.drivers) {
        for (kernel, iommu) in [(KernelVersion::of_release("6.12.1"), false), (None, true)] {
            let subject = Subject { device: "card0", driver, kernel, iommu };
            let mut participant =
                Participant { options: Some(vec![OptionSpec::default()]), ..Participant::default() };
            table.narrow(&subject, &mut participant);
            assert!(participant.options.is_some_and(|options| options.len() <= 1), "an option more: {text}");
            let links = table.links(&subject, &heaps);
            assert!(
                links.iter().all(|link| heaps.iter().any(|heap| heap.id == link.heap)),
                "a heap more: {text}"
            );
        }
    }
    let rules = table.rules().len();
    let enabled = table.rules().iter().filter(|rule| !rule.disable).count();
    let twice = table.clone().overlaid(table);
    assert!(
        twice.rules().len() <= rules && twice.rules().len() >= enabled.min(rules),
        "rules came or went: {text}"
    );
}
