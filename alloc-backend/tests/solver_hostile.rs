//! Hostile problems: no input makes the solver panic, hang, or wrap around.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

use std::time::{Duration, Instant};

use heapwright_alloc::solver::problem::*;
use heapwright_alloc::solver::{Answer, Limits, solve, solve_with};
use proptest::prelude::*;

fn option(limits: LayoutLimits) -> OptionSpec {
    OptionSpec { format: Fourcc::XRGB8888.into(), modifier: Modifier::LINEAR.into(), rank: None, limits }
}

fn participant(name: impl Into<String>, options: Vec<OptionSpec>) -> Participant {
    Participant {
        name: name.into(),
        device: Some("d".into()),
        options: Some(options),
        ..Participant::default()
    }
}

fn one(limits: LayoutLimits) -> Problem {
    Problem {
        size: Size::new(64, 64),
        participants: vec![participant("p", vec![option(limits)])],
        heaps: vec![HeapFacts { id: "h".into(), ..HeapFacts::default() }],
        ..Problem::default()
    }
}

/// Solves and says how it went, within seconds even without optimisation on a busy machine.
fn status(problem: &Problem) -> &'static str {
    let begin = Instant::now();
    let answer = solve(problem);
    assert!(begin.elapsed() < Duration::from_secs(60), "took {:?}", begin.elapsed());
    match answer {
        Answer::Solved(_) => "solved",
        Answer::Unsatisfiable { .. } => "unsatisfiable",
        Answer::Underconstrained { .. } => "underconstrained",
        Answer::SearchLimit { .. } => "search_limit",
        Answer::Invalid { .. } => "invalid",
    }
}

