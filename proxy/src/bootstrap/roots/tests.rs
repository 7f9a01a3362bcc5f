//! A file of roots that comes, changes, breaks and mends.

use std::path::Path;
use std::time::SystemTime;

use weft_certs::{Authority, Lifetimes, TrustBundle};

use super::Roots;

fn roots(domain: &str) -> TrustBundle {
    let now = SystemTime::now();
    let authority = Authority::create(&domain.parse().unwrap(), now, Lifetimes::default());
    authority.unwrap().bundle().clone()
}

/// As the kubelet does it: whole, then renamed.
fn put(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

#[test]
fn what_the_file_holds_now_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.pem");
    assert!(Roots::from_file(&path).unwrap_err().contains("No such file"));
    let (first, second) = (roots("demo.local"), roots("demo.local"));
    put(&path, &first.to_pem());
    let (known, domain) = Roots::from_file(&path).unwrap();
    assert_eq!((known.now(), domain.as_str()), (first, "demo.local"));
    put(&path, &second.to_pem());
    assert_eq!(known.now(), second);
}

#[test]
fn what_is_no_good_leaves_the_last_good_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.pem");
    let first = roots("demo.local");
    put(&path, &first.to_pem());
    let (known, _) = Roots::from_file(&path).unwrap();
    let large = "#".repeat((1 << 20) + 1);
    for text in ["", "nonsense", &large, &roots("other.local").to_pem()] {
        put(&path, text);
        assert_eq!(known.now(), first);
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(known.now(), first);
    let mended = roots("demo.local");
    put(&path, &mended.to_pem());
    assert_eq!(known.now(), mended);
}
