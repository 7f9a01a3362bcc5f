//! `cargo +nightly fuzz run xds`: see `weft_proxy::fuzzing::xds`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weft_proxy::fuzzing::xds(bytes));
