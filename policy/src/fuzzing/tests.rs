//! What the fuzzer has found worth keeping, once more; and choices of a fixed seed.

#[test]
fn corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/policy");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        super::decisions(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{folder} is empty");
}

#[test]
fn many_choices() {
    let mut state = 7_u64;
    for _ in 0..5_000 {
        let bytes: Vec<u8> = (0..96)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_le_bytes()[5]
            })
            .collect();
        super::decisions(&bytes);
    }
}
