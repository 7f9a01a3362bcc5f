//! The CA's state on disk: found again, shared by racers, closed to others, never overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use super::{MAX_STATE, NEW, STATE};
use crate::testing::{DAY, domain, noon, shop};
use crate::x509::Certificate;
use crate::{Authority, Leaf, PrivateKey, csr, verify};

fn load(dir: &Path, now: SystemTime) -> Result<Authority, String> {
    Authority::load_or_create(dir, &domain(), now).map_err(|e| e.to_string())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_ca_is_found_again_and_its_leaves_stay_good() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("control-plane/ca");
    let leaf = load(&dir, noon()).unwrap().leaf_for(&shop("a"), DAY, noon()).unwrap();
    let again = load(&dir, noon() + DAY).unwrap();
    let bundle = again.bundle().clone();
    assert!(verify::peer(leaf.chain(), &domain(), noon()).is_ok());
    let newer = again.leaf_for(&shop("a"), DAY, noon()).unwrap();
    assert_eq!(leaf.chain()[1], newer.chain()[1], "the same issuing certificate");
    assert_eq!(bundle, *load(&dir, noon()).unwrap().bundle());

    assert_eq!(mode(&dir), 0o700);
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        assert!(!entry.file_name().to_string_lossy().ends_with(".new"));
    }
}

#[test]
fn racers_end_up_with_one_ca() {
    const RACERS: usize = 8;
    let temp = tempfile::tempdir().unwrap();
    let (dir, start) = (temp.path().join("ca"), Barrier::new(RACERS));
    let bundles: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    load(&dir, noon()).unwrap().bundle().clone()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert!(bundles.iter().all(|bundle| *bundle == bundles[0]));
}

#[test]
fn keys_that_others_can_read_are_refused_and_the_mending_said() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ca");
    load(&dir, noon()).unwrap();
    let state = dir.join(STATE);
    for open in [0o640, 0o604, 0o660, 0o644] {
        set_mode(&state, open);
        let error = load(&dir, noon()).unwrap_err();
        let mend = format!("chmod 600 '{}'", state.display());
        assert!(error.contains(&mend) && error.contains(&format!("{open:03o}")), "{error}");
    }
    set_mode(&state, 0o600);
    set_mode(&dir, 0o770);
    let error = load(&dir, noon()).unwrap_err();
    assert!(error.contains(&format!("chmod 700 '{}'", dir.display())), "{error}");
    set_mode(&dir, 0o700);
    assert!(load(&dir, noon()).is_ok());
}

#[test]
fn state_that_cannot_be_used_is_named_and_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, other) = (temp.path().join("ca"), temp.path().join("other"));
    load(&dir, noon()).unwrap();
    load(&other, noon()).unwrap();
    let state = dir.join(STATE);
    let (good, foreign) =
        (fs::read_to_string(&state).unwrap(), fs::read_to_string(other.join(STATE)).unwrap());
    let sections =
        |text: &str| text.split_inclusive("-----END").map(str::to_owned).collect::<Vec<_>>().len();
    assert_eq!(sections(&good), 5, "four sections");

    // A signature's length differs from run to run: a cut at a fixed place may fall between sections.
    let end = good.rfind("-----END").unwrap();
    let broken = [
        (String::new(), "no section"),
        (good[..end].to_owned(), "a section does not end"),
        (good.clone() + &foreign, "it has to hold"),
        (exchange(&good, &foreign, 1), "the root certificate has another key"),
        (exchange(&good, &foreign, 3), "the issuing certificate has another key"),
        ("x".repeat(MAX_STATE + 1), "no section"),
    ];
    for (text, reason) in broken {
        fs::write(&state, &text).unwrap();
        let error = load(&dir, noon() + 300 * DAY).unwrap_err();
        assert!(error.starts_with(&format!("{} cannot be used: ", state.display())), "{error}");
        assert!(error.contains(reason), "{reason}: {error}");
        assert_eq!(fs::read_to_string(&state).unwrap(), text, "never overwritten");
    }
    for cut in 0..good.trim_end().len() {
        fs::write(&state, &good[..cut]).unwrap();
        let error = load(&dir, noon() + 300 * DAY).unwrap_err();
        assert!(error.contains(" cannot be used: "), "cut at {cut}: {error}");
        assert_eq!(fs::read(&state).unwrap(), &good.as_bytes()[..cut], "never overwritten");
    }
    fs::write(&state, &good).unwrap();
    let elsewhere = "other.local".parse().unwrap();
    let error = Authority::load_or_create(&dir, &elsewhere, noon() + 300 * DAY).unwrap_err();
    assert!(error.to_string().contains("not for the trust domain other.local"), "{error}");
    assert_eq!(fs::read_to_string(&state).unwrap(), good);
}

