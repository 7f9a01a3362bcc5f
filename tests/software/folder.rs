//! Folders that every user of a pod may read: programs of ours for clients and servers, and what comes from Maven or
//! npm. The latter is fetched once into the cache, in the version that is written here, and never into the checkout.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::{cache, loud, may_install};

/// A folder that goes with the value.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("weft-software-").tempdir();
        let folder = folder.expect("there is a place for temporary files");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self(folder)
    }

    /// Its path, or that of a file in it.
    pub(crate) fn path(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    /// Writes a file into it.
    pub(crate) fn with(self, file: &str, text: &str) -> Self {
        fs::write(self.0.path().join(file), text).expect("it is ours");
        self
    }

    /// Copies a file or folder into it.
    pub(crate) fn copy(self, from: &Path) -> Self {
        // Caches often lie in somebody's home, which no other user may pass.
        run(Command::new("cp").arg("-rL").arg(from).arg(self.0.path()));
        self
    }
}

/// `jars` with all that a Maven artifact, `group:name:version`, needs to run. `None` if it may not be fetched.
pub(crate) fn maven(artifact: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = artifact.split(':').collect();
    let [group, name, version] = parts[..] else { panic!("{artifact} is group:name:version") };
    fetched(&format!("maven-{name}-{version}"), |into| {
        let pom = format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>weft.tests</groupId>
<artifactId>software</artifactId><version>1</version><dependencies><dependency>
<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>
</dependency></dependencies></project>"
        );
        fs::write(into.join("pom.xml"), pom).expect("it is ours");
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
        run(maven.arg("-DoutputDirectory=jars").current_dir(into));
    })
    .map(|folder| folder.join("jars"))
}

/// `node_modules` with a package, `name@version`. `None` if it may not be fetched.
pub(crate) fn npm(package: &str) -> Option<PathBuf> {
    fetched(&format!("npm-{}", package.replace('@', "-")), |into| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run(npm.args(["--prefix", "."]).arg(package).current_dir(into));
    })
    .map(|folder| folder.join("node_modules"))
}

/// A folder of the cache, filled if it is not there yet.
fn fetched(name: &str, fill: impl Fn(&Path)) -> Option<PathBuf> {
    let cache = cache()?;
    let folder = cache.join(name);
    if !folder.exists() {
        if !may_install() {
            loud(&format!(
                "{name}: SKIPPED: it is not in {}: use tests/run --all",
                cache.display()
            ));
            return None;
        }
        // Race: two runs may fetch at once; each fills a folder of its own, and a rename is whole or not.
        fs::create_dir_all(&cache).expect("the cache directory can be made");
        let fresh = tempfile::Builder::new().prefix(name).tempdir_in(&cache);
        let fresh = fresh.expect("the cache directory is ours");
        fill(fresh.path());
        // Where the other run was first, its copy is as good, and ours goes.
        let moved = fs::rename(fresh.path(), &folder);
        assert!(folder.exists(), "{}: {moved:?}", folder.display());
    }
    Some(folder)
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = || String::from_utf8_lossy(&[&*output.stdout, &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}", said());
}
