//! `cargo +nightly fuzz run canonical`: see `weft_proxy::fuzzing::canonical`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::canonical(bytes));
