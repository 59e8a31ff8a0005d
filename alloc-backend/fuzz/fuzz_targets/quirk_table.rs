//! A quirk table from anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heapwright_fuzz::quirk_table(bytes));
