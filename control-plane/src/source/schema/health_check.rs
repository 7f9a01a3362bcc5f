//! `TrafficPolicy`: `healthCheck`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::balancing::Empty;
use super::text::{HealthCheckTime, Subdomain, rule};

/// `healthCheck`: exactly one of `http`, `grpc` and `tcp`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "[has(self.http), has(self.grpc), has(self.tcp)].exists_one(it, it)",
        "must have exactly one of http, grpc and tcp",
    ),
]))]
pub(crate) struct HealthCheck {
    /// A GET that must be answered with an expected status.
    pub(crate) http: Option<Http>,
    /// A call of grpc.health.v1.Health/Check.
    pub(crate) grpc: Option<Grpc>,
    /// A connection.
    pub(crate) tcp: Option<Empty>,
    /// From one check to the next, from 100ms; absent means 30s.
    #[schemars(with = "Option<HealthCheckTime>")]
    pub(crate) interval: Option<String>,
    /// For one check, from 100ms; absent means 10s.
    #[schemars(with = "Option<HealthCheckTime>")]
    pub(crate) timeout: Option<String>,
    /// Checks in a row that must pass before an unhealthy endpoint is healthy; absent means 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) healthy_threshold: Option<i64>,
    /// Checks in a row that must fail before a healthy endpoint is unhealthy; absent means 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) unhealthy_threshold: Option<i64>,
}

/// `healthCheck.http`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Http {
    /// Path and query.
    #[schemars(length(max = 1024), regex(pattern = r##"^/[!-"$-~]*$"##))]
    pub(crate) path: String,
    /// Host that is asked for; absent means the Service's name.
    #[schemars(with = "Option<Subdomain>")]
    pub(crate) host: Option<String>,
    /// Statuses that are well; absent means 200.
    #[schemars(length(min = 1, max = 16), inner(range(min = 100, max = 599)))]
    pub(crate) expected_statuses: Option<Vec<i64>>,
}

/// `healthCheck.grpc`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Grpc {
    /// The service whose health is asked; absent means the server's own.
    #[serde(default)]
    #[schemars(length(max = 256), regex(pattern = r"^[0-9A-Za-z!#$%&'*+.^_`|~-]*$"))]
    pub(crate) service: String,
}
