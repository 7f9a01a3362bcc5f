//! `cargo +nightly fuzz run policy`: see `weft_policy::fuzzing::decisions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_policy::fuzzing::decisions(bytes));
