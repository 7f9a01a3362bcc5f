//! What is said of tools that are missing or fail.

use super::{ToolError, capabilities, run};

#[test]
fn a_missing_tool_is_named() {
    let error = run("weft-no-such-tool", &[], "").unwrap_err();
    assert!(matches!(&error, ToolError::Missing(name) if name == "weft-no-such-tool"));
    assert!(error.to_string().contains("install nftables"), "{error}");
}

#[test]
fn input_goes_in_and_output_comes_out() {
    assert_eq!(run("cat", &[], "rules").unwrap(), "rules");
}

#[test]
fn effective_capabilities_are_read() {
    let status = "Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000001000\nCapBnd:\t1";
    assert_eq!(capabilities(status), Some(1 << 12));
    assert_eq!(capabilities("Name:\tx"), None);
}
