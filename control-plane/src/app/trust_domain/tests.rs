//! Where the trust domain comes from, and that it stays.

use std::ffi::OsString;
use std::path::Path;

use tempfile::TempDir;

use super::decide;
use crate::app::state_dir::StateDir;
use crate::config::Config;
use crate::source::DirectorySource;

struct Fixture {
    root: TempDir,
}

impl Fixture {
    fn new(mesh_config: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("config")).unwrap();
        std::fs::write(root.path().join("config/mesh.yaml"), mesh_config).unwrap();
        Self { root }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn decide(&self, flags: &[&str]) -> Result<String, String> {
        let state = StateDir::open(&self.path().join("state")).unwrap();
        let (config_dir, state_dir) = (self.path().join("config"), self.path().join("state"));
        let dirs = ["--config-dir".into(), config_dir.clone().into(), "--state-dir".into()];
        let flags = flags.iter().map(OsString::from);
        let arguments = dirs.into_iter().chain([state_dir.into()]).chain(flags);
        let config = Config::from_arguments(arguments).unwrap();
        let source = DirectorySource::open(config_dir).unwrap();
        let (mesh, findings) = (source.mesh(), source.findings());
        let asked = config.trust_domain.as_ref();
        let recorded = state.trust_domain().unwrap();
        let decided = decide(recorded, asked, "here", (&mesh.borrow(), &findings.borrow()))
            .map_err(|error| format!("{error:#}"))?;
        state.record_trust_domain(&decided).unwrap();
        Ok(decided.to_string())
    }
}

fn mesh_config(trust_domain: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\n\
         metadata: {{name: default, namespace: weft-system}}\nspec: {{trustDomain: {trust_domain}}}\n"
    )
}

#[test]
fn a_new_one_is_the_flags_then_the_mesh_configs_then_the_default() {
    for (mesh_config, flags, expected) in [
        (mesh_config("demo.local"), &["--trust-domain", "flag.local"] as &[&str], "flag.local"),
        (mesh_config("demo.local"), &[], "demo.local"),
        (String::new(), &[], "cluster.local"),
    ] {
        assert_eq!(Fixture::new(&mesh_config).decide(flags).unwrap(), expected);
    }
}

#[test]
fn what_was_decided_stays() {
    let fixture = Fixture::new(&mesh_config("demo.local"));
    fixture.decide(&[]).unwrap();
    std::fs::write(fixture.path().join("config/mesh.yaml"), mesh_config("other.local")).unwrap();
    assert_eq!(fixture.decide(&[]).unwrap(), "demo.local");
    assert_eq!(fixture.decide(&["--trust-domain", "demo.local"]).unwrap(), "demo.local");
    let error = fixture.decide(&["--trust-domain", "other.local"]).unwrap_err();
    assert!(error.contains("demo.local") && error.contains("other.local"), "{error}");
}

#[test]
fn a_broken_mesh_config_is_no_reason_to_guess() {
    let fixture = Fixture::new(&mesh_config("NOT-A-DOMAIN"));
    let error = fixture.decide(&[]).unwrap_err();
    assert!(error.contains("--trust-domain") && error.contains("mesh.yaml"), "{error}");
    assert_eq!(fixture.decide(&["--trust-domain", "demo.local"]).unwrap(), "demo.local");
    // Once decided, the file is somebody else's business.
    assert_eq!(fixture.decide(&[]).unwrap(), "demo.local");
}
