//! What wakes streams, and that all of them hold the same objects.

use super::*;
use crate::translate::fixture::{BUNDLE, shop, workload};
use crate::translate::translate;

#[test]
fn only_what_changes_wakes_the_streams() {
    let cache = Cache::new();
    let mut watch = cache.watch();
    assert_eq!(*watch.borrow_and_update(), 0);

    let mut mesh = shop();
    assert_eq!(cache.apply(&translate(&mesh, BUNDLE)).generation, 1);
    assert_eq!(*watch.borrow_and_update(), 1);

    assert_eq!(cache.apply(&translate(&mesh, BUNDLE)).generation, 1);
    assert!(!watch.has_changed().unwrap());

    workload(&mut mesh, "product-v1").address = [127, 66, 0, 9].into();
    let applied = cache.apply(&translate(&mesh, BUNDLE));
    assert_eq!(applied.generation, 2);
    assert_eq!(applied.of(ResourceType::Endpoint), Changes { changed: 1, removed: 0 });
    assert_eq!(applied.of(ResourceType::Cluster), Changes::default());
    assert_eq!(*watch.borrow_and_update(), 2);
}

#[test]
fn a_change_of_who_may_connect_wakes_them_too() {
    let cache = Cache::new();
    let mut mesh = shop();
    // No Service selects it and it has no sidecar: no resource tells of it.
    workload(&mut mesh, "db-1").labels.clear();
    cache.apply(&translate(&mesh, BUNDLE));
    mesh.workloads.remove(&crate::translate::fixture::key("db-1"));
    let applied = cache.apply(&translate(&mesh, BUNDLE));
    assert!(applied.is_empty());
    assert_eq!(applied.generation, 2);
}

#[test]
fn the_first_set_counts_even_if_it_is_empty() {
    let cache = Cache::new();
    assert_eq!(cache.apply(&ResourceSet::default()).generation, 1);
    assert_eq!(*cache.watch().borrow(), 1);
}

#[test]
fn a_translation_that_changes_nothing_replaces_nothing() {
    let cache = Cache::new();
    cache.apply(&translate(&shop(), BUNDLE));
    let before = cache.read().log(ResourceType::Cluster).get("web.shop:80").unwrap().clone();
    cache.apply(&translate(&shop(), BUNDLE));
    let after = cache.read().log(ResourceType::Cluster).get("web.shop:80").unwrap().clone();
    assert!(Arc::ptr_eq(&before, &after));
}
