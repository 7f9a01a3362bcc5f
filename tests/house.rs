//! The house rules that a machine can check, beside those that are lints in the root `Cargo.toml`. A rule that is
//! broken for a reason has the reason here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with code of ours.
const FOLDERS: [&str; 8] =
    ["proto", "certs", "policy", "relay", "proxy", "control-plane", "cli", "tests"];

/// A file longer than this is two files.
const MAX_LINES: usize = 400;

/// Below a crate's `src/`, a folder's folder's file is as deep as it gets.
const MAX_DEPTH: usize = 4;

/// Files that may read the environment, besides `config.rs`, `main.rs` and `build.rs`.
const READS_ENVIRONMENT: [(&str, &str); 8] = [
    ("proxy/src/lib.rs", "main_with_args: hands it to config::parse, for two programs"),
    ("proxy/src/telemetry/docs.rs", "a test that writes the reference again when told to"),
    ("cli/src/environment.rs", "the command line's config.rs: directories and terminal, read once"),
    ("tests/harness/binaries.rs", "finds the programs beside the test's own executable"),
    ("tests/harness/process.rs", "gives children PATH and nothing else"),
    ("tests/harness/terminal.rs", "gives what runs in a terminal PATH and nothing else"),
    ("tests/harness/cache.rs", "finds the cache of what is downloaded, and whether it may be"),
    ("tests/harness/demo.rs", "gives the demo PATH and nothing else"),
];

/// What decides and computes, and is therefore tested as a table: no sockets and no clock of its own.
const PURE: [&str; 37] = [
    "cli/src/dashboard/notices",
    "cli/src/why/checks",
    "cli/src/why/diagnosis",
    "cli/src/why/gather",
    "control-plane/src/access/reach",
    "control-plane/src/access/trial",
    "control-plane/src/injection",
    "control-plane/src/policies",
    "control-plane/src/requests/lookup",
    "control-plane/src/requests/routes",
    "control-plane/src/model",
    "control-plane/src/status/desired",
    "control-plane/src/status/lease/decide",
    "control-plane/src/status/pace",
    "control-plane/src/status/replicas/listed",
    "control-plane/src/status/replicas/total",
    "control-plane/src/translate",
    "control-plane/src/xds/session",
    "control-plane/src/xds/subscription",
    "control-plane/src/xds/log",
    "control-plane/src/xds/objects",
    "policy/src/condition",
    "policy/src/decide",
    "policy/src/miss",
    "policy/src/narrow",
    "policy/src/reach",
    "policy/src/spelling",
    "policy/src/template",
    "proxy/src/interception/chains",
    "proxy/src/interception/difference",
    "proxy/src/interception/ruleset",
    "proxy/src/model",
    "proxy/src/overload/level",
    "proxy/src/retry/decide",
    "proxy/src/router",
    "proxy/src/telemetry/recent/wanted",
    "proxy/src/xds/subscription",
];

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    assert_none("files that do not open with `//!`", silent.map(|source| source.path));
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > MAX_LINES).then(|| format!("{} has {lines} lines", source.path))
    });
    assert_none("files over 400 lines", long);
}

#[test]
fn folders_are_shallow_and_modules_have_names() {
    let odd = sources().into_iter().map(|source| source.path).filter(|path| {
        let inside = path.split_once("/src/").map_or("", |(_, inside)| inside);
        // A file of tests lies one deeper than what it tests.
        let tests = usize::from(path.contains("/tests"));
        inside.matches('/').count() > MAX_DEPTH + tests || path.ends_with("/mod.rs")
    });
    assert_none("files too deep, or called mod.rs", odd);
}

#[test]
fn the_environment_is_read_in_one_place_of_each_program() {
    let allowed = |path: &str| {
        ["/config.rs", "/main.rs", "/build.rs"].iter().any(|name| path.ends_with(name))
            || READS_ENVIRONMENT.iter().any(|(exception, _)| *exception == path)
            // Tools for developers are not held to it.
            || path.starts_with("tests/bench/")
    };
    let pattern = ["std", "::env"].concat();
    let readers = mentions(&[&pattern]).into_iter().filter(|(path, _)| !allowed(path));
    assert_none("readers of the environment", readers.map(|(path, line)| format!("{path}:{line}")));
}

