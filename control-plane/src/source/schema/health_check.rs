//! `TrafficPolicy`: `healthCheck`.

use serde::Deserialize;

use super::balancing::Empty;

/// `healthCheck`: exactly one of `http`, `grpc` and `tcp`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HealthCheck {
    pub(crate) http: Option<Http>,
    pub(crate) grpc: Option<Grpc>,
    pub(crate) tcp: Option<Empty>,
    pub(crate) interval: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) healthy_threshold: Option<i64>,
    pub(crate) unhealthy_threshold: Option<i64>,
}

/// `healthCheck.http`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) expected_statuses: Option<Vec<i64>>,
}

/// `healthCheck.grpc`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Grpc {
    #[serde(default)]
    pub(crate) service: String,
}
