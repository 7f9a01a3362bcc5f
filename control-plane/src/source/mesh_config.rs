//! `MeshConfig` to [`model::MeshConfig`](crate::model::MeshConfig).

mod collector;
pub(crate) mod denied;
mod limits;
#[cfg(test)]
mod tests;

use std::time::Duration;

use weft_certs::TrustDomain;

use crate::model::{AccessLog, DefaultAccess, MeshConfig, MtlsMode};

use super::duration;
use super::problem::Problems;
use super::schema::mesh::{MeshConfigSpec, Tracing};
use super::schema::policy::{DefaultAccessName, MtlsName};
use super::schema::telemetry::MeshAccessLog;
use super::telemetry_policy::{check_fields, share_of};

/// Bounds of `leafLifetime`, both included: a key that is stolen unnoticed is of use for so long.
const LEAF_LIFETIME: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(30 * 24 * 3600));

/// Reads one.
pub(crate) fn read(spec: MeshConfigSpec, problems: &mut Problems) -> MeshConfig {
    let mut config = MeshConfig::default();
    if let Some(domain) = spec.trust_domain {
        if let Err(error) = domain.parse::<TrustDomain>() {
            problems.invalid_hint(
                "spec.trustDomain",
                format!("{domain:?} is not a trust domain: {error}"),
                "lower-case letters, digits, '-', '_' and '.', as in example.org",
            );
        }
        config.trust_domain = domain;
    }
    config.mtls = spec.mtls.map_or(config.mtls, mode);
    config.default_access = spec.default_access.map_or(config.default_access, default_access);
    let field = "spec.leafLifetime";
    if let Some(lifetime) = duration::optional(spec.leaf_lifetime.as_deref(), field, problems) {
        let (low, high) = LEAF_LIFETIME;
        if lifetime < low || lifetime > high {
            problems.invalid(field, "must be within 1s and 720h");
        }
        config.leaf_lifetime = lifetime;
    }
    if let Some(tracing) = spec.tracing {
        read_tracing(tracing, &mut config, problems);
    }
    if let Some(log) = spec.access_log {
        read_access_log(log, &mut config, problems);
    }
    if let Some(http) = spec.limits.and_then(|limits| limits.http) {
        config.http = limits::read(&http, problems);
    }
    if let Some(denied) = spec.denied {
        config.denied = denied::read(denied, problems);
    }
    config
}

fn read_tracing(tracing: Tracing, config: &mut MeshConfig, problems: &mut Problems) {
    let Tracing { endpoint, protocol, certificate_authorities, sampling } = tracing;
    let said = (endpoint, protocol, certificate_authorities);
    config.tracing_collector = collector::read(said, "spec.tracing", problems);
    if let Some(sampling) = sampling {
        config.tracing_sampling = share_of(sampling, "spec.tracing.sampling", problems);
    }
}

fn read_access_log(log: MeshAccessLog, config: &mut MeshConfig, problems: &mut Problems) {
    let MeshAccessLog { successes, fields, endpoint, protocol, certificate_authorities } = log;
    let said = (endpoint, protocol, certificate_authorities);
    config.log_collector = collector::read(said, "spec.accessLog", problems);
    check_fields(&fields, "spec.accessLog.fields", problems);
    let successes = successes.map(|share| share_of(share, "spec.accessLog.successes", problems));
    config.access_log = successes.map(|successes| AccessLog { successes, fields });
}

/// `allow-all` and so on.
pub(crate) fn default_access(name: DefaultAccessName) -> DefaultAccess {
    match name {
        DefaultAccessName::AllowAll => DefaultAccess::AllowAll,
        DefaultAccessName::AllowMesh => DefaultAccess::AllowMesh,
        DefaultAccessName::AllowSameNamespace => DefaultAccess::AllowSameNamespace,
        DefaultAccessName::Deny => DefaultAccess::Deny,
    }
}

/// `STRICT`, `PERMISSIVE`, `DISABLE`.
pub(crate) fn mode(name: MtlsName) -> MtlsMode {
    match name {
        MtlsName::Strict => MtlsMode::Strict,
        MtlsName::Permissive => MtlsMode::Permissive,
        MtlsName::Disable => MtlsMode::Disable,
    }
}
