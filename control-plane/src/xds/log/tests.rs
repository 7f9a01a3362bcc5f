//! The change log: every name once, at its latest change.

use super::*;
use crate::translate::{ResourceType, Version};

fn set(resources: &[(&str, u64)]) -> BTreeMap<Arc<str>, Arc<Resource>> {
    let make = |(name, version): &(&str, u64)| {
        let resource = Resource::new(ResourceType::Cluster, name, Version(*version), &[]);
        (resource.name.clone(), Arc::new(resource))
    };
    resources.iter().map(make).collect()
}

fn changed(log: &Log, since: u64) -> Vec<&str> {
    log.changed_since(since).map(|(_, resource)| &*resource.name).collect()
}

fn removed(log: &Log, since: u64) -> Option<Vec<&str>> {
    Some(log.removed_since(since)?.map(|(_, gone)| &*gone.name).collect())
}

#[test]
fn only_real_changes_are_logged_and_unchanged_resources_stay_the_same_object() {
    let (mut log, mut sequence) = (Log::default(), 0);
    let changes = log.apply(&set(&[("a", 1), ("b", 1)]), &mut sequence);
    assert_eq!(changes, Changes { changed: 2, removed: 0 });
    let a = log.get("a").unwrap().clone();

    let before = sequence;
    let changes = log.apply(&set(&[("a", 1), ("b", 2)]), &mut sequence);
    assert_eq!(changes, Changes { changed: 1, removed: 0 });
    assert_eq!(changed(&log, before), ["b"]);
    assert!(Arc::ptr_eq(log.get("a").unwrap(), &a));

    let before = sequence;
    assert_eq!(log.apply(&set(&[("a", 1), ("b", 2)]), &mut sequence), Changes::default());
    assert_eq!(sequence, before);
}

#[test]
fn a_name_that_changes_often_stands_there_once() {
    let (mut log, mut sequence) = (Log::default(), 0);
    for version in 0..100 {
        log.apply(&set(&[("a", version), ("b", 1)]), &mut sequence);
    }
    assert_eq!(changed(&log, 0), ["b", "a"]);
    assert_eq!((log.live.len(), log.gone.len(), log.places.len()), (2, 0, 2));
}

#[test]
fn a_name_that_comes_back_is_not_gone() {
    let (mut log, mut sequence) = (Log::default(), 0);
    log.apply(&set(&[("a", 1), ("b", 1)]), &mut sequence);
    let before = sequence;
    log.apply(&set(&[("b", 1)]), &mut sequence);
    assert_eq!(removed(&log, before), Some(vec!["a"]));
    assert!(log.get("a").is_none());
    log.apply(&set(&[("a", 1), ("b", 1)]), &mut sequence);
    assert_eq!(removed(&log, before), Some(vec![]));
    assert_eq!(changed(&log, before), ["a"]);
}

#[test]
fn old_removals_are_forgotten_and_whoever_needs_them_is_told() {
    let (mut log, mut sequence) = (Log::default(), 0);
    log.apply(&set(&[("a", 1), ("b", 1), ("c", 1)]), &mut sequence);
    let before = sequence;
    log.apply(&set(&[]), &mut sequence);
    log.forget(2);
    assert_eq!(removed(&log, before), None);
    assert_eq!(removed(&log, before + 1), Some(vec!["b", "c"]));
    assert_eq!((log.gone.len(), log.places.len()), (2, 2));
}

#[test]
fn a_variant_hides_the_others_from_its_namespace_without_a_word_to_the_rest() {
    let base = || Resource::new(ResourceType::Route, "a", Version(1), &[]);
    let apply = |log: &mut Log, sequence: &mut u64, resources: Vec<Resource>| {
        let all = resources.into_iter().map(|resource| (resource.slot.clone(), Arc::new(resource)));
        log.apply(&all.collect(), sequence)
    };
    let see = |log: &Log, namespace: &str| {
        log.seen_by(&Key::new(namespace, "me"), "a").map(|resource| resource.version.0)
    };
    let (mut log, mut sequence) = (Log::default(), 0);
    apply(&mut log, &mut sequence, vec![base()]);
    let before = sequence;
    let variant = || Resource::new(ResourceType::Route, "a", Version(2), &[]).only_in("x");
    let changes = apply(&mut log, &mut sequence, vec![base().except_in(["x"].iter()), variant()]);
    assert_eq!(changes, Changes { changed: 1, removed: 0 }, "what is shared stays as it is");
    assert_eq!((see(&log, "x"), see(&log, "y")), (Some(2), Some(1)));
    assert_eq!(log.changed_since(before).count(), 1);
    let before = sequence;
    apply(&mut log, &mut sequence, vec![base()]);
    assert_eq!((see(&log, "x"), see(&log, "y")), (Some(1), Some(1)));
    assert_eq!(changed(&log, before), ["a"]);
}
