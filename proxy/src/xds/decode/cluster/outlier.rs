//! OutlierDetection → [`OutlierSpec`]: ejection by consecutive failures, nothing else.

use std::time::Duration;

use weft_proto::envoy::cluster::OutlierDetection;
use weft_proto::google::UInt32Value;

use super::super::reject::{Reject, nothing_else};
use super::super::value::duration;
use crate::model::OutlierSpec;

/// Decodes it; absent means that nothing is ever ejected. Defaults are Envoy's.
pub(super) fn detection(detection: Option<OutlierDetection>) -> Result<OutlierSpec, Reject> {
    let Some(mut detection) = detection else {
        return Ok(OutlierSpec {
            consecutive_failures: 0,
            base_ejection: Duration::from_secs(30),
            max_ejected_percent: 0,
        });
    };
    let failures = detection.consecutive_5xx.take().map_or(5, |count| count.value);
    let enforced = match detection.enforcing_consecutive_5xx.take() {
        None | Some(UInt32Value { value: 100 }) => true,
        Some(UInt32Value { value: 0 }) => false,
        Some(UInt32Value { value }) => {
            let reason = format!("{value}: only 0 and 100 are supported");
            return Err(Reject::new("enforcing_consecutive_5xx", reason));
        }
    };
    let base = duration("base_ejection_time", &mut detection.base_ejection_time)?;
    let percent = detection.max_ejection_percent.take().map_or(10, |percent| percent.value);
    if percent > 100 {
        return Err(Reject::new("max_ejection_percent", format!("{percent} is more than 100")));
    }
    // Switched off is what these kinds of ejection are here.
    for off in [
        &mut detection.enforcing_success_rate,
        &mut detection.enforcing_failure_percentage,
        &mut detection.enforcing_consecutive_gateway_failure,
    ] {
        off.take_if(|share| share.value == 0);
    }
    nothing_else(&detection)?;
    Ok(OutlierSpec {
        consecutive_failures: if enforced { failures } else { 0 },
        base_ejection: base.unwrap_or(Duration::from_secs(30)),
        max_ejected_percent: percent,
    })
}
