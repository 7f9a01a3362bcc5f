//! `cargo +nightly fuzz run spiffe`: see `weft_proxy::fuzzing::spiffe`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::spiffe(bytes));
