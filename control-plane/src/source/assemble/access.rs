//! What is odd about access policies: all of them count, whatever is said of them here.

use weft_policy::Condition;

use crate::finding::Code;
use crate::model::{AccessPolicy, AppProtocol, Key, Mesh};
use crate::source::object::{Kind, ObjectId};

use super::Notes;

/// Runs all checks.
pub(super) fn run(mesh: &Mesh, notes: &mut Notes<'_>) {
    for policy in &mesh.access_policies {
        let key = Key::new(&policy.origin.namespace, &policy.origin.name);
        check(policy, &ObjectId { kind: Kind::AccessPolicy, key }, mesh, notes);
    }
}

fn check(policy: &AccessPolicy, id: &ObjectId, mesh: &Mesh, notes: &mut Notes<'_>) {
    let (mut selected, mut bare, mut opaque) = (0_usize, Vec::new(), None);
    let rule = policy.rules.iter().position(|rule| wants_a_request(&rule.to));
    for workload in mesh.workloads.values() {
        let applies = |port: u16| policy.applies_to(&workload.key, &workload.labels, port);
        let mut ports = workload.ports.iter().filter(|port| applies(port.port)).peekable();
        // A pod listens where it likes.
        let undeclared = workload.origin.kind == Kind::Pod.name();
        let elsewhere = undeclared && policy.ports.first().is_some_and(|port| applies(*port));
        if ports.peek().is_none() && !elsewhere {
            continue;
        }
        selected += 1;
        if !workload.meshed {
            bare.push(&workload.key);
        }
        let tcp = ports.find(|port| port.protocol == AppProtocol::Tcp);
        opaque = opaque.or(tcp.map(|port| (&workload.key, port.port)));
    }
    if selected == 0 {
        let message = "no workload of this namespace has these labels and ports";
        notes.add(id, "spec", Code::PolicyWithoutEffect, message);
    }
    if let Some(first) = bare.first() {
        let message = format!("{} workloads have no sidecar, {first} first", bare.len());
        notes.add(id, "spec", Code::PolicyNotEnforced, message);
    }
    if let (Some(rule), Some((workload, port))) = (rule, opaque) {
        let message = format!("port {port} of workload {workload} carries opaque TCP");
        let field = format!("spec.rules[{rule}].to");
        notes.add(id, field, Code::RequestRuleOnTcpPort, message);
    }
}

/// Does every way in which it applies want something of a request?
fn wants_a_request(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().any(wants_a_request),
        Condition::Any(parts) => !parts.is_empty() && parts.iter().all(wants_a_request),
        Condition::Method(_)
        | Condition::Path(_)
        | Condition::PathPrefix(_)
        | Condition::PathTemplate(_)
        | Condition::Header(..) => true,
        Condition::Mesh
        | Condition::Identity(_)
        | Condition::IdentityPrefix(_)
        | Condition::Source(_)
        | Condition::Port(_) => false,
    }
}
