//! A problem file from anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heapwright_fuzz::problem_file(bytes));
