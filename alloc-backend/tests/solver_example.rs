//! The example of the design, as a whole: this problem file gives this answer.

use heapwright_alloc::solver::{Problem, solve};
use serde_json::{Value, json};

const EXAMPLE: &str = r#"
{ "size": [1920, 1080], "count": 3,
  "participants": [
    { "name": "gpu", "device": "v3d", "role": "render", "required": true,
      "options": [ { "format": "XR24", "modifier": "LINEAR", "pitch_align": 64, "rank": 100 } ] },
    { "name": "panel", "device": "vc4", "role": "scanout", "required": false, "weight": 100,
      "alternatives": [ { "name": "plane-31", "options": [ { "format": "XR24", "modifier": "LINEAR", "max_pitch": 16384 } ] } ],
      "memory": { "contiguous": true, "dma_mask_bits": 32 } } ],
  "heaps": [
    { "id": "h0", "names": ["system"], "pool": "ram", "contiguous": false, "cached": true },
    { "id": "h1", "names": ["linux,cma"], "pool": "cma0", "contiguous": true, "cached": true, "capacity": 268435456, "free": 259000000 } ],
  "links": [ { "device": "vc4", "heap": "h0", "verdict": "refuses", "evidence": "probed", "bytes": 8294400 } ],
  "iommu": [ "v3d" ] }"#;

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
