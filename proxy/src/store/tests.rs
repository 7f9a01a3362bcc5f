//! Round trips, corruption, bounds and the lock.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prost::Message;
use weft_certs::{Authority, Lifetimes};
use weft_proto::envoy::discovery::Resource;
use weft_proto::google::Any;

use super::{Received, Store, StoreError, StoredIdentity, StoredResource};
use crate::xds::Kind;

fn identity() -> StoredIdentity {
    let now = SystemTime::now();
    let domain = "demo.local".parse().unwrap();
    let authority = Authority::create(&domain, now, Lifetimes::default()).unwrap();
    let id = "spiffe://demo.local/ns/shop/sa/product".parse().unwrap();
    StoredIdentity {
        leaf: authority.leaf_for(&id, Duration::from_secs(60), now).unwrap(),
        bundle: authority.bundle().clone(),
        renew_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        enrolment: "abc".to_owned(),
    }
}

fn resource(version: &str, bytes: usize) -> StoredResource {
    let any = Any { type_url: "t".to_owned(), value: vec![7; bytes] };
    StoredResource { version: version.to_owned(), any }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_private() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("proxies/product-v1.shop");
    let (kept, good) = (identity(), resource("7", 100));
    let store = Store::open(&directory).unwrap();
    assert!(store.identity().is_none());
    assert!(store.save_identity(&kept));
    assert!(store.save_resource(Kind::Cluster, "inbound/odd\u{0}name", &good));
    drop(store);

    let store = Store::open(&directory).unwrap();
    let found = store.identity().unwrap();
    assert_eq!(found.leaf.to_pem(), kept.leaf.to_pem());
    assert_eq!((found.bundle, found.renew_at), (kept.bundle, kept.renew_at));
    assert_eq!(found.enrolment, "abc");
    assert_eq!(store.resource(Kind::Cluster, "inbound/odd\u{0}name"), Some(good));
    assert_eq!(store.resource(Kind::Routes, "inbound/odd\u{0}name"), None, "kinds are apart");
    for file in files(&directory) {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{}", file.display());
    }
    for path in [directory.clone(), directory.join("resources")] {
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_second_proxy_is_refused_and_told_why() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open(directory.path()).unwrap();
    let second = Store::open(directory.path()).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }));
    let pid = format!("in use by another proxy (pid {})", std::process::id());
    assert!(second.to_string().contains(&pid), "{second}");
    drop(first);
    Store::open(directory.path()).unwrap();
}

#[test]
fn an_open_directory_is_closed_and_a_link_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("state");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    drop(Store::open(&directory).unwrap());
    assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700);
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&directory, &link).unwrap();
    assert!(matches!(Store::open(&link), Err(StoreError::Unfit { .. })));
}

#[test]
fn broken_files_count_as_missing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    store.save_identity(&identity());
    store.save_resource(Kind::Cluster, "a", &resource("1", 50));
    drop(store);
    for file in files(directory.path()) {
        let good = std::fs::read(&file).unwrap();
        let store = || Store::open(directory.path()).unwrap();
        if file.ends_with("lock") {
            continue;
        }
        let missing = || match file.ends_with("identity") {
            true => store().identity().is_none(),
            false => store().resource(Kind::Cluster, "a").is_none(),
        };
        assert!(!missing());
        for length in [0, 1, 31, 32, good.len() / 2, good.len() - 1] {
            std::fs::write(&file, &good[..length]).unwrap();
            assert!(missing(), "{} cut to {length}", file.display());
        }
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 0x20;
        std::fs::write(&file, &flipped).unwrap();
        assert!(missing(), "{} with a flipped bit", file.display());
        std::fs::write(&file, &good).unwrap();
        assert!(!missing());
    }
}

