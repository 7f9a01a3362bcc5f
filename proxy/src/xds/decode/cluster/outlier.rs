//! OutlierDetection → [`OutlierSpec`]. Ejection by success rate is not supported; how often a real Envoy looks is
//! not this proxy's affair, but for the window of `failure_percentage`, which is `interval`.

use std::time::Duration;

use weft_proto::envoy::cluster::OutlierDetection;
use weft_proto::google::UInt32Value;

use super::super::reject::{Reject, nothing_else};
use super::super::value::duration;
use crate::model::{FailurePercentage, OutlierSpec};

/// Envoy's own defaults.
const INTERVAL: Duration = Duration::from_secs(10);
const IN_A_ROW: u32 = 5;
const THRESHOLD: u32 = 85;
const VOLUME: u32 = 50;

/// Decodes it; absent means that nothing is ever ejected. Defaults are Envoy's.
pub(super) fn detection(detection: Option<OutlierDetection>) -> Result<OutlierSpec, Reject> {
    let Some(mut d) = detection else { return Ok(OutlierSpec::default()) };
    let of = |count: &mut Option<UInt32Value>| count.take().map_or(IN_A_ROW, |count| count.value);
    let counts = [
        of(&mut d.consecutive_5xx),
        of(&mut d.consecutive_gateway_failure),
        of(&mut d.consecutive_local_origin_failure),
    ];
    let is = enforced;
    let enforced = [
        is("enforcing_consecutive_5xx", true, &mut d.enforcing_consecutive_5xx)?,
        is(
            "enforcing_consecutive_gateway_failure",
            false,
            &mut d.enforcing_consecutive_gateway_failure,
        )?,
        is(
            "enforcing_consecutive_local_origin_failure",
            true,
            &mut d.enforcing_consecutive_local_origin_failure,
        )?,
    ];
    let count = |which: usize| if enforced[which] { counts[which] } else { 0 };
    let split = std::mem::take(&mut d.split_external_local_origin_errors);
    let base = duration("base_ejection_time", &mut d.base_ejection_time)?;
    let longest = duration("max_ejection_time", &mut d.max_ejection_time)?;
    let jitter = duration("max_ejection_time_jitter", &mut d.max_ejection_time_jitter)?;
    let max_ejected_percent = percent("max_ejection_percent", d.max_ejection_percent.take(), 10)?;
    let failure_percentage = failure_percentage(&mut d)?;
    // Switched off is what these kinds of ejection are here.
    for off in [&mut d.enforcing_success_rate, &mut d.enforcing_local_origin_success_rate] {
        off.take_if(|share| share.value == 0);
    }
    nothing_else(&d)?;
    let default = OutlierSpec::default();
    Ok(OutlierSpec {
        consecutive_failures: count(0),
        consecutive_gateway: count(1),
        consecutive_local: split.then(|| count(2)),
        failure_percentage,
        base_ejection: base.unwrap_or(default.base_ejection),
        max_ejection: longest.unwrap_or(default.max_ejection),
        jitter: jitter.unwrap_or_default(),
        max_ejected_percent,
    })
}

/// The number of hosts that Envoy wants to see first says nothing about one endpoint, so it is not looked at.
fn failure_percentage(d: &mut OutlierDetection) -> Result<Option<FailurePercentage>, Reject> {
    let window = duration("interval", &mut d.interval)?.unwrap_or(INTERVAL);
    let threshold = d.failure_percentage_threshold.take();
    let threshold = percent("failure_percentage_threshold", threshold, THRESHOLD)?;
    let minimum = d.failure_percentage_request_volume.take().map_or(VOLUME, |count| count.value);
    d.failure_percentage_minimum_hosts = None;
    let local = &mut d.enforcing_failure_percentage_local_origin;
    enforced("enforcing_failure_percentage_local_origin", false, local)?;
    let name = "enforcing_failure_percentage";
    let on = enforced(name, false, &mut d.enforcing_failure_percentage)?;
    let spec = FailurePercentage { threshold: threshold.max(1), minimum: minimum.max(1), window };
    if on && window.is_zero() {
        return Err(Reject::new("interval", "0 is not allowed"));
    }
    Ok(on.then_some(spec))
}

fn percent(field: &str, value: Option<UInt32Value>, absent: u32) -> Result<u32, Reject> {
    match value {
        None => Ok(absent),
        Some(UInt32Value { value: value @ 0..=100 }) => Ok(value),
        Some(UInt32Value { value }) => Err(Reject::new(field, format!("{value} is more than 100"))),
    }
}

/// Chance that an ejection is carried out: always or never.
fn enforced(field: &str, absent: bool, share: &mut Option<UInt32Value>) -> Result<bool, Reject> {
    match share.take() {
        None => Ok(absent),
        Some(UInt32Value { value: 100 }) => Ok(true),
        Some(UInt32Value { value: 0 }) => Ok(false),
        Some(UInt32Value { value }) => {
            Err(Reject::new(field, format!("{value}: only 0 and 100 are supported")))
        }
    }
}
