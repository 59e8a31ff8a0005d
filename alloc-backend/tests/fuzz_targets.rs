//! The bodies of the fuzz targets, driven without instrumentation: with arbitrary bytes, and with the cases of
//! `tests/cases`, whole and damaged.
//!
//! `PROPTEST_CASES=1000000 cargo test --release -p heapwright-alloc --test fuzz_targets` is a long run.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may fail.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// The files of a folder of the workspace with this ending.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    assert!(!paths.is_empty(), "no file ends with {ending} in {}", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

static CASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| files("tests/cases", ".json"));

static TABLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let small = "version = 1\n[[rule]]\nid = \"a\"\ndrivers = [\"gpu\"]\nkernel = { from = \"6.1\", until = \"6.12\" }\n\
        formats = [\"NV12\"]\nmodifiers = [\"LINEAR\"]\npitch_align = 256\nexact_pitch = \"packed\"\nrefuses = true\n\
        memory = { contiguous = true, dma_mask_bits = 32 }\nlink = { verdict = \"refuses\", contiguous = false }\n\
        source = \"x\"\nwhy = \"y\"\n";
    let mut all = files("assets", "quirks.toml");
    all.push(small.as_bytes().to_vec());
    all
});

/// One change to a file, as fuzzers make them.
#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    Cut(usize),
    Repeat(usize, usize),
    Drop(usize, usize),
    /// Puts another number in the place of one.
    Number(usize, String),
    /// Puts a piece of another file in.
    Splice(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let numbers =
        vec!["0", "1", "-1", "3", "4294967295", "4294967296", "18446744073709551615", "1e400", "null"];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1_usize..200).prop_map(|(at, len)| Damage::Repeat(at, len)),
        (any::<usize>(), 1_usize..60).prop_map(|(at, len)| Damage::Drop(at, len)),
        (any::<usize>(), prop::sample::select(numbers)).prop_map(|(at, n)| Damage::Number(at, n.to_owned())),
        (any::<usize>(), any::<usize>(), 1_usize..200)
            .prop_map(|(at, from, len)| Damage::Splice(at, from, len)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage, all: &[Vec<u8>]) {
    let piece = |bytes: &[u8], at: usize, len: usize| {
        let begin = at % bytes.len().max(1);
        begin..(begin + len).min(bytes.len())
    };
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Byte(at, byte) => {
            let at = at % bytes.len();
            bytes[at] = *byte;
        }
        Damage::Cut(at) => bytes.truncate(at % bytes.len()),
        Damage::Repeat(at, len) => {
            let range = piece(bytes, *at, *len);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        Damage::Drop(at, len) => {
            let range = piece(bytes, *at, *len);
            bytes.drain(range);
        }
        Damage::Number(at, number) => {
            let places: Vec<usize> = (0..bytes.len())
                .filter(|at| {
                    bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[*at - 1].is_ascii_alphanumeric())
                })
                .collect();
            if let Some(begin) = places.get(at % places.len().max(1)) {
                let digits = bytes[*begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(*begin..*begin + digits, number.bytes());
            }
        }
        Damage::Splice(at, from, len) => {
            let other = &all[from % all.len()];
            let part = other[piece(other, *from, *len)].to_vec();
            let at = at % bytes.len();
            bytes.splice(at..at, part);
        }
    }
}

fn damaged(all: &'static LazyLock<Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    (any::<prop::sample::Index>(), prop::collection::vec(damage(), 0..5)).prop_map(|(which, damages)| {
        let mut bytes = which.get(all).clone();
        for damage in &damages {
            apply(&mut bytes, damage, all);
        }
        bytes
    })
}

#[test]
fn every_case_passes_the_body_as_it_is() {
    for bytes in CASES.iter() {
        targets::problem_file(bytes);
    }
    for bytes in TABLES.iter() {
        targets::quirk_table(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_problem_file_is_no_finding(bytes in damaged(&CASES)) {
        targets::problem_file(&bytes);
    }

    #[test]
    fn a_damaged_quirk_table_is_no_finding(bytes in damaged(&TABLES)) {
        targets::quirk_table(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_no_finding(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        targets::problem_file(&bytes);
        targets::quirk_table(&bytes);
    }
}