/// `one` with its section `index` from `other`.
fn exchange(one: &str, other: &str, index: usize) -> String {
    let split = |text: &str| -> Vec<String> {
        text.split_inclusive("-----\n")
            .collect::<Vec<_>>()
            .chunks(2)
            .map(<[&str]>::concat)
            .collect()
    };
    let (mut one, other) = (split(one), split(other));
    one[index].clone_from(&other[index]);
    one.concat()
}

#[test]
fn the_issuing_certificate_is_renewed_in_time_under_the_same_root() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ca");
    let first = load(&dir, noon()).unwrap();
    let old = first.leaf_for(&shop("a"), DAY, noon()).unwrap();
    assert_eq!(load(&dir, noon() + 243 * DAY).unwrap().not_after(), first.not_after());

    let later = noon() + 244 * DAY;
    let renewed = load(&dir, later).unwrap();
    assert_eq!(renewed.bundle(), first.bundle());
    assert_eq!(renewed.not_after(), later + 365 * DAY);
    let new = renewed.leaf_for(&shop("a"), DAY, later).unwrap();
    assert_ne!(old.chain()[1], new.chain()[1]);
    assert_eq!(load(&dir, later).unwrap().not_after(), renewed.not_after(), "and kept");

    let over = load(&dir, noon() + 3651 * DAY).unwrap_err();
    assert!(over.contains("root expired at 2035-06-13T12:00:00Z"), "{over}");
}

#[test]
fn a_root_is_followed_by_another_that_everybody_knows_by_then() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ca");
    let first = load(&dir, noon()).unwrap();
    let [old_root] = first.bundle().ders() else { panic!("one root") };
    assert_eq!(load(&dir, noon() + 2400 * DAY).unwrap().bundle(), first.bundle());

    // Announced: two are believed, the old one signs.
    let announced = noon() + 2434 * DAY;
    let both = load(&dir, announced).unwrap();
    assert_eq!(both.bundle().ders().len(), 2);
    let leaf = both.leaf_for(&shop("a"), DAY, announced).unwrap();
    let signed_by = |leaf: &Leaf, root: &CertificateDer<'static>| {
        let root = Certificate::parse(root).unwrap();
        Certificate::parse(&leaf.chain()[1]).unwrap().is_signed_by(&root)
    };
    assert!(signed_by(&leaf, old_root), "whoever has not heard of the new root knows this one");
    assert_eq!(load(&dir, announced + 59 * DAY).unwrap().bundle(), both.bundle(), "no third");

    // Its turn: the new one signs, both are believed still.
    let turned = announced + 60 * DAY;
    let turn = load(&dir, turned).unwrap();
    assert_eq!(turn.bundle(), both.bundle());
    let key = PrivateKey::generate().unwrap();
    let request = csr::verify(&csr::create(&key, &shop("a")).unwrap()).unwrap();
    let chain = turn.issue(&request, &shop("a"), DAY, turned).unwrap().chain;
    let leaf = Leaf::new(chain, key).unwrap();
    let new_root = turn.bundle().ders().iter().find(|der| *der != old_root).unwrap();
    assert!(signed_by(&leaf, new_root) && !signed_by(&leaf, old_root));

    // Over: the old one is forgotten.
    let after = load(&dir, noon() + 3651 * DAY).unwrap();
    assert_eq!(after.bundle().ders(), std::slice::from_ref(new_root));
    assert!(after.not_after() > noon() + 3651 * DAY);
}

#[test]
fn a_root_that_ends_before_its_successor_is_known_gives_way_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ca");
    load(&dir, noon()).unwrap();
    load(&dir, noon() + 3640 * DAY).unwrap();
    let after = load(&dir, noon() + 3651 * DAY).unwrap();
    assert_eq!(after.bundle().ders().len(), 1);
    assert!(after.leaf_for(&shop("a"), DAY, noon() + 3651 * DAY).is_ok());
}

#[test]
fn what_a_crash_left_behind_is_no_obstacle() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("ca");
    fs::create_dir(&dir).unwrap();
    set_mode(&dir, 0o700);
    fs::write(dir.join(NEW), "half a ke").unwrap();
    load(&dir, noon()).unwrap();
    assert!(!dir.join(NEW).exists());
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let error = load(&file.join("ca"), noon()).unwrap_err();
    assert!(error.starts_with("cannot create") && error.contains("file/ca"), "{error}");
}
