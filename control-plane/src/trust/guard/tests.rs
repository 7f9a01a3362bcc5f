//! Who is in the way of which step, and until when.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use weft_certs::{Root, RootState};

use super::{LONGEST_LIFE, Scene, Step};
use crate::trust::sidecars::tests::said;
use crate::trust::sidecars::{Known, Said, Sidecar};

const HOUR: Duration = Duration::from_secs(3600);

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn root(fingerprint: &str, state: RootState) -> Root {
    Root {
        fingerprint: fingerprint.to_owned(),
        name: "CN=root".to_owned(),
        not_before: noon(),
        not_after: noon() + 1000 * HOUR,
        state,
        external: false,
    }
}

fn staged() -> [Root; 2] {
    [root("old", RootState::Issuing), root("new", RootState::Staged { since: noon() })]
}

fn issued() -> [Root; 2] {
    let last_leaf = noon() + 2 * HOUR;
    [root("old", RootState::Old { last_leaf }), root("new", RootState::Issuing)]
}

type Cluster = (BTreeMap<String, Option<Known>>, BTreeMap<String, Sidecar>);

/// No other replicas, and these sidecars: are they connected, and what have they said?
fn alone(sidecars: &[(&str, bool, Option<Said>)]) -> Cluster {
    let sidecars = sidecars.iter().map(|(workload, connected, said)| {
        let connected = connected.then_some(100);
        (format!("{workload}.shop"), Sidecar { connected, said: said.clone() })
    });
    (BTreeMap::new(), sidecars.collect())
}

/// Each obstacle in a line.
fn obstacles(roots: &[Root], (replicas, sidecars): &Cluster, later: Duration) -> Vec<String> {
    let (leaf_life, now) = (Some(HOUR), noon() + later);
    let scene = Scene { roots, leaf_life, replicas, sidecars, now };
    let found = scene.obstacles(scene.next()).into_iter();
    let until = |until: Option<SystemTime>| until.map(|at| at.duration_since(noon()).unwrap());
    found.map(|one| format!("{} {} {:?}", one.who, one.why, until(one.until))).collect()
}

#[test]
fn the_next_step_follows_from_the_roots() {
    let (replicas, sidecars) = alone(&[]);
    let next = |roots: &[Root]| {
        let (leaf_life, now) = (None, noon());
        Scene { roots, leaf_life, replicas: &replicas, sidecars: &sidecars, now }.next()
    };
    assert_eq!(next(&[root("old", RootState::Issuing)]), Step::Stage);
    assert_eq!(next(&staged()), Step::Issue);
    assert_eq!(next(&issued()), Step::Retire);
    let both = [issued().as_slice(), &staged()[1..]].concat();
    assert_eq!(next(&both), Step::Issue, "one after the other");
}

#[test]
fn a_root_issues_when_every_sidecar_believes_it() {
    let both = said(1, "old", &["old", "new"]);
    let ready = alone(&[("a", true, Some(both.clone())), ("b", false, Some(both.clone()))]);
    assert_eq!(obstacles(&staged(), &ready, Duration::ZERO), Vec::<String>::new());
    let not = alone(&[
        ("a", true, Some(both)),
        ("b", true, Some(said(1, "old", &["old"]))),
        ("c", true, None),
        ("d", true, Some(said(50, "old", &["old", "new"]))),
        ("e", false, Some(said(1, "old", &["old"]))),
        ("f", false, None),
    ]);
    let hour = "Some(3600s)";
    assert_eq!(
        obstacles(&staged(), &not, Duration::ZERO),
        [
            "b.shop does not believe the new root yet None".to_owned(),
            "c.shop has not said yet what it believes None".to_owned(),
            "d.shop has not said yet what it believes None".to_owned(),
            format!("e.shop is not connected, and may not know the new root {hour}"),
            format!("f.shop is not connected, and may not know the new root {hour}"),
        ]
    );
    // After the longest life of a leaf whoever is not connected has none, or has renewed and heard of it.
    assert_eq!(obstacles(&staged(), &not, HOUR + Duration::from_secs(1)).len(), 3);
}

#[test]
fn a_root_is_retired_when_no_certificate_leads_to_it() {
    let new = said(1, "new", &["old", "new"]);
    let ready = alone(&[("a", true, Some(new.clone())), ("b", false, Some(new.clone()))]);
    assert_eq!(obstacles(&issued(), &ready, Duration::ZERO), Vec::<String>::new());
    let not = alone(&[
        ("a", true, Some(new)),
        ("b", true, Some(said(1, "old", &["old", "new"]))),
        ("c", true, None),
        ("d", false, None),
    ]);
    assert_eq!(
        obstacles(&issued(), &not, Duration::ZERO),
        [
            "b.shop has a certificate that leads to the old root None",
            "c.shop has not said yet where its certificate leads None",
            "d.shop is not connected, and may have a certificate that leads to the old root Some(7200s)",
        ]
    );
    assert_eq!(obstacles(&issued(), &not, 2 * HOUR + Duration::from_secs(1)).len(), 2);
}

#[test]
fn a_replica_that_is_silent_or_behind_is_in_the_way() {
    let known = |issuing: &str, believed: &[&str]| Known {
        issuing: issuing.to_owned(),
        believed: believed.iter().map(|root| (*root).to_owned()).collect(),
        sidecars: BTreeMap::new(),
    };
    let (_, sidecars) = alone(&[]);
    let replicas = [
        ("one".to_owned(), Some(known("old", &["old", "new"]))),
        ("three".to_owned(), None),
        ("two".to_owned(), Some(known("old", &["old"]))),
    ];
    let cluster = (BTreeMap::from(replicas), sidecars);
    assert_eq!(
        obstacles(&staged(), &cluster, 1000 * HOUR),
        [
            "replica three does not answer, so what its sidecars have is not known None",
            "replica two has not taken up the step before yet None",
        ]
    );
    assert_eq!(obstacles(&issued(), &cluster, Duration::ZERO).len(), 3, "none issues under it");
}

#[test]
fn where_nobody_wrote_down_how_long_leaves_live_it_is_as_long_as_they_may() {
    let (replicas, sidecars) = alone(&[("a", false, None)]);
    let roots = staged();
    let scene = |now| Scene {
        roots: &roots,
        leaf_life: None,
        replicas: &replicas,
        sidecars: &sidecars,
        now,
    };
    let obstacles = scene(noon()).obstacles(Step::Issue);
    assert_eq!(obstacles[0].until, Some(noon() + LONGEST_LIFE));
    assert!(scene(noon() + LONGEST_LIFE + HOUR).obstacles(Step::Issue).is_empty());
}
