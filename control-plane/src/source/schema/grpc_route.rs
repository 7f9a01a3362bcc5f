//! `GRPCRoute`, `gateway.networking.k8s.io/v1`. What Weft cannot do yet is read as [`Value`], so that the refusal
//! can name it instead of calling it unknown.

use serde::Deserialize;
use serde_json::Value;

use super::http_route::{BackendRef, Filter, NameMatch, ParentRef, ValueKind};

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrpcRouteSpec {
    #[serde(default)]
    pub(crate) parent_refs: Vec<ParentRef>,
    #[serde(default)]
    pub(crate) hostnames: Vec<String>,
    /// Unlike those of an HTTPRoute they have no default.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    pub(crate) use_default_gateways: Option<Value>,
}

/// `rules[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) matches: Vec<Match>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
    #[serde(default)]
    pub(crate) backend_refs: Vec<BackendRef>,
    pub(crate) session_persistence: Option<Value>,
}

/// `rules[].matches[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Match {
    pub(crate) method: Option<MethodMatch>,
    #[serde(default)]
    pub(crate) headers: Vec<NameMatch>,
}

/// `matches[].method`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MethodMatch {
    #[serde(default, rename = "type")]
    pub(crate) kind: ValueKind,
    pub(crate) service: Option<String>,
    pub(crate) method: Option<String>,
}
