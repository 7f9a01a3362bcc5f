//! Good and bad bootstrap files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use weft_certs::{Authority, Lifetimes};

use super::{Bootstrap, BootstrapError, Source, Token, file};

fn pem() -> String {
    let domain = "demo.local".parse().unwrap();
    let authority = Authority::create(&domain, SystemTime::now(), Lifetimes::default()).unwrap();
    authority.bundle().to_pem()
}

fn load(path: &Path) -> Result<Bootstrap, BootstrapError> {
    Bootstrap::load(&Source::File(path.to_owned()))
}

fn good() -> serde_json::Value {
    serde_json::json!({
        "workload": "product-v1.shop",
        "identity": "spiffe://demo.local/ns/shop/sa/product",
        "control_plane": {
            "address": "127.0.0.1:15010",
            "identity": "spiffe://demo.local/ns/weft-system/sa/weft-control-plane",
        },
        "trust_bundle": pem(),
        "join_token": "s3cret",
    })
}

#[test]
fn a_good_file_is_read_and_its_token_is_not_printed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), good().to_string()).unwrap();
    let bootstrap = load(file.path()).unwrap();
    assert_eq!(bootstrap.workload, "product-v1.shop");
    assert_eq!(bootstrap.token.as_ref().map(Token::read), Some(Ok("s3cret".to_owned())));
    assert!(!format!("{bootstrap:?}").contains("s3cret"));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), good().to_string()).unwrap();
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        let error = load(file.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("open to other users (mode {mode:04o})")), "{error}");
    }
}

#[test]
fn a_bad_field_is_named() {
    let cases = [
        ("/identity", "spiffe://demo.local/x".into(), "identity: \"spiffe://demo.local/x\": "),
        ("/control_plane/address", "15010".into(), "control_plane.address: \"15010\" is not"),
        ("/control_plane/address", "a:0".into(), "control_plane.address: \"a:0\" is not"),
        ("/control_plane/identity", "spiffe://other/ns/a/sa/b".into(), "another trust domain"),
        ("/workload", "product".into(), "workload: \"product\" is not <name>.<namespace>"),
        ("/workload", "product.bank".into(), "workload: another namespace"),
        ("/trust_bundle", "".into(), "trust_bundle: "),
        ("/join_token", serde_json::json!(7), "invalid type: integer `7`"),
    ];
    for (field, value, expected) in cases {
        let mut raw = good();
        *raw.pointer_mut(field).unwrap() = value;
        let error = file::parse(&raw.to_string()).unwrap_err();
        assert!(error.contains(expected), "{field}: {error}");
    }
}
