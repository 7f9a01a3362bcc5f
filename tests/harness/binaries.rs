//! Where the programs under test are: beside this test's own executable, in cargo's target directory, or, where
//! `TEST_PROFILE` names another of cargo's profiles, where that one puts them. They must be built and no older than their
//! sources, because a test of yesterday's program proves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The program called `name`.
///
/// # Panics
/// It is missing or out of date; says what to type.
pub(crate) fn binary(name: &str) -> PathBuf {
    let path = built().join(name);
    let built = modified(&path)
        .unwrap_or_else(|| panic!("{} is not there; run: {}", path.display(), command()));
    if let Some(source) = newer_source(&path.with_extension("d"), built) {
        panic!("{} is older than {source}; run: {}", path.display(), command());
    }
    path
}

/// The directory that cargo builds the programs under test into.
pub(crate) fn built() -> PathBuf {
    let own = std::env::current_exe().expect("Linux knows the path of a running program");
    // target/<profile>/deps/mesh-…
    let own = own.parent().and_then(Path::parent).expect("cargo puts tests two levels deep");
    profile().map_or_else(|| own.to_owned(), |profile| own.with_file_name(profile))
}

/// Are the programs under test as people get them? What they are told of size and memory holds for no others.
pub(crate) fn as_shipped() -> bool {
    profile().is_some_and(|profile| profile == "dist")
}

/// The profile of the programs under test, if it is not this test's own.
fn profile() -> Option<String> {
    std::env::var("TEST_PROFILE").ok().filter(|profile| !profile.is_empty())
}

/// How to make the programs.
fn command() -> String {
    let profile = profile().map(|profile| format!(" --profile {profile}")).unwrap_or_default();
    format!("cargo build{profile} --workspace --bins")
}

/// A Go program that `tests/tools/build` has made.
///
/// # Panics
/// Nobody has said where they are; says what to type.
pub(crate) fn tool(name: &str) -> PathBuf {
    tools()
        .expect("export TEST_TOOLS=\"$(tests/tools/build ~/.cache/weft)\", or use tests/run")
        .join(name)
}

/// Where they are; `None` if nobody has said it.
pub(crate) fn tools() -> Option<PathBuf> {
    std::env::var_os("TEST_TOOLS").map(PathBuf::from)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// The first source that has changed since `built`, by the list that cargo keeps beside each program.
fn newer_source(list: &Path, built: SystemTime) -> Option<String> {
    let list = fs::read_to_string(list).ok()?;
    let (_, sources) = list.split_once(": ")?;
    sources
        .split_whitespace()
        .find(|source| modified(Path::new(source)).is_some_and(|changed| changed > built))
        .map(str::to_owned)
}
