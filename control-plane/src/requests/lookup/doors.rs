//! What holds at the ports of the workloads behind a call: mutual TLS, rules about access, rate limits. The decision about access is
//! `crate::access`'s, the very one that sidecars make, for what is known of the request.

use std::collections::BTreeMap;

use serde::Serialize;
use weft_certs::SpiffeId;
use weft_policy::{Asks as Asked, Partial};
use weft_proto::names;

use super::Sidecar;
use crate::access::{Judgement, PortRules};
use crate::model::{Mesh, MtlsMode, Origin, Workload};

/// Bound: doors that are looked at.
const MAX_DOORS: usize = 32;

/// One port of one workload, for one caller.
#[derive(Debug, Serialize)]
pub(super) struct Door {
    workload: String,
    object: String,
    identity: String,
    address: String,
    port: u16,
    /// Does the workload say that it serves that port?
    declared: bool,
    /// Those that it does.
    ports: Vec<u16>,
    meshed: bool,
    draining: bool,
    /// `STRICT`, `PERMISSIVE`, `DISABLE`.
    mtls: &'static str,
    /// Who says so; null is the default.
    mtls_by: Option<String>,
    /// Nothing is enforced without a sidecar.
    #[serde(flatten)]
    judgement: Option<Judgement>,
    /// The `InboundPolicy` with limits on requests.
    rate_limited_by: Option<String>,
    sidecar: Sidecar,
}

/// Who asks for what.
pub(super) struct Asks<'a> {
    /// SPIFFE id; `None` is somebody without one.
    pub(super) identity: Option<String>,
    /// Empty: not known.
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) sidecars: &'a BTreeMap<String, Sidecar>,
}

impl Door {
    /// Objects that speak of it.
    pub(super) fn objects(&self) -> Vec<String> {
        let judged = self.judgement.as_ref().and_then(|judged| judged.rule.as_ref());
        let judged = judged.map(|rule| rule.split('#').next().unwrap_or_default().to_owned());
        let said = [self.mtls_by.clone(), self.rate_limited_by.clone(), judged];
        said.into_iter().flatten().chain([self.object.clone()]).collect()
    }
}

/// Those of these workloads; without a port, each that a workload declares.
pub(super) fn doors<'a>(
    mesh: &Mesh,
    all: impl Iterator<Item = (&'a Workload, Option<u16>)>,
    asks: &Asks<'_>,
) -> Vec<Door> {
    let ports = all.flat_map(|(workload, port)| {
        let ports = match port {
            Some(port) => vec![port],
            None => workload.ports.iter().map(|port| port.port).collect(),
        };
        ports.into_iter().map(move |port| (workload, port))
    });
    ports.take(MAX_DOORS).map(|(workload, port)| door(mesh, workload, port, asks)).collect()
}

fn door(mesh: &Mesh, workload: &Workload, port: u16, asks: &Asks<'_>) -> Door {
    let name = names::workload(&workload.key.name, &workload.key.namespace);
    let policy = mesh.inbound_policy(&workload.key, &workload.labels, port);
    let mode = mesh.mtls_mode(&workload.key, &workload.labels, port);
    let of_policy = policy.filter(|policy| policy.mtls.is_some()).map(|policy| &policy.origin);
    let mtls_by = of_policy.unwrap_or(&mesh.config.origin);
    let limiting = policy.filter(|policy| !policy.rate_limits.is_empty());
    Door {
        object: workload.origin.to_string(),
        identity: workload.identity(&mesh.config.trust_domain),
        address: workload.address.to_string(),
        port,
        declared: workload.ports.iter().any(|declared| declared.port == port),
        ports: workload.ports.iter().map(|declared| declared.port).collect(),
        meshed: workload.meshed,
        draining: workload.draining,
        mtls: match mode {
            MtlsMode::Strict => "STRICT",
            MtlsMode::Permissive => "PERMISSIVE",
            MtlsMode::Disable => "DISABLE",
        },
        mtls_by: (*mtls_by != Origin::default()).then(|| mtls_by.to_string()),
        judgement: workload.meshed.then(|| judge(mesh, workload, port, asks)),
        rate_limited_by: limiting.map(|policy| policy.origin.to_string()),
        sidecar: asks.sidecars.get(&name).cloned().unwrap_or_default(),
        workload: name,
    }
}

fn judge(mesh: &Mesh, workload: &Workload, port: u16, asks: &Asks<'_>) -> Judgement {
    let rules = PortRules::new(mesh, workload, port);
    let identity = asks.identity.as_deref().and_then(|id| id.parse::<SpiffeId>().ok());
    let method = (!asks.method.is_empty()).then_some(asks.method);
    let partial = Partial { method, path: Some(asks.path), ..Partial::default() };
    rules.about(identity.as_ref(), None, port).judge(Asked::Request(partial))
}
