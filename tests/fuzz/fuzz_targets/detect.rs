//! `cargo +nightly fuzz run detect`: see `weft_proxy::fuzzing::detect`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::detect(bytes));
