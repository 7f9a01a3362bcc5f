//! In place or copied, and what a copy changes.

use super::*;
use crate::demo::topology;

fn environment(current_dir: &Path) -> Environment {
    Environment {
        args: vec!["weft".into()],
        run_root: "/nowhere".into(),
        current_dir: current_dir.to_owned(),
        executable: "/nowhere/weft".into(),
        has_kubeconfig: false,
        otlp_endpoint: None,
        smart_terminal: false,
    }
}

fn layout(network: u8, port: u16) -> Layout {
    Layout {
        network,
        port,
        control_plane: ([127, 66, network, 250], 15010).into(),
        control_plane_health: ([127, 66, network, 250], 15020).into(),
        workloads: Vec::new(),
        shifted: Vec::new(),
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn everything_that_lies_in_the_checkout_is_built_in() {
    let mut files = read(&checkout().join(IN_CHECKOUT)).unwrap();
    files.sort();
    assert_eq!(files, BUILT_IN.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn the_manifests_name_the_workloads_that_are_started() {
    let (_, text) = BUILT_IN[3];
    for workload in &topology::WORKLOADS {
        assert!(text.contains(&format!("  name: {}\n", workload.name)), "{}", workload.name);
        assert!(text.contains(&format!("address: 127.66.0.{}\n", workload.host)));
    }
    assert_eq!(text.matches("kind: MeshWorkload").count(), topology::WORKLOADS.len());
}

#[test]
fn within_a_checkout_they_are_used_in_place() {
    let inside = environment(&checkout().join("cli/src"));
    let used = prepare(&inside, &layout(0, 8080), Path::new("/nowhere")).unwrap();
    assert_eq!(used, checkout().join(IN_CHECKOUT));
}

#[test]
fn a_copy_has_the_shifted_addresses_and_leaves_services_as_they_are() {
    let mesh = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for place in [elsewhere.path(), &checkout()] {
        let used = prepare(&environment(place), &layout(2, 8099), mesh.path()).unwrap();
        let workloads = std::fs::read_to_string(used.join(WORKLOADS)).unwrap();
        assert!(workloads.contains("address: 127.66.2.4\n") && workloads.contains("port: 8099\n"));
        assert!(!workloads.contains("8080") && !workloads.contains("127.66.0."));
        let services = std::fs::read_to_string(used.join("services.yaml")).unwrap();
        assert!(services.contains("port: 8080\n"), "the Service's own port stays");
    }
}