#[test]
fn half_written_files_go_and_only_what_is_named_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for name in ["a", "b"] {
        store.save_resource(Kind::Cluster, name, &resource("1", 10));
    }
    drop(store);
    std::fs::write(directory.path().join("resources/0123.tmp"), "half").unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(files(&directory.path().join("resources")).len(), 2);
    store.retain_resources([(Kind::Cluster, "b")].into_iter());
    assert_eq!(store.resource(Kind::Cluster, "a"), None);
    assert_eq!(store.resource(Kind::Cluster, "b"), Some(resource("1", 10)));
    store.remove_resource(Kind::Cluster, "b");
    assert!(files(&directory.path().join("resources")).is_empty());
}

#[test]
fn the_directory_is_bounded_and_frees_what_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let large = 12 << 20;
    for name in ["a", "b", "c", "d", "e"] {
        assert!(store.save_resource(Kind::Cluster, name, &resource("1", large)));
    }
    assert!(!store.save_resource(Kind::Cluster, "f", &resource("1", large)), "64 MiB are full");
    assert!(store.save_resource(Kind::Cluster, "e", &resource("2", large)), "replacing is free");
    store.remove_resource(Kind::Cluster, "a");
    assert!(store.save_resource(Kind::Cluster, "f", &resource("1", large)));
}

#[test]
fn addresses_share_files_and_are_apart_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let store = || Store::open(directory.path()).unwrap();
    let url = Kind::Addresses.type_url();
    let of = |version: &str| {
        let any = Any { type_url: url.to_owned(), value: vec![1, 2, 3] };
        StoredResource { version: version.to_owned(), any }
    };
    let name = |number: u32| format!("s{number}.shop:80");
    let open = store();
    for number in 0..1000 {
        assert!(open.save_resource(Kind::Addresses, &name(number), &of("1")));
    }
    open.save_resource(Kind::Addresses, &name(7), &of("2"));
    open.remove_resource(Kind::Addresses, &name(8));
    drop(open);
    let open = store();
    assert!(files(&directory.path().join("resources")).len() <= 64);
    assert_eq!(open.resource_names(Kind::Addresses).len(), 999);
    assert_eq!(open.resource(Kind::Addresses, &name(7)), Some(of("2")));
    assert_eq!(open.resource(Kind::Addresses, &name(8)), None);
    assert_eq!(open.resource(Kind::Addresses, &name(9)), Some(of("1")));
    let kept: Vec<String> = (0..10).map(name).collect();
    open.retain_resources(kept.iter().map(|name| (Kind::Addresses, name.as_str())));
    assert_eq!(open.resource_names(Kind::Addresses).len(), 9);
    open.retain_resources(std::iter::empty());
    assert!(files(&directory.path().join("resources")).is_empty());
}

#[test]
fn what_is_kept_as_received_is_what_is_kept_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let of = |version: &str| {
        let any = Any { type_url: Kind::Addresses.type_url().to_owned(), value: vec![1, 2, 3] };
        StoredResource { version: version.to_owned(), any }
    };
    let received = |number: u32, version: &str| {
        let name = format!("s{number}.shop:80");
        let StoredResource { version, any } = of(version);
        let resource = Resource { name, version, resource: Some(any), ..Resource::default() };
        let name = resource.name.as_str().into();
        Received { name, bytes: resource.encode_to_vec().into() }
    };
    let all: Vec<Received> = (0..1000).map(|number| received(number, "1")).collect();
    store.save_received(Kind::Addresses, &all);
    // Twice in one response: the last one counts, as it does for the data path.
    let again = [received(7, "2"), received(7, "3"), received(1000, "1")];
    store.save_received(Kind::Addresses, &again);
    store.save_resource(Kind::Cluster, "s7.shop:80", &resource("9", 10));
    let found: Vec<(String, StoredResource)> = store.resources(Kind::Addresses).collect();
    assert_eq!(found.len(), 1001);
    let changed = |(name, _): &&(String, StoredResource)| *name == "s7.shop:80";
    assert_eq!(found.iter().find(changed).map(|(_, stored)| stored), Some(&of("3")));
    assert_eq!(found.iter().filter(|(_, stored)| *stored == of("1")).count(), 1000);
    assert_eq!(store.resource(Kind::Addresses, "s999.shop:80"), Some(of("1")));
    assert!(files(&directory.path().join("resources")).len() <= 65);
}
