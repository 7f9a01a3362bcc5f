//! One owner a mesh, nothing left behind, nothing of somebody else's trusted.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_mesh_has_one_owner_and_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("weft");
    let root = RunRoot::open(&path).unwrap();
    let first = root.claim("demo").unwrap().expect("nobody has it");
    assert!(root.claim("demo").unwrap().is_none(), "it is taken");
    let second = root.claim("demo-2").unwrap().expect("another name is free");
    assert_eq!((mode(&path), mode(first.path())), (0o700, 0o700));

    drop(first);
    assert!(root.claim("demo").unwrap().is_some(), "free again");
    drop(second);
    assert!(!path.exists(), "the last mesh takes the root with it");
}

#[test]
fn what_a_killed_owner_left_is_removed_by_the_next() {
    let scratch = tempfile::tempdir().unwrap();
    let root = RunRoot::open(scratch.path()).unwrap();
    fs::create_dir_all(scratch.path().join("demo/proxies/old")).unwrap();
    fs::write(scratch.path().join("demo.lock"), "").unwrap();
    fs::create_dir_all(scratch.path().join("other/proxies")).unwrap();
    fs::write(scratch.path().join("other.lock"), "").unwrap();
    let mesh = root.claim("demo").unwrap().unwrap();
    assert_eq!(fs::read_dir(mesh.path()).unwrap().count(), 0);
    assert!(!scratch.path().join("other").exists(), "those of other names go too");
    assert!(root.claim("demo").unwrap().is_none(), "but not one that has an owner");
}

#[test]
fn a_root_that_others_may_enter_is_made_private_and_a_link_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let open = scratch.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    RunRoot::open(&open).unwrap();
    assert_eq!(mode(&open), 0o700);

    let link = scratch.path().join("link");
    std::os::unix::fs::symlink(&open, &link).unwrap();
    assert!(RunRoot::open(&link).unwrap_err().to_string().contains("XDG_RUNTIME_DIR"));
}

#[test]
fn a_directory_too_deep_for_sockets_is_refused_before_anything_is_started() {
    let scratch = tempfile::tempdir().unwrap();
    let root = RunRoot::open(&scratch.path().join("x".repeat(80))).unwrap();
    let refused = root.claim("demo").unwrap_err().to_string();
    assert!(refused.contains("XDG_RUNTIME_DIR"), "{refused}");
}

#[test]
fn only_meshes_with_a_living_process_are_running() {
    let scratch = tempfile::tempdir().unwrap();
    let root = RunRoot::open(scratch.path()).unwrap();
    let record = |name: &str, pid| MeshRecord {
        name: name.to_owned(),
        pid,
        admin: PathBuf::from("admin.sock"),
        config_dir: PathBuf::from("manifests"),
        urls: [("shop".to_owned(), "http://127.0.0.1:8080".to_owned())].into(),
    };
    let alive = root.claim("alive").unwrap().unwrap();
    alive.publish(&record("alive", std::process::id())).unwrap();
    assert_eq!(mode(&alive.path().join("mesh.json")), 0o600);
    let dead = root.claim("dead").unwrap().unwrap();
    dead.publish(&record("dead", 0)).unwrap();
    assert_eq!(RunRoot::running(scratch.path()), [record("alive", std::process::id())]);
}

#[test]
fn names_that_would_leave_the_root_are_refused() {
    for name in ["", "..", "a/b", "Demo", "a.lock", "-a", "a-", &"x".repeat(33)] {
        assert!(check_name(name).is_err(), "{name}");
    }
    check_name("demo-2").unwrap();
}