#[test]
fn what_decides_has_no_sockets_and_no_clock() {
    let is_pure = |path: &str| {
        let belongs = |module: &&str| {
            path.strip_prefix(*module).is_some_and(|rest| rest.starts_with(['/', '.']))
        };
        PURE.iter().any(belongs) && !path.contains("/tests")
    };
    for module in PURE {
        assert!(root().join(format!("{module}.rs")).exists(), "{module} is gone; correct PURE");
    }
    let found = mentions(&["tokio::net", "Instant::now", "SystemTime::now", "tokio::time::sleep"]);
    let impure = found.into_iter().filter(|(path, _)| is_pure(path));
    assert_none("impure modules", impure.map(|(path, line)| format!("{path}:{line}")));
}

#[test]
fn nothing_is_left_to_do() {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let found = mentions(&[&words[0], &words[1]]);
    assert_none("notes to oneself", found.into_iter().map(|(path, line)| format!("{path}:{line}")));
}

#[test]
fn the_planes_do_not_link_each_other() {
    let lock = Lock::read();
    let proxy = lock.closure("weft-proxy");
    for foreign in ["weft-control-plane", "weft-cli", "kube", "notify", "serde-saphyr"] {
        assert!(!proxy.contains(foreign), "weft-proxy depends on {foreign}");
    }
    let control_plane = lock.closure("weft-control-plane");
    for foreign in ["weft-proxy", "weft-cli"] {
        assert!(!control_plane.contains(foreign), "weft-control-plane depends on {foreign}");
    }
}

#[test]
fn what_speaks_on_the_wire_is_there_once() {
    let lock = Lock::read();
    for name in ["hyper", "h2", "http", "tonic", "prost", "rustls", "tokio", "aws-lc-rs"] {
        let versions = lock.versions(name);
        assert_eq!(versions.len(), 1, "{name} is there in versions {versions:?}");
    }
}

struct Source {
    /// From the checkout's root.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the checkout can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                let path = path.strip_prefix(&root).expect("it was found below the root");
                sources.push(Source { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    assert!(sources.len() > 100, "{} sources found: looked in the wrong place", sources.len());
    sources
}

/// File and line of every mention of a word. The lines of this file do not count: they are the rules.
fn mentions(words: &[&str]) -> Vec<(String, usize)> {
    let sources = sources().into_iter().filter(|source| source.path != "tests/house.rs");
    let mut found = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push((source.path.clone(), index + 1));
            }
        }
    }
    found
}

#[track_caller]
fn assert_none(what: &str, found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}

/// `Cargo.lock`, as far as it is asked.
struct Lock {
    /// Versions and names of dependencies, by name. Versions of one name share their dependencies.
    packages: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
}

impl Lock {
    fn read() -> Self {
        let text = fs::read_to_string(root().join("Cargo.lock")).expect("there is a Cargo.lock");
        let mut packages: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
        for block in text.split("[[package]]").skip(1) {
            let value = |key: &str| {
                let line = block.lines().find_map(|line| line.strip_prefix(key))?;
                Some(line.trim_matches([' ', '=', '"']).to_owned())
            };
            let Some(name) = value("name") else { continue };
            let (versions, dependencies) = packages.entry(name).or_default();
            versions.extend(value("version"));
            let listed = block.split_once("dependencies = [").map_or("", |(_, list)| list);
            let names = listed.lines().filter_map(|line| line.trim().strip_prefix('"'));
            dependencies
                .extend(names.filter_map(|line| Some(line.split([' ', '"']).next()?.to_owned())));
        }
        Self { packages }
    }

    fn versions(&self, name: &str) -> &BTreeSet<String> {
        &self.packages.get(name).unwrap_or_else(|| panic!("{name} is not in Cargo.lock")).0
    }

    /// Everything that `name` depends on, its tests included.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut closure = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            let Some((_, dependencies)) = self.packages.get(&name) else { continue };
            open.extend(
                dependencies.iter().filter(|name| closure.insert((*name).clone())).cloned(),
            );
        }
        closure
    }
}
