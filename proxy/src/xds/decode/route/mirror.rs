//! RequestMirrorPolicy → [`Mirror`].

use std::mem::take;

use weft_proto::envoy::core::RuntimeFractionalPercent;
use weft_proto::envoy::route::route_action::RequestMirrorPolicy;
use weft_proto::envoy::types::fractional_percent::DenominatorType;

use super::super::reject::{At, Reject, nothing_else};
use super::Table;
use crate::model::Mirror;

const ALL: u32 = 1_000_000;

/// Decodes one; all requests where it has no share.
pub(super) fn mirror(mut policy: RequestMirrorPolicy, table: &mut Table) -> Result<Mirror, Reject> {
    let cluster = take(&mut policy.cluster);
    if cluster.is_empty() {
        return Err(Reject::new("cluster", "missing"));
    }
    if !take(&mut policy.disable_shadow_host_suffix_append) {
        let reason = "must be true: the host stays as it is";
        return Err(Reject::new("disable_shadow_host_suffix_append", reason));
    }
    let millionths = match policy.runtime_fraction.take() {
        Some(fraction) => share(fraction).at("runtime_fraction")?,
        None => ALL,
    };
    nothing_else(&policy)?;
    Ok(Mirror { cluster: table.cluster(cluster), millionths })
}

fn share(mut fraction: RuntimeFractionalPercent) -> Result<u32, Reject> {
    let Some(share) = fraction.default_value.take() else {
        return Err(Reject::new("default_value", "missing"));
    };
    nothing_else(&fraction)?;
    let each = match DenominatorType::try_from(share.denominator) {
        Ok(DenominatorType::Hundred) => ALL / 100,
        Ok(DenominatorType::TenThousand) => ALL / 10_000,
        Ok(DenominatorType::Million) => 1,
        Err(_) => return Err(Reject::new("default_value.denominator", "not supported")),
    };
    Ok(share.numerator.saturating_mul(each).min(ALL))
}
