//! What the test binary and the benchmark both need; everything else of the tests lies in `main.rs` and its modules.

pub mod envoy;
