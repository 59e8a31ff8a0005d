//! `heapwright solve` fed with hostile files, within 512 MiB of address space and 60 seconds of processor time.
//!
//! What searches up to its bound is in `alloc-backend/tests/solver_hostile.rs`, without a process of its own. The limits are the kernel's: a child that wants more is refused memory, or killed. Processor time, so that a busy machine
//! changes nothing.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

use serde_json::Value;

const LIMITS: &str = "ulimit -c 0; ulimit -v 524288; ulimit -t 60; exec \"$0\" solve \"$1\"";

fn program() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let program = test.parent().and_then(Path::parent).expect("the build directory").join("heapwright");
    assert!(program.exists(), "{} is missing: cargo build -p heapwright --bin heapwright", program.display());
    program
}

/// `count` items, comma between them.
fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn problem(participants: &str, heaps: &str) -> String {
    format!(r#"{{"size":[64,64],"participants":[{participants}],"heaps":[{heaps}]}}"#)
}

const HEAP: &str = r#"{"id":"h"}"#;

/// Name, text, and the answers that would do.
fn files() -> Vec<(&'static str, String, &'static [&'static str])> {
    let whole = problem(r#"{"name":"p","options":[{"format":"XR24","modifier":"LINEAR"}]}"#, HEAP);
    let sized = |size: &str| whole.replace("[64,64]", size);
    let person = |at: usize, rest: &str| {
        format!(
            r#"{{"name":"p{at}","device":"d","options":[{{"format":"XR24","modifier":"LINEAR"}}]{rest}}}"#
        )
    };
    let crowd = |rest: fn(usize) -> String| problem(&list(10_000, |at| person(at, &rest(at))), HEAP);
    let option = |at: usize| format!(r#"{{"format":"XR24","modifier":"0x{at:x}"}}"#);
    let choosy = |name: &str, options: String| format!(r#"{{"name":"{name}","options":[{options}]}}"#);
    let pitch = |align: u64| format!(r#"{{"format":"XR24","modifier":"LINEAR","pitch_align":{align}}}"#);
    vec![
        ("empty", String::new(), &["invalid"]),
        ("truncated", whole.get(..whole.len() / 2).unwrap_or_default().to_owned(), &["invalid"]),
        ("size 0", sized("[0,64]"), &["invalid"]),
        ("size 2^31", sized("[2147483648,2147483648]"), &["unsatisfiable"]),
        ("size 2^32", sized("[4294967296,1]"), &["invalid"]),
        ("deep", format!(r#"{{"size":[1,1],"participants":{}"#, "[".repeat(1_000_000)), &["invalid"]),
        (
            "deep objects",
            format!(r#"{{"size":[1,1],"participants":{}"#, r#"[{"name":"#.repeat(300_000)),
            &["invalid"],
        ),
        (
            "long name",
            problem(&format!(r#"{{"name":"{}"}}"#, "n".repeat(8_000_000)), HEAP),
            &["underconstrained"],
        ),
        (
            "least common multiple over 64 bits",
            problem(&format!("{},{}", choosy("a", pitch(u64::MAX)), choosy("b", pitch(u64::MAX - 58))), HEAP),
            &["unsatisfiable"],
        ),
        ("10,000 participants", crowd(|_| String::new()), &["solved"]),
        ("10,000 optional participants", crowd(|_| r#","required":false"#.to_owned()), &["solved"]),
        (
            "100,000 options twice",
            problem(
                &format!("{},{}", choosy("a", list(100_000, option)), choosy("b", list(100_000, option))),
                HEAP,
            ),
            &["solved"],
        ),
        (
            "10,000 participants and 10,000 heaps",
            problem(&list(10_000, |at| person(at, "")), &list(10_000, |at| format!(r#"{{"id":"h{at}"}}"#))),
            &["search_limit"],
        ),
    ]
}

#[test]
fn hostile_files_are_answered_in_bounded_memory_and_time() {
    let program = program();
    let folder = env::temp_dir().join(format!("heapwright-hostile-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("problem.json");
    let mut wrong = Vec::new();
    for (name, text, expected) in files() {
        fs::write(&file, &text).expect("a file");
        let output =
            Command::new("sh").args(["-c", LIMITS]).arg(&program).arg(&file).output().expect("a shell");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let status = answer["status"].as_str().unwrap_or("none");
        let code = match status {
            "solved" => 0,
            "invalid" => 2,
            _ => 1,
        };
        if !expected.contains(&status) || output.status.code() != Some(code) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("{name}: {status}, {}, expected {expected:?}; {said:.300}", output.status));
        }
    }
    fs::remove_dir_all(&folder).expect("an empty folder");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