/// The members of a conflict, as `participant.field`.
fn conflict(problem: &Problem) -> Vec<String> {
    match solve(problem) {
        Answer::Unsatisfiable { conflict, .. } => {
            conflict.into_iter().map(|culprit| format!("{}.{}", culprit.participant, culprit.field)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sizes_from_nothing_to_the_largest() {
    let sized = |width, height| Problem { size: Size::new(width, height), ..one(LayoutLimits::default()) };
    assert_eq!(status(&sized(0, 0)), "invalid");
    assert_eq!(status(&sized(0, 1)), "invalid");
    assert_eq!(status(&sized(1 << 31, 0)), "invalid");
    assert_eq!(status(&sized(1 << 31, 1)), "solved");
    // 2^31 x 2^31 x 4 bytes is 2^64: one more than fits.
    assert_eq!(status(&sized(1 << 31, 1 << 31)), "unsatisfiable");
    assert_eq!(conflict(&sized(1 << 31, 1 << 31)), ["(problem).size"]);
    assert_eq!(status(&sized(u32::MAX, u32::MAX)), "unsatisfiable");
    let many = Problem { count: u32::MAX, ..sized(1 << 31, 1 << 10) };
    // Fewer of them would do, and so would smaller ones.
    assert_eq!(conflict(&many), ["(problem).count", "(problem).size"]);
}

#[test]
fn overflowing_limits_are_refused_and_never_wrap() {
    const HUGE: Option<u64> = Some(u64::MAX);
    const PRIME: Option<u64> = Some(u64::MAX - 58); // the largest 64-bit prime
    for limits in [
        LayoutLimits { pitch_align: HUGE, ..Default::default() },
        LayoutLimits { min_pitch: HUGE, ..Default::default() },
        LayoutLimits { min_pitch: HUGE, pitch_align: Some(2), ..Default::default() },
        LayoutLimits { exact_pitch: Some(ExactPitch::Bytes(u64::MAX)), ..Default::default() },
        LayoutLimits { alloc_height_align: HUGE, ..Default::default() },
        LayoutLimits { exact_rows: HUGE, ..Default::default() },
        LayoutLimits { pad_beyond_image: HUGE, ..Default::default() },
        LayoutLimits { size_align: PRIME, ..Default::default() },
        LayoutLimits { base_align: PRIME, ..Default::default() },
        LayoutLimits { max_pitch: Some(0), ..Default::default() },
        LayoutLimits { max_size_bytes: Some(0), ..Default::default() },
        LayoutLimits { max_area: Some(0), ..Default::default() },
        LayoutLimits { width_align: HUGE, ..Default::default() },
    ] {
        assert_eq!(status(&one(limits)), "unsatisfiable", "{limits:?}");
        assert!(!conflict(&one(limits)).is_empty());
        let multi_planar = |format| {
            let mut problem = one(limits);
            problem.participants[0].options =
                Some(vec![OptionSpec { format: Match::Is(format), ..option(limits) }]);
            problem
        };
        for format in [Fourcc::NV12, Fourcc::YUV420, Fourcc::NV24] {
            assert_eq!(status(&multi_planar(format)), "unsatisfiable", "{format} {limits:?}");
        }
    }
    // Two alignments without a common multiple in 64 bits, each harmless alone for an optional party.
    let mut problem = one(LayoutLimits { plane_offset_align: PRIME, ..Default::default() });
    problem.participants.push(participant(
        "q",
        vec![option(LayoutLimits { plane_offset_align: Some(u64::MAX), ..Default::default() })],
    ));
    assert_eq!(conflict(&problem), ["p.plane_offset_align", "q.plane_offset_align"]);
    problem.participants[1].required = false;
    assert_eq!(status(&problem), "solved");
}

#[test]
fn zeros_where_nothing_can_be_divided_are_invalid() {
    let cases: [fn(&mut Problem); 7] = [
        |p| p.count = 0,
        |p| p.heaps[0].page_size = 0,
        |p| p.heaps[0].id.clear(),
        |p| p.participants[0].limits.pitch_align = Some(0),
        |p| p.participants[0].options.as_mut().unwrap()[0].limits.size_align = Some(0),
        |p| p.participants[0].memory.max_segment_size = Some(0),
        |p| p.participants[0].alternatives = Some(Vec::new()),
    ];
    for case in cases {
        let mut problem = one(LayoutLimits::default());
        case(&mut problem);
        let answer = solve(&problem);
        assert_eq!(answer.exit_code(), 2, "{answer:?}");
    }
}

#[test]
fn a_heap_of_extremes_neither_wraps_nor_divides_by_nothing() {
    for facts in [
        HeapFacts { page_size: u64::MAX, ..HeapFacts::default() },
        HeapFacts { free: Some(0), ..HeapFacts::default() },
        HeapFacts { free: Some(u64::MAX), ..HeapFacts::default() },
        HeapFacts { max_bytes: Some(0), ..HeapFacts::default() },
    ] {
        let mut problem = one(LayoutLimits { size_align: Some(3 << 20), ..Default::default() });
        problem.heaps = vec![HeapFacts { id: "h".into(), ..facts }];
        status(&problem);
        problem.count = u32::MAX;
        status(&problem);
    }
}

#[test]
fn ten_thousand_participants() {
    let crowd = |n: usize, required: bool, limits: fn(usize) -> LayoutLimits| {
        let mut problem = one(LayoutLimits::default());
        problem.participants = (0..n)
            .map(|at| Participant { required, ..participant(format!("p{at}"), vec![option(limits(at))]) })
            .collect();
        problem
    };
    assert_eq!(status(&crowd(10_000, true, |_| LayoutLimits::default())), "solved");
    assert_eq!(status(&crowd(10_000, false, |_| LayoutLimits::default())), "solved");
    // Two of them contradict each other; they are found.
    let clash = |at| LayoutLimits {
        min_pitch: (at == 1234).then_some(512),
        max_pitch: (at == 9876).then_some(511),
        ..LayoutLimits::default()
    };
    assert_eq!(conflict(&crowd(10_000, true, clash)), ["p1234.min_pitch", "p9876.max_pitch"]);
    // Every two of them contradict each other: which to drop is exponential.
    let quarrel = |at: usize| LayoutLimits {
        exact_pitch: Some(ExactPitch::Bytes(256 + at as u64)),
        ..LayoutLimits::default()
    };
    assert_eq!(status(&crowd(10_000, false, quarrel)), "search_limit");
    assert_eq!(status(&crowd(10_000, true, quarrel)), "unsatisfiable");
    // All ten thousand are the conflict.
    let mut camping = crowd(10_000, true, |_| LayoutLimits::default());
    for participant in &mut camping.participants {
        participant.counts = Counts { camping: Some(1), max_count: Some(9_999), ..Counts::default() };
    }
    assert!(["search_limit", "unsatisfiable"].contains(&status(&camping)));
}

#[test]
fn a_hundred_thousand_options() {
    let many = |n: u64| -> Vec<OptionSpec> {
        (0..n)
            .map(|at| OptionSpec { modifier: Match::Is(Modifier(at)), ..option(LayoutLimits::default()) })
            .collect()
    };
    let mut problem = one(LayoutLimits::default());
    problem.participants = vec![participant("a", many(100_000)), participant("b", many(100_000))];
    assert_eq!(status(&problem), "solved");
    // The same option a hundred thousand times.
    problem.participants = vec![
        participant("a", vec![option(LayoutLimits::default()); 100_000]),
        participant("b", vec![option(LayoutLimits::default()); 100_000]),
    ];
    assert_eq!(status(&problem), "solved");
    // A hundred thousand that differ, for one pair, at two who never agree.
    let differing = |odd: u64| -> Vec<OptionSpec> {
        let exact = |at: u64| Some(ExactPitch::Bytes(256 + 2 * at + odd));
        (0..100_000)
            .map(|at| option(LayoutLimits { exact_pitch: exact(at), ..LayoutLimits::default() }))
            .collect()
    };
    problem.participants = vec![participant("a", differing(0)), participant("b", differing(1))];
    assert_eq!(status(&problem), "search_limit");
    // Formats and modifiers that fan out to a square of pairs.
    let formats = (0..50_000).map(|at| OptionSpec { format: Match::Is(Fourcc(at)), ..OptionSpec::default() });
    let modifiers =
        (0..50_000).map(|at| OptionSpec { modifier: Match::Is(Modifier(at)), ..OptionSpec::default() });
    problem.participants = vec![participant("a", formats.chain(modifiers).collect())];
    assert!(["search_limit", "unsatisfiable", "underconstrained"].contains(&status(&problem)));
}

#[test]
fn ten_thousand_heaps_and_links() {
    let mut problem = one(LayoutLimits::default());
    problem.heaps =
        (0..10_000).map(|at| HeapFacts { id: format!("h{at}"), ..HeapFacts::default() }).collect();
    problem.links = (0..10_000)
        .map(|at| Link {
            device: "d".into(),
            heap: format!("h{at}"),
            verdict: Verdict::Refuses,
            evidence: Evidence::Probed,
            bytes: None,
        })
        .collect();
    assert_eq!(conflict(&problem), ["p.link"]);
    problem.links.pop();
    assert_eq!(status(&problem), "solved");
    problem.participants =
        (0..10_000).map(|at| participant(format!("p{at}"), vec![option(LayoutLimits::default())])).collect();
    assert_eq!(status(&problem), "search_limit");
}

#[test]
fn the_bound_is_what_was_asked_for() {
    let answer = solve_with(&one(LayoutLimits::default()), &Limits { max_steps: 3 });
    assert_eq!(answer, Answer::SearchLimit { bound: 3 });
    assert_eq!(answer.to_json(), r#"{"status":"search_limit","bound":3}"#);
}

#[test]
fn text_that_is_no_problem_says_where() {
    let deep = format!("{{\"size\":[1,1],\"participants\":{}", "[".repeat(100_000));
    for (text, place, why) in [
        ("", "line 1 column 0", "EOF"),
        ("{", "line 1 column 1", "EOF"),
        ("{\"size\":[1920,", "line 1", "EOF"),
        ("{\"count\":1}", "line 1", "missing field `size`"),
        ("{\"size\":[1,1],\"sise\":1}", "line 1", "unknown field `sise`"),
        ("{\"size\":[1,1],\n\"count\":-1}", "line 2", "invalid value"),
        ("{\"size\":[1,1],\"count\":1e99}", "line 1", "invalid type"),
        ("{\"size\":[1,1],\"count\":99999999999999999999}", "line 1", "invalid"),
        ("{\"size\":[0,1]}", "size", "no pixels"),
        ("{\"size\":[1,1],\"participants\":[{}]}", "line 1", "missing field `name`"),
        (
            "{\"size\":[1,1],\"participants\":[{\"name\":\"a\",\"options\":[{\"pitch\":1}]}]}",
            "line 1",
            "unknown field `pitch`",
        ),
        (
            "{\"size\":[1,1],\"participants\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
            "participants[1].name",
            "twice",
        ),
        (
            "{\"size\":[1,1],\"participants\":[{\"name\":\"a\",\"options\":[{\"pitch_align\":0}]}]}",
            "participants[0].options[0].pitch_align",
            "multiple of 0",
        ),
        (
            "{\"size\":[1,1],\"participants\":[{\"name\":\"a\",\"options\":[{\"format\":\"XR244\"}]}]}",
            "line 1",
            "not a format",
        ),
        (&deep, "line 1", "invalid type"),
    ] {
        let invalid = Problem::from_json(text).unwrap_err();
        assert!(invalid.where_.contains(place), "{text:.60}: {invalid}");
        assert!(invalid.why.contains(why), "{text:.60}: {invalid}");
        assert_eq!(Answer::from(invalid).exit_code(), 2);
    }
}

/// JSON made of the words of the problem file, mostly put together wrongly.
fn scrambled() -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(vec![
        "size",
        "count",
        "participants",
        "heaps",
        "links",
        "iommu",
        "name",
        "device",
        "options",
        "alternatives",
        "groups",
        "format",
        "modifier",
        "rank",
        "memory",
        "counts",
        "pitch_align",
        "max_pitch",
        "min_size",
        "id",
        "free",
        "page_size",
        "required",
        "weight",
        "exact_pitch",
        "chroma_pitch",
        "cpu_access",
        "coherency",
        "camping",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (0_u32..5).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec!["XR24", "LINEAR", "any", "", "h0", "packed", "0x1", "\u{0}"])
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|pairs| pairs
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(problem) = Problem::from_json(&String::from_utf8_lossy(&bytes)) {
            let _ = solve(&problem).to_json();
        }
    }

    #[test]
    fn arbitrary_json_never_panics(mut value in scrambled()) {
        if let Some(object) = value.as_object_mut() {
            object.insert("size".into(), serde_json::json!([3, 3]));
        }
        if let Ok(problem) = Problem::from_json(&value.to_string()) {
            let _ = solve(&problem).to_json();
        }
    }

    #[test]
    fn a_damaged_problem_never_panics(at in 0_usize..1200, byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = include_str!("solver_example.json").as_bytes().to_vec();
        if cut {
            bytes.truncate(at);
        } else if let Some(damaged) = bytes.get_mut(at) {
            *damaged = byte;
        }
        if let Ok(problem) = Problem::from_json(&String::from_utf8_lossy(&bytes)) {
            let _ = solve(&problem).to_json();
        }
    }
}
