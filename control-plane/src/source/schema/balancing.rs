//! `TrafficPolicy`: `loadBalancer` and `sessionAffinity`.

use serde::Deserialize;

/// `loadBalancer`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoadBalancer {
    pub(crate) policy: BalancerName,
    pub(crate) hash_on: Option<Vec<HashOn>>,
    pub(crate) ring_size: Option<RingSize>,
    pub(crate) slow_start: Option<SlowStart>,
    pub(crate) locality: Option<Locality>,
}

/// `loadBalancer.policy`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum BalancerName {
    RoundRobin,
    Random,
    LeastRequest,
    PeakEwma,
    RingHash,
}

/// `loadBalancer.hashOn[]`: exactly one of its fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HashOn {
    pub(crate) header: Option<String>,
    pub(crate) cookie: Option<HashCookie>,
    pub(crate) source_address: Option<Empty>,
}

/// `loadBalancer.hashOn[].cookie`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HashCookie {
    pub(crate) name: String,
}

/// `{}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

/// `loadBalancer.ringSize`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RingSize {
    pub(crate) minimum: Option<i64>,
    pub(crate) maximum: Option<i64>,
}

/// `loadBalancer.slowStart`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SlowStart {
    pub(crate) window: String,
    pub(crate) minimum_percent: Option<i64>,
}

/// `loadBalancer.locality`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Locality {
    pub(crate) mode: LocalityMode,
}

/// `loadBalancer.locality.mode`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum LocalityMode {
    PreferLocal,
    Ignore,
}

/// `sessionAffinity`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SessionAffinity {
    pub(crate) cookie: AffinityCookie,
}

/// `sessionAffinity.cookie`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AffinityCookie {
    pub(crate) name: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) ttl: Option<String>,
}
