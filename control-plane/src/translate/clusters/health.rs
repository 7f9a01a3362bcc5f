//! Active health checks: `Cluster.health_checks`.

use weft_proto::alpn;
use weft_proto::envoy::core::HealthCheck;
use weft_proto::envoy::core::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck, TlsOptions,
};
use weft_proto::envoy::types::Int64Range;

use crate::model::{self, Probe};
use crate::translate::value::{duration, uint32};

/// Per cent of the interval.
const JITTER: u32 = 10;

/// The check of every endpoint. Without traffic an Envoy would check but once a minute; the ALPN says what is spoken, as
/// between sidecars.
pub(super) fn check(of: &model::HealthCheck) -> HealthCheck {
    let (checker, alpn) = match &of.probe {
        Probe::Http { path, host, expected } => {
            let http = HttpHealthCheck {
                path: path.clone(),
                host: host.clone().unwrap_or_default(),
                expected_statuses: expected.iter().map(|status| range(*status, *status)).collect(),
                // Else an Envoy takes the first status that is not expected for the whole row.
                retriable_statuses: vec![range(100, 599)],
                ..Default::default()
            };
            (HealthChecker::HttpHealthCheck(http), alpn::HTTP1)
        }
        Probe::Grpc(service) => {
            let grpc =
                GrpcHealthCheck { service_name: service.clone(), ..GrpcHealthCheck::default() };
            (HealthChecker::GrpcHealthCheck(grpc), alpn::HTTP2)
        }
        Probe::Tcp => (HealthChecker::TcpHealthCheck(TcpHealthCheck::default()), alpn::TCP),
    };
    HealthCheck {
        timeout: Some(duration(of.timeout)),
        interval: Some(duration(of.interval)),
        no_traffic_interval: Some(duration(of.interval)),
        interval_jitter_percent: JITTER,
        healthy_threshold: Some(uint32(of.healthy_threshold)),
        unhealthy_threshold: Some(uint32(of.unhealthy_threshold)),
        health_checker: Some(checker),
        tls_options: Some(TlsOptions {
            alpn_protocols: vec![String::from_utf8_lossy(alpn).into_owned()],
        }),
        ..Default::default()
    }
}

fn range(first: u16, last: u16) -> Int64Range {
    Int64Range { start: first.into(), end: i64::from(last) + 1 }
}
