//! `cargo +nightly fuzz run traceparent`: see `weft_proxy::fuzzing::traceparent`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::traceparent(bytes));
