//! What is known of a request: what sidecars remember (`POST /v1/requests`) and what the model says (`POST
//! /v1/requests/lookup`), as far as it is looked into. Shapes only.

use serde::{Deserialize, Serialize};

use crate::admin::Finding;

/// What the sidecars of one replica, or of all, remember.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Gathered {
    /// Newest first.
    pub(super) requests: Vec<Entry>,
    #[serde(default)]
    pub(super) left_out: u64,
    #[serde(default)]
    pub(super) answered: Vec<String>,
    #[serde(default)]
    pub(super) silent: Vec<Silent>,
}

/// A sidecar that did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Silent {
    pub(super) workload: String,
    pub(super) why: String,
}

/// One request, or one opaque connection, as one sidecar saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    /// Whose sidecar tells.
    pub(super) workload: String,
    pub(super) identity: String,
    /// `outbound` or `inbound`.
    pub(super) direction: String,
    pub(super) at_ms: i64,
    pub(super) opaque: bool,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) host: String,
    pub(super) service: String,
    pub(super) route: String,
    pub(super) backend: String,
    pub(super) peer_address: String,
    pub(super) peer_identity: String,
    pub(super) peer_workload: String,
    pub(super) attempts: Vec<Attempt>,
    pub(super) total_us: u64,
    pub(super) connect_us: u64,
    pub(super) first_byte_us: u64,
    pub(super) status: u16,
    pub(super) grpc_status: Option<u16>,
    /// Token of docs/reference/errors.md.
    pub(super) error: String,
    pub(super) detail: String,
    pub(super) object: String,
    pub(super) reason: String,
    /// The other sidecar's token.
    pub(super) reported: String,
    pub(super) reported_detail: String,
    pub(super) denied_by: String,
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) sampled: bool,
    pub(super) stopped: String,
    pub(super) config_version: String,
    pub(super) out_of_touch_s: u64,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) endpoints_all: u32,
    pub(super) endpoints_ready: u32,
    pub(super) slow: bool,
    pub(super) fallback: bool,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

/// One attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attempt {
    pub(super) endpoint: String,
    pub(super) workload: String,
    pub(super) began_us: u64,
    pub(super) took_us: u64,
    pub(super) status: u16,
    pub(super) error: String,
    pub(super) detail: String,
}

/// One endpoint as the caller's sidecar had it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    pub(super) address: String,
    pub(super) workload: String,
    /// `ready`, `ejected`, `half-open`, `unhealthy`, `draining`.
    pub(super) state: String,
    pub(super) ejected_for_s: u32,
}

impl Entry {
    pub(super) fn is_outbound(&self) -> bool {
        self.direction == "outbound"
    }

    /// Did it fail, or was it merely slow?
    pub(super) fn failed(&self) -> bool {
        let grpc = self.grpc_status.is_some_and(|code| code > 0);
        !self.error.is_empty() || !self.reported.is_empty() || self.status >= 500 || grpc
    }

    /// `product-v1.shop`, of the last attempt.
    pub(super) fn last_workload(&self) -> &str {
        match self.attempts.last() {
            Some(last) if self.peer_workload.is_empty() => &last.workload,
            _ => &self.peer_workload,
        }
    }

    /// Is every endpoint left out because it failed?
    pub(super) fn all_ejected(&self) -> bool {
        let out = |one: &Endpoint| ["ejected", "half-open"].contains(&one.state.as_str());
        !self.endpoints.is_empty() && self.endpoints.iter().all(out)
    }
}

/// What the model says of a call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lookup {
    pub(super) source: Vec<Party>,
    pub(super) destination: Destination,
    pub(super) route: Route,
    pub(super) backends: Vec<Backend>,
    pub(super) policy: Option<Policy>,
    pub(super) doors: Vec<Door>,
    pub(super) findings: Vec<Finding>,
}

/// A caller.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Party {
    pub(super) workload: String,
    pub(super) identity: String,
    pub(super) meshed: bool,
    pub(super) sidecar: Sidecar,
}

