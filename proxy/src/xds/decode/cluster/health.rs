//! HealthCheck → [`model::HealthCheck`].

use std::mem::take;
use std::ops::RangeInclusive;
use std::time::Duration;

use weft_proto::envoy::core::HealthCheck;
use weft_proto::envoy::core::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck,
};
use weft_proto::envoy::types::Int64Range;

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::{duration, required};
use crate::model::{self, Probe};

/// Envoy's least.
const SHORTEST: Duration = Duration::from_millis(1);

/// Decodes the only one.
pub(super) fn check(mut checks: Vec<HealthCheck>) -> Result<Option<model::HealthCheck>, Reject> {
    let Some(check) = checks.pop() else { return Ok(None) };
    if !checks.is_empty() {
        return Err(Reject::new("health_checks[1]", "one is enough"));
    }
    one(check).at("health_checks[0]").map(Some)
}

fn one(mut check: HealthCheck) -> Result<model::HealthCheck, Reject> {
    let interval = time("interval", duration("interval", &mut check.interval)?)?;
    let timeout = time("timeout", duration("timeout", &mut check.timeout)?)?;
    // Here a cluster is checked as often without traffic as with it, jittered by a tenth, each time anew and over the
    // protocol that ALPN gives.
    check.no_traffic_interval.take_if(|idle| duration("", &mut Some(*idle)) == Ok(Some(interval)));
    if matches!(take(&mut check.interval_jitter_percent), 11..) {
        return Err(Reject::new("interval_jitter_percent", "more than 10 is not supported"));
    }
    check.reuse_connection = None;
    check.tls_options = None;
    let threshold = |field: &str, count: Option<u32>| match count {
        Some(0) | None => Err(Reject::new(field, "must be at least 1")),
        Some(count) => Ok(count),
    };
    let healthy = check.healthy_threshold.take().map(|count| count.value);
    let unhealthy = check.unhealthy_threshold.take().map(|count| count.value);
    let probe = match required("health_checker", &mut check.health_checker)? {
        HealthChecker::HttpHealthCheck(http) => self::http(http).at("http_health_check")?,
        HealthChecker::GrpcHealthCheck(grpc) => self::grpc(grpc).at("grpc_health_check")?,
        HealthChecker::TcpHealthCheck(tcp) => {
            nothing_else::<TcpHealthCheck>(&tcp).at("tcp_health_check")?;
            Probe::Tcp
        }
        HealthChecker::CustomHealthCheck(_) => {
            return Err(Reject::new("custom_health_check", "not supported by weft-proxy"));
        }
    };
    nothing_else(&check)?;
    Ok(model::HealthCheck {
        probe,
        interval,
        timeout,
        healthy_threshold: threshold("healthy_threshold", healthy)?,
        unhealthy_threshold: threshold("unhealthy_threshold", unhealthy)?,
    })
}

fn time(field: &str, time: Option<Duration>) -> Result<Duration, Reject> {
    let time = time.unwrap_or_default();
    if time < SHORTEST { Err(Reject::new(field, "missing or too short")) } else { Ok(time) }
}

fn http(mut http: HttpHealthCheck) -> Result<Probe, Reject> {
    let path = take(&mut http.path);
    let parsed = path.parse().ok().filter(|_| path.starts_with('/'));
    let path = parsed.ok_or_else(|| Reject::new("path", format!("{path:?} is not a path")))?;
    let host = take(&mut http.host);
    if http::HeaderValue::try_from(host.as_str()).is_err() {
        return Err(Reject::new("host", format!("{host:?} is not a host")));
    }
    let mut expected = each("expected_statuses", take(&mut http.expected_statuses), range)?;
    if expected.is_empty() {
        expected.push(200..=200);
    }
    // What is not expected counts as one failure here, which Envoy does with these only.
    http.retriable_statuses.clear();
    nothing_else(&http)?;
    Ok(Probe::Http { path, host, expected })
}

fn range(range: Int64Range) -> Result<RangeInclusive<u16>, Reject> {
    match (u16::try_from(range.start), u16::try_from(range.end)) {
        (Ok(start @ 100..600), Ok(end @ 101..=600)) if start < end => Ok(start..=end - 1),
        _ => Err(Reject::new("", format!("{} to {} is no range", range.start, range.end))),
    }
}

fn grpc(mut grpc: GrpcHealthCheck) -> Result<Probe, Reject> {
    let service = take(&mut grpc.service_name);
    nothing_else(&grpc)?;
    Ok(Probe::Grpc { service })
}
