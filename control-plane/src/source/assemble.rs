//! Objects to [`Mesh`]: looks up what they name, decides conflicts, and checks what is odd between them.
//!
//! Pure: the same objects give the same mesh and the same findings. An unresolved reference never removes
//! more than itself.

mod access;
mod checks;
mod listed;
mod policies;
mod routes;
mod telemetry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::finding::{Code, Finding};
use crate::model::{AccessPolicy, Mesh, MeshConfig, Service};

use super::object::{Object, ObjectId};
use super::schema::NumberOrText;
use super::store::InForce;

/// Objects by id.
pub(crate) type Objects = BTreeMap<ObjectId, InForce>;

/// Builds the mesh.
pub(crate) fn assemble(objects: &Objects) -> (Mesh, Vec<Finding>) {
    let mut mesh = Mesh::default();
    let mut notes = Notes { objects, findings: Vec::new() };
    // Order: what is referred to comes before what refers.
    for (id, found) in objects {
        let origin = id.origin(found.generation);
        match &*found.object {
            Object::MeshConfig(config) => mesh.config = MeshConfig { origin, ..config.clone() },
            Object::Service(service) => {
                let service = Service { origin, ..service.clone() };
                mesh.services.insert(id.key.clone(), service);
            }
            Object::Workload(workload) => {
                let mut workload = workload.clone();
                workload.origin = origin;
                mesh.workloads.insert(id.key.clone(), workload);
            }
            Object::AccessPolicy(policy) => {
                mesh.access_policies.push(AccessPolicy { origin, ..policy.clone() });
            }
            Object::Route(_)
            | Object::TrafficPolicy(_)
            | Object::InboundPolicy(_)
            | Object::TelemetryPolicy(_) => {}
        }
    }
    listed::declare(&mut mesh);
    routes::resolve(objects, &mut mesh, &mut notes);
    policies::resolve(objects, &mut mesh, &mut notes);
    telemetry::resolve(objects, &mut mesh, &mut notes);
    access::run(&mesh, &mut notes);
    checks::run(&mesh, &mut notes);
    (mesh, notes.findings)
}

/// Findings, each placed by the object and field it is about.
pub(crate) struct Notes<'a> {
    objects: &'a Objects,
    findings: Vec<Finding>,
}

impl Notes<'_> {
    /// Says something about a field of an object.
    fn add(
        &mut self,
        id: &ObjectId,
        field: impl Into<String>,
        code: Code,
        message: impl Into<String>,
    ) {
        let field = field.into();
        let mut finding = Finding::new(code, message).about(id.to_string());
        if let Some(found) = self.objects.get(id) {
            finding = finding.at(&*found.file, found.lines.of(&field));
        }
        self.findings.push(finding.field(field));
    }

    /// The same, with a better hint than the code's own.
    fn add_hint(
        &mut self,
        id: &ObjectId,
        field: impl Into<String>,
        code: Code,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(id, field, code, message);
        if let Some(last) = self.findings.last_mut() {
            last.hint = hint.into();
        }
    }
}

/// The port that a name or a number means.
fn port_of(service: &Service, section: &NumberOrText) -> Option<u16> {
    let text = match section {
        NumberOrText::Text(text) => text.clone(),
        NumberOrText::Number(number) => number.to_string(),
    };
    let ports = || service.ports.iter();
    ports()
        .find(|port| port.name == text)
        .or_else(|| ports().find(|port| port.port.to_string() == text))
        .map(|port| port.port)
}

/// `80 (http), 9090`, for people.
fn list_ports(service: &Service) -> String {
    let one = |port: &crate::model::ServicePort| match port.name.as_str() {
        "" => port.port.to_string(),
        name => format!("{} ({name})", port.port),
    };
    match service.ports.as_slice() {
        [] => "no ports".to_owned(),
        ports => ports.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}
