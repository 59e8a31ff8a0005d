//! `heapwright solve` over every case of `tests/cases`, as a person at a terminal would run it.
//!
//! The expected answers are reasoned by hand (see `tests/cases/README.md`); nothing here writes them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

use serde_json::Value;

/// What each kind of answer must be compared in, beside its reasons.
const SOLVED: [&str; 12] = [
    "status",
    "format",
    "modifier",
    "heap",
    "pool",
    "count",
    "planes",
    "size",
    "alternatives",
    "satisfied",
    "dropped",
    "cost",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// The program beside this test's directory; `cargo build -p heapwright` makes it.
fn program() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("the build directory");
    let program = profile.join("heapwright");
    assert!(program.exists(), "{} is missing: cargo build -p heapwright --bin heapwright", program.display());
    program
}

/// Problem and expected answer by name of the case.
fn cases() -> BTreeMap<String, (PathBuf, PathBuf)> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(folder()).expect("the cases").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".json").filter(|name| !name.ends_with(".answer")) {
            let answer = entry.path().with_file_name(format!("{name}.answer.json"));
            cases.insert(name.to_owned(), (entry.path(), answer));
        }
    }
    cases
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Solves a file with the real program: the exit code and the answer.
fn solve(program: &Path, problem: &Path) -> (Option<i32>, Value) {
    let output = Command::new(program).arg("solve").arg(problem).output().expect("the program runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The keys that an expected answer has to state.
fn required(want: &Value) -> &'static [&'static str] {
    match want["status"].as_str() {
        Some("solved") => &SOLVED,
        Some("unsatisfiable") => &["status", "conflict"],
        Some("underconstrained") => &["status", "fields"],
        Some("search_limit") => &["status", "bound"],
        Some("invalid") => &["status", "where"],
        other => panic!("{other:?} is no status"),
    }
}

/// In what an answer differs from the expected one; empty if in nothing.
fn differences(want: &Value, got: &Value) -> String {
    let mut text = String::new();
    for key in required(want) {
        if want.get(key).is_none() {
            let _ = writeln!(text, "  the expected answer does not state {key}");
        }
    }
    for (key, value) in want.as_object().expect("an object") {
        if key == "reasons" {
            let given = got[key].as_array().map_or(&[][..], Vec::as_slice);
            for reason in value.as_array().expect("a list").iter().filter(|reason| !given.contains(reason)) {
                let same = given.iter().filter(|other| other["rejected"] == reason["rejected"]);
                let _ = writeln!(
                    text,
                    "  reason {reason}\n    got {:?}",
                    same.map(Value::to_string).collect::<Vec<_>>()
                );
            }
        } else if got.get(key) != Some(value) {
            let _ = writeln!(text, "  {key}: expected {value}\n    got {}", got[key]);
        }
    }
    text
}

#[test]
fn every_case_is_answered_as_reasoned() {
    let program = program();
    let mut wrong = String::new();
    for (name, (problem, answer)) in cases() {
        let want = read(&answer);
        let (code, got) = solve(&program, &problem);
        let expected = match want["status"].as_str() {
            Some("solved") => 0,
            Some("invalid") => 2,
            _ => 1,
        };
        let mut differs = differences(&want, &got);
        if code != Some(expected) {
            let _ = writeln!(differs, "  exit code: expected {expected}\n    got {code:?}");
        }
        if !differs.is_empty() {
            let _ = writeln!(wrong, "{name}:\n{differs}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_case_is_in_the_table_and_has_an_answer() {
    let table = fs::read_to_string(folder().join("README.md")).expect("the table");
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 5, "name, hardware, what it shows, why, source: {row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let name = cells.first().map(|name| name.trim_matches('`').to_owned()).expect("a name");
        assert!(listed.insert(name), "twice: {row}");
    }
    let cases = cases();
    assert_eq!(listed, cases.keys().cloned().collect());
    for (_, answer) in cases.values() {
        assert!(answer.exists(), "{} is missing", answer.display());
    }
}

#[test]
fn another_answer_is_noticed() {
    let (problem, answer) = cases().into_values().next().expect("a case");
    let (_, got) = solve(&program(), &problem);
    let want = read(&answer);
    for key in required(&want).iter().filter(|key| **key != "status") {
        let mut other = want.clone();
        other[*key] = Value::from("something else");
        assert!(!differences(&other, &got).is_empty(), "{key}");
    }
    let mut other = want.clone();
    other["reasons"] =
        serde_json::json!([{ "rejected": {}, "participant": "nobody", "field": "none", "value": "" }]);
    assert!(!differences(&other, &got).is_empty(), "a reason");
}
