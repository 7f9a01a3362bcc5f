//! What the fuzzers have found worth keeping, once more.

use std::fs;
use std::path::Path;

fn replay(target: &str, call: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap() {
        call(&fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn corpora() {
    replay("canonical", super::canonical);
    replay("xds", super::xds);
    replay("detect", super::detect);
    replay("traceparent", super::traceparent);
    replay("handshake", super::handshake);
    replay("relayed", super::relayed);
    replay("spiffe", super::spiffe);
}
