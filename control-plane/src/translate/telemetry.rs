//! What a workload and a route tell of their traffic. Envoy has fields for shares of traces; what is logged, and where
//! both go, stands in metadata of the workload's own listener, which an Envoy leaves alone.

use weft_proto::envoy::route::Tracing;
use weft_proto::envoy::types::FractionalPercent;
use weft_proto::envoy::types::fractional_percent::DenominatorType;
use weft_proto::google::{ListValue, Struct, Value, value::Kind};

use super::value::{text, texts};
use crate::model::{Collector, Mesh, TelemetryPolicy, Workload};

/// Where spans, or lines, go.
pub(super) fn collector(of: &Collector) -> Struct {
    let protocol = of.protocol.map(|protocol| ("protocol", protocol.as_str()));
    let authorities = of.authorities.as_deref().map(|pem| ("certificate_authorities", pem));
    let all = [Some(("endpoint", of.endpoint.as_str())), protocol, authorities];
    texts(&all.into_iter().flatten().collect::<Vec<_>>())
}

/// What is logged, and the collector that gets it besides; `None` where there is neither.
pub(super) fn access_log(workload: &Workload, mesh: &Mesh) -> Option<Struct> {
    let mut said = mesh.config.log_collector.as_ref().map(collector).unwrap_or_default();
    if let Some(log) = mesh.access_log(workload) {
        let successes = Value { kind: Some(Kind::NumberValue(log.successes)) };
        said.fields.insert("successes".to_owned(), successes);
        if !log.fields.is_empty() {
            let values = log.fields.iter().map(|name| text(name)).collect();
            let fields = Value { kind: Some(Kind::ListValue(ListValue { values })) };
            said.fields.insert("fields".to_owned(), fields);
        }
    }
    (!said.fields.is_empty()).then_some(said)
}

/// The share of a route's policy, if it has one.
pub(super) fn sampling(policy: Option<&TelemetryPolicy>) -> Option<Tracing> {
    let share = policy?.sampling?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10^6")]
    let numerator = (share.clamp(0.0, 1.0) * 1e6).round() as u32;
    let denominator = DenominatorType::Million.into();
    let random_sampling = Some(FractionalPercent { numerator, denominator });
    Some(Tracing { random_sampling, ..Tracing::default() })
}

#[cfg(test)]
mod tests;
