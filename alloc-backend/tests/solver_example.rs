//! The example of the design, as a whole: this problem file gives this answer.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

use heapwright_alloc::solver::{Problem, solve};
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("solver_example.json");

#[test]
fn the_example_problem_gives_the_example_answer() {
    let answer = solve(&Problem::from_json(EXAMPLE).unwrap());
    let printed = answer.to_json();
    let want = json!({
        "status": "solved", "format": "XR24", "modifier": "LINEAR", "heap": "h1", "pool": "cma0", "count": 3,
        "planes": [ { "offset": 0, "pitch": 7680, "size": 8294400 } ], "size": 8294400,
        "alternatives": { "panel": "plane-31" },
        "satisfied": ["gpu", "panel"], "dropped": [], "cost": [0, 0, 200, 96, 0, 1, 0],
        "reasons": [ { "rejected": { "heap": "h0" }, "participant": "panel", "field": "contiguous", "value": "true" } ]
    });
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), want, "{printed}");
    assert_eq!(answer.exit_code(), 0);
    // Keys come in the order of the design, for people who read the line.
    assert!(printed.starts_with(
        r#"{"status":"solved","format":"XR24","modifier":"LINEAR","heap":"h1","pool":"cma0","count":3,"#
    ));
}
