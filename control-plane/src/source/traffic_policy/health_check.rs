//! `healthCheck` of a TrafficPolicy.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::model::{HealthCheck, Probe};
use crate::source::duration;
use crate::source::names::{self, within};
use crate::source::problem::Problems;
use crate::source::schema::health_check::{HealthCheck as Written, Http};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
const THRESHOLD: u32 = 3;
/// Bounds of Weft.
const SHORTEST: Duration = Duration::from_millis(100);
const MAX_STATUSES: usize = 16;
const MAX_TEXT: usize = 1024;

/// Reads it.
pub(super) fn read(written: &Written, problems: &mut Problems) -> Option<HealthCheck> {
    let field = |name: &str| format!("spec.healthCheck.{name}");
    let probe = match (&written.http, &written.grpc, &written.tcp) {
        (Some(http), None, None) => self::http(http, problems),
        (None, Some(grpc), None) => {
            if !grpc.service.is_empty() && !names::is_token(&grpc.service) {
                let reason = format!("{:?} is not the name of a service", grpc.service);
                problems.invalid(field("grpc.service"), reason);
            }
            Probe::Grpc(grpc.service.clone())
        }
        (None, None, Some(_)) => Probe::Tcp,
        _ => {
            problems.invalid("spec.healthCheck", "must have exactly one of http, grpc and tcp");
            return None;
        }
    };
    let mut time = |name: &str, text: Option<&str>, default: Duration| {
        let time = duration::positive(text, &field(name), problems).unwrap_or(default);
        if !time.is_zero() && time < SHORTEST {
            problems.invalid(field(name), format!("is less than {SHORTEST:?}"));
        }
        time
    };
    let interval = time("interval", written.interval.as_deref(), INTERVAL);
    let timeout = time("timeout", written.timeout.as_deref(), TIMEOUT);
    let mut threshold = |name: &str, count: Option<i64>| {
        let count = count.map_or(Some(THRESHOLD), |n| within(n, (1, 100), &field(name), problems));
        count.unwrap_or(THRESHOLD)
    };
    Some(HealthCheck {
        probe,
        interval,
        timeout,
        healthy_threshold: threshold("healthyThreshold", written.healthy_threshold),
        unhealthy_threshold: threshold("unhealthyThreshold", written.unhealthy_threshold),
    })
}

fn http(written: &Http, problems: &mut Problems) -> Probe {
    let path = &written.path;
    let visible = |text: &str| text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    if !path.starts_with('/') || path.contains('#') || path.len() > MAX_TEXT || !visible(path) {
        let reason = format!("{path:?} is not a path; it begins with / and holds no space or #");
        problems.invalid("spec.healthCheck.http.path", reason);
    }
    if let Some(host) = written.host.as_deref().filter(|host| !names::is_hostname(host, false)) {
        problems.invalid("spec.healthCheck.http.host", format!("{host:?} is not a host name"));
    }
    let statuses = written.expected_statuses.as_deref().unwrap_or(&[200]);
    let field = "spec.healthCheck.http.expectedStatuses";
    names::at_most(statuses.len(), MAX_STATUSES, field, problems);
    if statuses.is_empty() {
        problems.invalid(field, "must name at least one status");
    }
    let numbered = statuses.iter().enumerate().take(MAX_STATUSES);
    let expected = numbered.filter_map(|(at, status)| {
        let status = within(*status, (100, 599), &format!("{field}[{at}]"), problems)?;
        u16::try_from(status).ok()
    });
    Probe::Http { path: path.clone(), host: written.host.clone(), expected: expected.collect() }
}
