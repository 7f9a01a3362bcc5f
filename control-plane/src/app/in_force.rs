//! The mesh as it is in force: what the source read, under the trust domain that the CA is for, with what its sidecars say
//! of their leaving; and among the findings what is wrong with an issuer from outside.
//!
//! Sits between the source and everybody else. A `MeshConfig` that asks for another trust domain than the
//! CA's must not take the mesh down: its wish is not granted, and a finding says so.

use std::sync::Arc;

use tokio::sync::watch;
use weft_certs::TrustDomain;

use crate::ca::IssuerView;
use crate::finding::{Code, Finding};
use crate::model::{Mesh, MeshConfig};
use crate::telemetry::Draining;

/// Passes versions of the mesh and of the findings on, corrected.
#[derive(Debug)]
pub(super) struct InForce {
    trust_domain: TrustDomain,
    read: watch::Receiver<Arc<Mesh>>,
    read_findings: watch::Receiver<Arc<Vec<Finding>>>,
    draining: watch::Receiver<Draining>,
    issuer: watch::Receiver<IssuerView>,
    mesh: watch::Sender<Arc<Mesh>>,
    findings: watch::Sender<Arc<Vec<Finding>>>,
}

impl InForce {
    /// Takes over what was read so far.
    pub(super) fn new(
        read: watch::Receiver<Arc<Mesh>>,
        read_findings: watch::Receiver<Arc<Vec<Finding>>>,
        (draining, issuer): (watch::Receiver<Draining>, watch::Receiver<IssuerView>),
        trust_domain: TrustDomain,
    ) -> Self {
        let (mesh, findings) = (watch::Sender::default(), watch::Sender::default());
        let mut this = Self { trust_domain, read, read_findings, draining, issuer, mesh, findings };
        this.update();
        this
    }

    /// The mesh in force.
    pub(super) fn mesh(&self) -> watch::Receiver<Arc<Mesh>> {
        self.mesh.subscribe()
    }

    /// What is to be said about it.
    pub(super) fn findings(&self) -> watch::Receiver<Arc<Vec<Finding>>> {
        self.findings.subscribe()
    }

    /// Follows the source until it ends.
    pub(super) async fn run(mut self) {
        loop {
            let changed = tokio::select! {
                changed = self.read.changed() => changed,
                changed = self.read_findings.changed() => changed,
                changed = self.draining.changed() => changed,
                // Where there is none nobody tells.
                Ok(()) = self.issuer.changed() => Ok(()),
            };
            if changed.is_err() {
                return;
            }
            self.update();
        }
    }

    fn update(&mut self) {
        let read = self.read.borrow_and_update().clone();
        let mut findings = self.read_findings.borrow_and_update().clone();
        if let Some(finding) = mismatch(&read, &self.trust_domain) {
            if !self.findings.borrow().contains(&finding) {
                tracing::error!("{finding}");
            }
            Arc::make_mut(&mut findings).push(finding);
        }
        if let Some(finding) = self.issuer.borrow_and_update().finding() {
            Arc::make_mut(&mut findings).push(finding);
        }
        let draining = self.draining.borrow_and_update().clone();
        let mesh = mark(correct(read, &self.trust_domain), &draining);
        // Order: the mesh first, so that nobody reads of a finding before it is true.
        self.mesh.send_if_modified(|known| replace(known, mesh));
        self.findings.send_if_modified(|known| replace(known, findings));
    }
}

/// The same mesh, in which these workloads are about to go.
fn mark(mut mesh: Arc<Mesh>, draining: &Draining) -> Arc<Mesh> {
    if draining.iter().any(|key| mesh.workloads.contains_key(key)) {
        // The source's own copy stays as it was read.
        let mesh = Arc::make_mut(&mut mesh);
        for key in &**draining {
            if let Some(workload) = mesh.workloads.get_mut(key) {
                workload.draining = true;
            }
        }
    }
    mesh
}

/// The same mesh under `trust_domain`.
fn correct(mesh: Arc<Mesh>, trust_domain: &TrustDomain) -> Arc<Mesh> {
    if mesh.config.trust_domain == trust_domain.as_str() {
        return mesh;
    }
    let mut mesh = Arc::unwrap_or_clone(mesh);
    mesh.config.trust_domain = trust_domain.as_str().to_owned();
    Arc::new(mesh)
}

/// Does the configuration ask for another trust domain? The default one asks for nothing.
fn mismatch(mesh: &Mesh, trust_domain: &TrustDomain) -> Option<Finding> {
    let asked = &mesh.config.trust_domain;
    if asked == trust_domain.as_str() || *asked == MeshConfig::default().trust_domain {
        return None;
    }
    let message = format!(
        "trust domain {asked} is not in force: the CA of this control plane is for {trust_domain}"
    );
    let hint = format!(
        "set it back to {trust_domain}; to move to {asked}, start the control plane with an empty state \
         directory and let every workload join again"
    );
    let finding = Finding::new(Code::ConfigIgnored, message)
        .about("MeshConfig weft-system/default")
        .field("spec.trustDomain")
        .hint(hint);
    Some(finding)
}

fn replace<T: PartialEq>(known: &mut T, new: T) -> bool {
    let changed = *known != new;
    *known = new;
    changed
}

#[cfg(test)]
mod tests;
