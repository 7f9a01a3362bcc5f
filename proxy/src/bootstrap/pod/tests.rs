//! Who a pod's sidecar is.

use std::path::Path;
use std::time::{Duration, SystemTime};

use weft_certs::{Authority, Lifetimes};

use super::{Account, Pod, load};
use crate::bootstrap::{ServiceName, Token};

const LONG: Duration = Duration::from_secs(20);

fn pem(domain: &str) -> String {
    let now = SystemTime::now();
    let authority = Authority::create(&domain.parse().unwrap(), now, Lifetimes::default());
    authority.unwrap().bundle().to_pem()
}

fn pod(directory: &Path) -> Pod {
    Pod {
        name: "product-v1-6d4f".into(),
        namespace: "shop".into(),
        service_account: "product".into(),
        control_plane: "weft-control-plane.weft-system.svc:15010".into(),
        control_plane_account: Account {
            namespace: "weft-system".into(),
            name: "weft-control-plane".into(),
        },
        trust_bundle: directory.join("root.pem"),
        identity_token: directory.join("token"),
        service: ServiceName { name: "product".into(), version: "v1".into() },
    }
}

#[test]
fn the_roots_name_the_trust_domain() {
    let directory = tempfile::tempdir().unwrap();
    let pod = pod(directory.path());
    std::fs::write(&pod.trust_bundle, pem("demo.local")).unwrap();
    let bootstrap = load(&pod, LONG).unwrap();
    assert_eq!(bootstrap.workload, "product-v1-6d4f.shop");
    assert_eq!(bootstrap.identity.as_str(), "spiffe://demo.local/ns/shop/sa/product");
    let control_plane = bootstrap.control_plane;
    let expected = "spiffe://demo.local/ns/weft-system/sa/weft-control-plane";
    assert_eq!(control_plane.identity.as_str(), expected);
    assert_eq!(control_plane.address, "weft-control-plane.weft-system.svc:15010");
    assert!(bootstrap.in_pod);
}

#[test]
fn roots_that_come_late_are_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pod = pod(directory.path());
    let starting = pod.clone();
    let started = std::thread::spawn(move || load(&starting, LONG));
    std::fs::write(&pod.trust_bundle, pem("demo.local")).unwrap();
    assert_eq!(started.join().unwrap().unwrap().workload, "product-v1-6d4f.shop");
}

#[test]
fn what_makes_no_identity_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut pod = pod(directory.path());
    let error = |pod: &Pod| load(pod, Duration::ZERO).unwrap_err().to_string();
    let missing = error(&pod);
    assert!(missing.contains("root.pem: No such file"), "{missing}");
    std::fs::write(&pod.trust_bundle, pem("demo.local") + &pem("other.local")).unwrap();
    let several = error(&pod);
    assert!(several.contains("several trust domains"), "{several}");
    std::fs::write(&pod.trust_bundle, pem("demo.local")).unwrap();
    pod.service_account = "a/b".into();
    let account = error(&pod);
    assert!(account.contains("service account: there is no identity shop/a/b"), "{account}");
    pod.service_account = "product".into();
    pod.namespace = "shop.x".into();
    let namespace = error(&pod);
    assert!(namespace.contains("is not <pod>.<namespace>"), "{namespace}");
}

#[test]
fn the_token_is_what_the_file_holds_now() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let token = Token::ServiceAccount(path.clone());
    assert!(token.read().unwrap_err().contains("token: No such file"));
    for (text, expected) in [("one\n", Ok("one")), (" two ", Ok("two")), ("\n", Err("is empty"))] {
        std::fs::write(&path, text).unwrap();
        match (token.read(), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} and {expected:?}"),
        }
    }
    std::fs::write(&path, "x".repeat(20_000)).unwrap();
    assert!(token.read().unwrap_err().contains("more than 16384 bytes"));
    assert!(!format!("{:?}", Token::Join("s3cret".into())).contains("s3cret"));
}

#[test]
fn an_account_is_namespace_and_name() {
    assert!("weft-system/weft-control-plane".parse::<Account>().is_ok());
    for bad in ["weft-control-plane", "/x", "x/", ""] {
        assert!(bad.parse::<Account>().unwrap_err().contains("NAMESPACE/NAME"));
    }
}