/// A sidecar as its control plane sees it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sidecar {
    pub(super) connected: bool,
    pub(super) stale: bool,
    pub(super) in_sync: bool,
    pub(super) rejected: Vec<String>,
    /// When it last told this replica of itself, in seconds since the Unix epoch; 0 if it never did.
    pub(super) reported: u64,
}

impl Sidecar {
    /// With what another replica knows of it: one has its stream, and the same or another one its reports.
    pub(super) fn join(&mut self, other: Self) {
        let (stale, reported) = match other.reported > self.reported {
            true => (other.stale, other.reported),
            false => (self.stale, self.reported),
        };
        if other.connected && !self.connected {
            *self = other;
        }
        (self.stale, self.reported) = (stale, reported);
    }
}

/// What is called.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Destination {
    pub(super) asked: String,
    pub(super) service: Option<String>,
    pub(super) object: Option<String>,
    pub(super) ports: Vec<u16>,
    pub(super) protocol: Option<String>,
    pub(super) known: String,
}

/// The rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Route {
    pub(super) object: Option<String>,
    pub(super) matches: String,
    pub(super) depends: bool,
    pub(super) attached: Vec<String>,
    pub(super) request_timeout_ms: Option<u64>,
    pub(super) try_timeout_ms: Option<u64>,
    pub(super) try_timeout_by: Option<String>,
    pub(super) retries: u32,
    pub(super) retries_by: Option<String>,
    pub(super) redirects: bool,
}

/// One backend.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Backend {
    pub(super) service: String,
    pub(super) object: Option<String>,
    pub(super) weight: u32,
    pub(super) invalid: Option<String>,
    pub(super) selects: u64,
    pub(super) endpoints: u64,
    pub(super) target_port: String,
}

/// The `TrafficPolicy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    pub(super) object: String,
    pub(super) requests: Option<u32>,
    pub(super) connections: Option<u32>,
    pub(super) pending_requests: Option<u32>,
    pub(super) budget_percent: Option<u32>,
    pub(super) budget_min_per_second: Option<u32>,
}

/// One port of a workload behind it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Door {
    pub(super) workload: String,
    pub(super) object: String,
    pub(super) identity: String,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) declared: bool,
    pub(super) ports: Vec<u16>,
    pub(super) meshed: bool,
    pub(super) draining: bool,
    pub(super) mtls: String,
    pub(super) mtls_by: Option<String>,
    /// `allowed`, `denied`, `depends`; none without a sidecar.
    pub(super) verdict: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) why: Option<String>,
    pub(super) rate_limited_by: Option<String>,
    pub(super) sidecar: Sidecar,
}

impl Door {
    /// As endpoints are named.
    pub(super) fn place(&self) -> String {
        match self.address.contains(':') {
            true => format!("[{}]:{}", self.address, self.port),
            false => format!("{}:{}", self.address, self.port),
        }
    }
}

/// All that a verdict goes by.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// As the caller's sidecar saw it.
    pub(super) outbound: Option<Entry>,
    /// As the receiver's did.
    pub(super) inbound: Option<Entry>,
    /// A connection that the receiver refused at that moment.
    pub(super) refusal: Option<Entry>,
    /// What the model says now.
    pub(super) lookup: Option<Lookup>,
}

impl Facts {
    /// What sidecars say of it, the caller's first.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.outbound.as_ref().or(self.inbound.as_ref())
    }

    /// The door that the last attempt knocked at.
    pub(super) fn door(&self) -> Option<&Door> {
        let doors = &self.lookup.as_ref()?.doors;
        let Some(entry) = self.entry() else { return doors.first() };
        let (place, workload) = match entry.is_outbound() {
            true => (entry.peer_address.as_str(), entry.last_workload()),
            false => ("", entry.workload.as_str()),
        };
        let at = doors.iter().find(|door| door.place() == place);
        at.or_else(|| doors.iter().find(|door| door.workload == workload))
    }
}
