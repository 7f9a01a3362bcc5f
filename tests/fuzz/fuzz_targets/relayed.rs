//! `cargo +nightly fuzz run relayed`: see `weft_proxy::fuzzing::relayed`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::relayed(bytes));
