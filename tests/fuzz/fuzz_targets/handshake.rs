//! `cargo +nightly fuzz run handshake`: see `weft_proxy::fuzzing::handshake`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::handshake(bytes));
