//! The CA's trust domain wins, and a finding says so.

use std::sync::Arc;

use tokio::sync::watch;

use super::InForce;
use crate::ca::IssuerView;
use crate::finding::{Code, Finding};
use crate::model::Mesh;
use crate::telemetry::Draining;
use crate::testing::{mesh, trust_domain};

fn asking_for(trust_domain: &str) -> Arc<Mesh> {
    let mut mesh = Mesh::clone(&mesh(&["product"]));
    mesh.config.trust_domain = trust_domain.to_owned();
    Arc::new(mesh)
}

fn nobody() -> watch::Receiver<Draining> {
    watch::Sender::default().subscribe()
}

/// No issuer from outside.
fn no_issuer() -> watch::Receiver<IssuerView> {
    watch::Sender::default().subscribe()
}

fn in_force(mesh: Arc<Mesh>, findings: Vec<Finding>) -> (Arc<Mesh>, Arc<Vec<Finding>>) {
    let (mesh, findings) = (watch::Sender::new(mesh), watch::Sender::new(Arc::new(findings)));
    let said = (nobody(), no_issuer());
    let in_force = InForce::new(mesh.subscribe(), findings.subscribe(), said, trust_domain());
    (in_force.mesh().borrow().clone(), in_force.findings().borrow().clone())
}

#[test]
fn the_mesh_is_under_the_cas_trust_domain_whatever_it_asks_for() {
    for asked in ["demo.local", "cluster.local", "other.example"] {
        let (mesh, _) = in_force(asking_for(asked), Vec::new());
        assert_eq!(mesh.config.trust_domain, "demo.local");
        assert_eq!(mesh.workloads.len(), 1);
    }
}

#[test]
fn only_another_wish_is_a_finding() {
    for (asked, expected) in [("demo.local", 0), ("cluster.local", 0), ("other.example", 1)] {
        assert_eq!(in_force(asking_for(asked), Vec::new()).1.len(), expected, "{asked}");
    }
}

#[test]
fn the_finding_stands_beside_those_of_the_source() {
    let read = Finding::new(Code::NoEndpoints, "x");
    let (_, findings) = in_force(asking_for("other.example"), vec![read.clone()]);
    assert_eq!(findings[0], read);
    assert_eq!(findings[1].code, Code::ConfigIgnored);
    let text = findings[1].to_string();
    assert!(text.contains("other.example") && text.contains("demo.local"), "{text}");
}

#[tokio::test]
async fn changes_are_followed_and_repetitions_wake_nobody() {
    // Whoever drops it ends the mesh in force.
    let (draining, issuer) = (watch::Sender::<Draining>::default(), watch::Sender::default());
    let source = watch::Sender::new(asking_for("demo.local"));
    let findings = watch::Sender::new(Arc::default());
    let in_force = InForce::new(
        source.subscribe(),
        findings.subscribe(),
        (draining.subscribe(), issuer.subscribe()),
        trust_domain(),
    );
    let (mut seen, mut said) = (in_force.mesh(), in_force.findings());
    let running = tokio::spawn(in_force.run());

    source.send_replace(mesh(&["product", "payment"]));
    seen.changed().await.unwrap();
    assert_eq!(seen.borrow_and_update().workloads.len(), 2);

    source.send_replace(mesh(&["product", "payment"]));
    let mut other = Mesh::clone(&mesh(&["product", "payment"]));
    other.config.trust_domain = "other.example".to_owned();
    source.send_replace(Arc::new(other));
    said.changed().await.unwrap();
    assert_eq!(said.borrow_and_update().len(), 1);
    assert!(!seen.has_changed().unwrap());

    drop((source, findings));
    running.await.unwrap();
}

#[test]
fn who_drains_says_so_in_the_mesh_until_it_is_back() {
    let mesh = watch::Sender::new(mesh(&["product", "payment"]));
    let (findings, draining) = (watch::Sender::default(), watch::Sender::new(Draining::default()));
    let (read, found) = (mesh.subscribe(), findings.subscribe());
    let mut in_force =
        InForce::new(read, found, (draining.subscribe(), no_issuer()), trust_domain());
    let product = mesh.borrow().workloads.keys().next().unwrap().clone();
    let marked = |in_force: &InForce| {
        let mesh = in_force.mesh().borrow().clone();
        mesh.workloads.values().filter(|workload| workload.draining).count()
    };
    assert_eq!(marked(&in_force), 0);
    let stranger = crate::model::Key::new("shop", "gone");
    draining.send_replace(Arc::new([product, stranger].into()));
    in_force.update();
    assert_eq!(marked(&in_force), 1);
    assert!(
        mesh.borrow().workloads.values().all(|workload| !workload.draining),
        "what was read stays"
    );
    draining.send_replace(Draining::default());
    in_force.update();
    assert_eq!(marked(&in_force), 0);
}
