//! `TrafficPolicy`: `loadBalancer` and `sessionAffinity`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::{CookieLifetime, PositiveDuration, Token, rule};

/// `loadBalancer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "self.policy != 'RingHash' || (has(self.hashOn) && size(self.hashOn) > 0)",
        "RingHash needs at least one key: write hashOn",
    ),
    rule(
        "self.policy == 'RingHash' || (!has(self.hashOn) && !has(self.ringSize))",
        "hashOn and ringSize are for policy RingHash only",
    ),
    rule(
        "!has(self.slowStart) || !(self.policy in ['Random', 'RingHash'])",
        "slowStart is for the policies RoundRobin, LeastRequest and PeakEwma only",
    ),
]))]
pub(crate) struct LoadBalancer {
    /// How an endpoint is chosen. What a policy without loadBalancer has is PeakEwma.
    pub(crate) policy: BalancerName,
    /// What the key of RingHash is: the first entry that yields a value.
    #[schemars(length(max = 8))]
    pub(crate) hash_on: Option<Vec<HashOn>>,
    /// Places on the ring of RingHash.
    pub(crate) ring_size: Option<RingSize>,
    /// A new endpoint's share grows with time.
    pub(crate) slow_start: Option<SlowStart>,
    /// Are endpoints of the caller's own zone and region preferred?
    pub(crate) locality: Option<Locality>,
}

/// `loadBalancer.policy`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
pub(crate) enum BalancerName {
    RoundRobin,
    Random,
    LeastRequest,
    PeakEwma,
    RingHash,
}

/// `loadBalancer.hashOn[]`: exactly one of its fields.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "[has(self.header), has(self.cookie), has(self.sourceAddress)].exists_one(it, it)",
        "must have exactly one of header, cookie and sourceAddress",
    ),
]))]
pub(crate) struct HashOn {
    /// The value of this header.
    #[schemars(with = "Option<Token>")]
    pub(crate) header: Option<String>,
    /// The value of this cookie.
    pub(crate) cookie: Option<HashCookie>,
    /// The last address of x-forwarded-for, else the application's own.
    pub(crate) source_address: Option<Empty>,
}

/// `loadBalancer.hashOn[].cookie`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HashCookie {
    /// The cookie's name.
    #[schemars(with = "Token")]
    pub(crate) name: String,
}

/// `{}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

/// `loadBalancer.ringSize`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "(has(self.maximum) ? self.maximum : 8388608) >= (has(self.minimum) ? self.minimum : 1024)",
        "maximum must not be less than minimum, which is 1024 where it is not written",
    ),
]))]
pub(crate) struct RingSize {
    /// At least so many places; absent means 1024.
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) minimum: Option<i64>,
    /// At most so many places; absent means 8388608.
    #[schemars(range(min = 1, max = 8_388_608))]
    pub(crate) maximum: Option<i64>,
}

/// `loadBalancer.slowStart`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SlowStart {
    /// How long until a new endpoint has its whole share.
    #[schemars(with = "PositiveDuration")]
    pub(crate) window: String,
    /// Share that it begins with, in percent; absent means 10.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) minimum_percent: Option<i64>,
}

/// `loadBalancer.locality`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Locality {
    /// PreferLocal: the caller's zone, then its region, before all others. Ignore: as without this field.
    pub(crate) mode: LocalityMode,
}

/// `loadBalancer.locality.mode`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
pub(crate) enum LocalityMode {
    PreferLocal,
    Ignore,
}

/// `sessionAffinity`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SessionAffinity {
    /// A cookie that names the endpoint.
    pub(crate) cookie: AffinityCookie,
}

/// `sessionAffinity.cookie`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AffinityCookie {
    /// The cookie's name; absent means `weft-affinity`.
    #[schemars(with = "Option<Token>")]
    pub(crate) name: Option<String>,
    /// The cookie's path; absent means `/`.
    #[schemars(length(max = 1024), regex(pattern = r"^/[!-:<-~]*$"))]
    pub(crate) path: Option<String>,
    /// The cookie's life, from 1s; absent means as long as the browser runs.
    #[schemars(with = "Option<CookieLifetime>")]
    pub(crate) ttl: Option<String>,
}
