//! Mirrors of one rule: copies of requests, which the application sees with the host that was sent.

use weft_proto::envoy::core::RuntimeFractionalPercent;
use weft_proto::envoy::route::route_action::RequestMirrorPolicy;
use weft_proto::envoy::types::FractionalPercent;
use weft_proto::envoy::types::fractional_percent::DenominatorType;

use super::action::cluster_of;
use crate::model::{Mesh, Mirror};

/// One policy for each mirror that exists.
pub(super) fn policies(mirrors: &[Mirror], mesh: &Mesh) -> Vec<RequestMirrorPolicy> {
    let one = |mirror: &Mirror| {
        let share = FractionalPercent {
            numerator: mirror.millionths,
            denominator: DenominatorType::Million.into(),
        };
        Some(RequestMirrorPolicy {
            cluster: cluster_of(&mirror.backend, mesh)?,
            runtime_fraction: Some(RuntimeFractionalPercent {
                default_value: Some(share),
                ..Default::default()
            }),
            // Envoy would add `-shadow` to the host.
            disable_shadow_host_suffix_append: true,
            ..Default::default()
        })
    };
    mirrors.iter().filter_map(one).collect()
}
