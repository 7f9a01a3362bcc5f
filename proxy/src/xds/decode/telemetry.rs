//! What a TelemetryPolicy and the MeshConfig ask of traces and of the access log: from a route, and from the metadata
//! of the workload's own listener.

use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::route;
use weft_proto::envoy::types::FractionalPercent;
use weft_proto::envoy::types::fractional_percent::DenominatorType;
use weft_proto::google::value::Kind;
use weft_proto::names::metadata;

use super::reject::{At, Reject, nothing_else};
use super::value::metadata_text;
use crate::model::LogRules;
use crate::telemetry::access_log::Fields;
use crate::telemetry::export::{Collector, Protocol};

/// Share of the traces begun for a route's requests, 0 to 1; `None`: as for all others.
pub(super) fn sampling(tracing: Option<route::Tracing>) -> Result<Option<f64>, Reject> {
    let Some(mut tracing) = tracing else { return Ok(None) };
    let sampling = tracing.random_sampling.take().map(|share| of(&share)).transpose();
    let sampling = sampling.at("random_sampling")?;
    nothing_else(&tracing)?;
    Ok(sampling)
}

fn of(share: &FractionalPercent) -> Result<f64, Reject> {
    let all = match DenominatorType::try_from(share.denominator) {
        Ok(DenominatorType::Hundred) => 100.0,
        Ok(DenominatorType::TenThousand) => 10_000.0,
        Ok(DenominatorType::Million) => 1_000_000.0,
        Err(_) => return Err(Reject::new("denominator", "not supported")),
    };
    Ok((f64::from(share.numerator) / all).min(1.0))
}

/// The collector under that key, if there is one.
pub(super) fn collector(of: Option<&Metadata>, key: &str) -> Result<Option<Collector>, Reject> {
    let endpoint = metadata_text(of, key, "endpoint");
    let protocol = match metadata_text(of, key, "protocol") {
        "" => None,
        word => Some(Protocol::parse(word).ok_or_else(|| {
            Reject::new(format!("metadata.{key}.protocol"), format!("{word:?} is not spoken"))
        })?),
    };
    let authorities = metadata_text(of, key, "certificate_authorities");
    let authorities = (!authorities.is_empty()).then(|| authorities.to_owned());
    let collector = Collector { protocol, authorities, ..Collector::at(endpoint) };
    Ok((!endpoint.is_empty()).then_some(collector))
}

/// What is logged, if anything is.
pub(super) fn log_rules(of: Option<&Metadata>) -> Result<Option<LogRules>, Reject> {
    let key = metadata::ACCESS_LOG;
    let at = |field: &str| format!("metadata.{key}.{field}");
    let said = of.and_then(|metadata| metadata.filter_metadata.get(key));
    let Some(successes) = said.and_then(|said| said.fields.get("successes")) else {
        return Ok(None);
    };
    let successes = match successes.kind {
        Some(Kind::NumberValue(share)) if (0.0..=1.0).contains(&share) => share,
        _ => return Err(Reject::new(at("successes"), "not within 0 and 1")),
    };
    let names = said.and_then(|said| said.fields.get("fields"));
    let fields = match names.and_then(|names| names.kind.as_ref()) {
        None => Fields::ALL,
        Some(Kind::ListValue(names)) => {
            let names = names.values.iter().map(|name| match &name.kind {
                Some(Kind::StringValue(name)) => name.as_str(),
                _ => "",
            });
            let unknown = |name: String| Reject::new(at("fields"), format!("{name:?} is none"));
            Fields::of(names).map_err(unknown)?
        }
        Some(_) => return Err(Reject::new(at("fields"), "not a list")),
    };
    Ok(Some(LogRules { successes, fields }))
}

#[cfg(test)]
mod tests;
