//! Problems as they occur on real boards, and what a person would answer.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

use heapwright_alloc::solver::{Answer, Problem, Resolution, solve};
use serde_json::{Value, json};

fn answer(problem: &Value) -> Answer {
    let text = problem.to_string();
    solve(&Problem::from_json(&text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

fn solved(problem: &Value) -> Resolution {
    match answer(problem) {
        Answer::Solved(resolution) => resolution,
        other => panic!("{}", other.to_json()),
    }
}

/// The members of the conflict, as `participant.field=value`.
fn conflict(problem: &Value) -> Vec<String> {
    match answer(problem) {
        Answer::Unsatisfiable { conflict, .. } => {
            conflict.into_iter().map(|c| format!("{}.{}={}", c.participant, c.field, c.value)).collect()
        }
        other => panic!("{}", other.to_json()),
    }
}

/// The reasons, as `rejected: participant.field=value`.
fn reasons(resolution: &Resolution) -> Vec<String> {
    let text = |reason: &heapwright_alloc::solver::Reason| {
        let rejected = serde_json::to_string(&reason.rejected).unwrap();
        format!("{rejected}: {}.{}={}", reason.participant, reason.field, reason.value)
    };
    resolution.reasons.iter().map(text).collect()
}

fn xr24(name: &str, device: &str) -> Value {
    json!({ "name": name, "device": device, "options": [{ "format": "XR24", "modifier": "LINEAR" }] })
}

fn with(mut value: Value, changes: Value) -> Value {
    let (Some(object), Value::Object(changes)) = (value.as_object_mut(), changes) else { panic!("objects") };
    object.extend(changes);
    value
}

fn system_and_cma() -> Value {
    json!([
        { "id": "sys", "pool": "ram", "cached": true },
        { "id": "cma", "pool": "cma0", "contiguous": true, "cached": true, "free": 100_000_000 }
    ])
}

fn problem(participants: Value, heaps: Value) -> Value {
    json!({ "size": [1920, 1080], "participants": participants, "heaps": heaps })
}

#[test]
fn who_does_not_need_contiguous_memory_does_not_get_it() {
    let found = solved(&problem(json!([xr24("gpu", "v3d")]), system_and_cma()));
    assert_eq!(found.heap, "sys");
    assert_eq!(reasons(&found), [r#"{"heap":"cma"}: (cost).pressure=82 against 0"#]);
}

#[test]
fn the_display_of_a_split_board_needs_contiguous_memory_unless_an_iommu_stands_before_it() {
    let panel = with(xr24("panel", "vc4"), json!({ "memory": { "contiguous": true } }));
    let asked = problem(json!([xr24("gpu", "v3d"), panel]), system_and_cma());
    assert_eq!(solved(&asked).heap, "cma");
    assert_eq!(solved(&with(asked, json!({ "iommu": ["vc4"] }))).heap, "sys");
}

#[test]
fn an_optional_display_is_dropped_when_its_memory_runs_out_and_comes_back() {
    let panel = json!({ "required": false, "weight": 7, "memory": { "contiguous": true } });
    let free = |free: u64| {
        let heaps = json!([
            { "id": "sys", "pool": "ram" },
            { "id": "cma", "pool": "cma0", "contiguous": true, "free": free }
        ]);
        solved(&problem(json!([xr24("gpu", "v3d"), with(xr24("panel", "vc4"), panel.clone())]), heaps))
    };
    let dry = free(8_294_399);
    assert_eq!((dry.heap.as_str(), dry.dropped.as_slice()), ("sys", &["panel".to_owned()][..]));
    assert_eq!(dry.cost[..2], [7, 1]);
    assert!(reasons(&dry).contains(&r#"{"participant":"panel"}: panel.contiguous=true"#.to_owned()));
    assert!(reasons(&dry).contains(&r#"{"heap":"cma"}: (pool cma0).free=8294399"#.to_owned()));
    let back = free(8_294_400);
    assert_eq!((back.heap.as_str(), back.dropped.len()), ("cma", 0));
}

#[test]
fn the_lightest_participants_are_dropped_and_no_more_than_needed() {
    let contiguous = |name: &str, weight: u64, yes: bool| {
        let memory = json!({ "contiguous": yes, "protected": !yes });
        with(xr24(name, "d"), json!({ "required": false, "weight": weight, "memory": memory }))
    };
    let heaps = json!([{ "id": "c", "contiguous": true }, { "id": "p", "protected": true }]);
    let people = json!([contiguous("a", 2, true), contiguous("b", 2, true), contiguous("c", 3, false)]);
    let found = solved(&problem(people, heaps));
    assert_eq!((found.heap.as_str(), found.dropped.as_slice()), ("c", &["c".to_owned()][..]));
    assert_eq!(found.cost[0], 3);
}

#[test]
fn heaps_that_share_a_pool_share_its_budget_and_permission() {
    let heaps = json!([
        { "id": "default", "pool": "cma", "contiguous": true, "free": 5_000_000 },
        { "id": "reserved", "pool": "cma", "contiguous": true }
    ]);
    let panel = with(xr24("panel", "vc4"), json!({ "memory": { "permitted_heaps": ["reserved"] } }));
    let asked = problem(json!([panel]), heaps);
    assert_eq!(conflict(&asked), ["(pool cma).free=5000000", "(problem).size=1920x1080"]);
    assert_eq!(solved(&with(asked, json!({ "size": [640, 480] }))).heap, "default");
}

#[test]
fn a_small_probe_is_no_evidence_for_a_large_buffer() {
    let links = |bytes: u64| json!({ "links": [{ "device": "d", "heap": "b", "verdict": "accepts", "evidence": "probed", "bytes": bytes }] });
    let asked = problem(json!([xr24("p", "d")]), json!([{ "id": "a" }, { "id": "b" }]));
    let proven = solved(&with(asked.clone(), links(8_294_400)));
    assert_eq!((proven.heap.as_str(), proven.cost[5]), ("b", 0));
    assert_eq!(reasons(&proven), [r#"{"heap":"a"}: (cost).evidence=1 against 0"#]);
    let lucky = solved(&with(asked, links(1 << 20)));
    assert_eq!((lucky.heap.as_str(), lucky.cost[5]), ("a", 1));
}

#[test]
fn stronger_evidence_settles_a_tie() {
    let links = json!({ "links": [
        { "device": "d", "heap": "a", "verdict": "accepts", "evidence": "table" },
        { "device": "d", "heap": "b", "verdict": "accepts", "evidence": "declared" }
    ] });
    let asked = problem(json!([xr24("p", "d")]), json!([{ "id": "a" }, { "id": "b" }]));
    assert_eq!(solved(&with(asked, links)).heap, "b");
}

#[test]
fn the_fastest_modifier_wins_and_one_without_a_rank_never_does() {
    let options = json!([
        { "format": "XR24", "modifier": "LINEAR" },
        { "format": "XR24", "modifier": "I915_X_TILED", "rank": 500 },
        { "format": "XR24", "modifier": "I915_Y_TILED", "rank": 3 }
    ]);
    let gpu = json!({ "name": "gpu", "options": options });
    let found = solved(&problem(json!([gpu.clone()]), json!([{ "id": "h" }])));
    assert_eq!((found.modifier.to_string().as_str(), found.cost[2]), ("I915_Y_TILED", 3));
    // Not even where that is the only difference.
    let plane = json!({ "name": "plane", "options": [
        { "format": "XR24", "modifier": "LINEAR" }, { "format": "XR24", "modifier": "I915_X_TILED" }
    ] });
    let found = solved(&problem(json!([gpu, plane]), json!([{ "id": "h" }])));
    assert_eq!(found.modifier.to_string(), "I915_X_TILED");
}

#[test]
fn options_of_different_planes_are_never_mixed() {
    let panel = json!({ "name": "panel", "alternatives": [
        { "name": "primary", "options": [{ "format": "XR24", "modifier": "I915_X_TILED" }] },
        { "name": "overlay", "options": [{ "format": "NV12", "modifier": "LINEAR", "max_pitch": 1000 }] },
        { "name": "cursor", "options": [{ "format": "XR24", "modifier": "LINEAR", "max_size": [64, 64] }] }
    ] });
    let asked = problem(json!([panel, xr24("gpu", "d")]), json!([{ "id": "h" }]));
    assert_eq!(
        conflict(&asked),
        [
            "gpu.format=XR24",
            "gpu.modifier=LINEAR",
            "panel.format=NV12, XR24",
            "panel.max_size=64x64",
            "panel.modifier=LINEAR, I915_X_TILED"
        ]
    );
    let small = solved(&with(asked, json!({ "size": [64, 64] })));
    assert_eq!(small.alternatives["panel"], "cursor");
    assert_eq!(
        reasons(&small)[2..],
        [
            r#"{"participant":"panel","alternative":"primary"}: panel.modifier=I915_X_TILED"#,
            r#"{"participant":"panel","alternative":"overlay"}: panel.format=NV12"#
        ]
    );
}

#[test]
fn of_each_group_one_alternative_is_taken_and_all_hold_together() {
    let panel = json!({ "name": "panel", "groups": [
        [{ "name": "plane-1", "options": [{ "format": "any", "modifier": "LINEAR", "pitch_align": 64 }] },
         { "name": "plane-2", "options": [{ "format": "any", "modifier": "I915_X_TILED" }] }],
        [{ "name": "writeback", "options": [{ "format": "XR24", "modifier": "LINEAR", "pitch_align": 100 }] }]
    ] });
    let found = solved(&with(problem(json!([panel]), json!([{ "id": "h" }])), json!({ "size": [10, 10] })));
    assert_eq!(found.alternatives["panel"], "plane-1+writeback");
    assert_eq!(found.planes[0].pitch, 1600);
}

#[test]
fn nobody_names_a_format() {
    for (format, modifier, fields) in [
        ("any", "LINEAR", &["format"][..]),
        ("XR24", "any", &["modifier"]),
        ("any", "any", &["format", "modifier"]),
    ] {
        let one = json!({ "name": "a", "options": [{ "format": format, "modifier": modifier }] });
        match answer(&problem(json!([one, { "name": "cpu" }]), json!([{ "id": "h" }]))) {
            Answer::Underconstrained { fields: got, .. } => assert_eq!(got, fields),
            other => panic!("{}", other.to_json()),
        }
    }
    // Who names one may be needed for nothing else.
    let gpu = json!({ "name": "gpu", "options": [{ "format": "any", "modifier": "any" }] });
    assert_eq!(
        solved(&problem(json!([gpu, xr24("client", "d")]), json!([{ "id": "h" }]))).format.to_string(),
        "XR24"
    );
}

#[test]
fn conflicts_name_those_who_contradict_and_nobody_else() {
    let ok = xr24("bystander", "d");
    let cases = [
        (json!({ "max_pitch": 7000 }), json!({}), &["a.max_pitch=7000"][..]),
        (
            json!({ "max_pitch": 8000 }),
            json!({ "pitch_align": 4096 }),
            &["a.max_pitch=8000", "b.pitch_align=4096"],
        ),
        (json!({ "max_size": [1024, 768] }), json!({}), &["a.max_size=1024x768"]),
        (
            json!({ "sync": ["explicit"] }),
            json!({ "sync": "implicit" }),
            &["a.sync=explicit", "b.sync=implicit"],
        ),
        (
            json!({ "counts": { "max_count": 2 } }),
            json!({ "counts": { "camping": 3 } }),
            &["a.max_count=2", "b.camping=3"],
        ),
        (
            json!({ "memory": { "coherency": ["cached"] } }),
            json!({ "memory": { "contiguous": true } }),
            &["a.coherency=cached", "b.contiguous=true"],
        ),
        (
            json!({ "memory": { "protected": true } }),
            json!({ "memory": { "can_protected": true, "cpu_access": "rare" } }),
            &["a.protected=true", "b.cpu_access=read rare, write rare"],
        ),
        (
            json!({ "memory": { "permitted_heaps": ["sys"] } }),
            json!({ "memory": { "permitted_heaps": ["cma"] } }),
            &["a.permitted_heaps=sys", "b.permitted_heaps=cma"],
        ),
    ];
    let heaps = json!([
        { "id": "sys", "cached": true },
        { "id": "cma", "contiguous": true },
        { "id": "tee", "contiguous": true, "protected": true }
    ]);
    for (a, b, want) in cases {
        let a = with(with(xr24("a", "d"), json!({ "memory": { "can_protected": true } })), a);
        let b = with(with(xr24("b", "d"), json!({ "memory": { "can_protected": true } })), b);
        let ok = with(ok.clone(), json!({ "memory": { "can_protected": true } }));
        assert_eq!(conflict(&problem(json!([ok, b, a]), heaps.clone())), want);
    }
}

#[test]
fn uncached_memory_is_dear_to_who_reads_it_with_the_cpu() {
    let heaps = json!([{ "id": "a", "cached": false }, { "id": "b", "cached": true, "free": 100_000_000 }]);
    let cpu = |access: Value| with(xr24("cpu", "d"), json!({ "memory": { "cpu_access": access } }));
    // Pressure weighs more than the CPU's cost: the elastic pool stays the choice.
    assert_eq!(solved(&problem(json!([cpu(json!("often"))]), heaps)).cost[4], 68);
    let elastic = json!([{ "id": "a", "cached": false }, { "id": "b", "cached": true }]);
    for (access, heap, cost) in [
        (json!("often"), "b", 4),
        (json!({ "read": "rare" }), "b", 1),
        (json!({ "write": "rare" }), "a", 1),
        (json!("none"), "a", 0),
    ] {
        let found = solved(&problem(json!([cpu(access)]), elastic.clone()));
        assert_eq!((found.heap.as_str(), found.cost[4]), (heap, cost));
    }
}

#[test]
fn a_devices_own_memory_is_for_those_who_may_reach_it() {
    let vram = json!([{ "id": "vram", "device": "gpu" }, { "id": "sys", "free": 10_000_000 }]);
    let people =
        |p2p: Value| json!([xr24("render", "gpu"), with(xr24("screen", "usb"), json!({ "memory": p2p }))]);
    // Not stated: it may, at the price of a migration, so system memory is better.
    let found = solved(&problem(people(json!({})), vram.clone()));
    assert_eq!(found.heap, "sys");
    assert!(reasons(&found).contains(&r#"{"heap":"vram"}: (cost).copies=1 against 0"#.to_owned()));
    assert_eq!(solved(&problem(people(json!({ "p2p_ok": true })), vram.clone())).heap, "vram");
    let found = solved(&problem(people(json!({ "p2p_ok": false })), vram));
    assert_eq!(reasons(&found), [r#"{"heap":"vram"}: screen.p2p_ok=false"#]);
}

#[test]
fn segments_are_counted_page_by_page_unless_the_memory_is_contiguous_or_mapped() {
    let small = json!({ "size": [64, 64] });
    let limited = with(xr24("p", "d"), json!({ "memory": { "max_segments": 2, "max_segment_size": 8192 } }));
    let asked = with(problem(json!([limited]), json!([{ "id": "sys", "page_size": 4096 }])), small);
    assert_eq!(conflict(&asked), ["p.max_segments=2"]);
    assert_eq!(solved(&with(asked.clone(), json!({ "iommu": ["d"] }))).size, 16384);
    assert_eq!(solved(&with(asked, json!({ "heaps": [{ "id": "cma", "contiguous": true }] }))).size, 16384);
}

#[test]
fn without_heaps_there_is_no_answer() {
    assert_eq!(conflict(&problem(json!([xr24("p", "d")]), json!([]))), ["(problem).heaps=none"]);
}
