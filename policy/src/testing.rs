//! What property tests draw from: small worlds, so that rules and requests meet.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use weft_certs::SpiffeId;

use crate::{Condition, HeaderMatch, Rule};

/// Callers; the first has no identity.
pub(crate) const IDENTITIES: [&str; 4] = ["", "shop/sa/web", "shop/sa/job", "bank/sa/web"];
/// Where they connect from.
pub(crate) const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1"];
/// What they ask for.
pub(crate) const METHODS: [&str; 2] = ["GET", "POST"];
/// Of what.
pub(crate) const PATHS: [&str; 5] = ["/", "/a", "/a/", "/a/b", "/a/b/c"];
/// Values of the header `x`.
pub(crate) const HEADERS: [&[&str]; 6] = [&[], &["a"], &["ab"], &["b"], &["a", "b"], &["a", "ab"]];

/// One of [`IDENTITIES`].
pub(crate) fn identity(name: &str) -> Option<SpiffeId> {
    (!name.is_empty()).then(|| format!("spiffe://a.test/ns/{name}").parse().unwrap())
}

/// One of [`HEADERS`].
pub(crate) fn headers(values: &[&'static str]) -> HeaderMap {
    let name = HeaderName::from_static("x");
    values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
}

/// Any condition.
pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    let id =
        |namespace: &str, account: &str| format!("spiffe://a.test/ns/{namespace}/sa/{account}");
    let text = |all: &'static [&'static str]| proptest::sample::select(all).prop_map(str::to_owned);
    let value = move || {
        prop_oneof![
            Just(HeaderMatch::Present),
            text(&["a", "ab"]).prop_map(HeaderMatch::Exact),
            text(&["a", "b"]).prop_map(HeaderMatch::Prefix),
        ]
    };
    let leaf = prop_oneof![
        Just(Condition::Mesh),
        Just(Condition::Identity(id("shop", "web"))),
        text(&["spiffe://a.test/ns/shop/", "spiffe://a.test/"]).prop_map(Condition::IdentityPrefix),
        text(&["10.0.0.0/8", "10.0.0.1/32", "fd00::/8"])
            .prop_map(|network| Condition::Source(network.parse().unwrap())),
        (80..82_u16).prop_map(Condition::Port),
        text(&["GET", "POST"]).prop_map(Condition::Method),
        text(&["/", "/a"]).prop_map(Condition::Path),
        text(&["/", "/a/"]).prop_map(Condition::PathPrefix),
        text(&["/*", "/a/*"]).prop_map(|text| Condition::PathTemplate(text.parse().unwrap())),
        value().prop_map(|value| Condition::Header(HeaderName::from_static("x"), value)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let parts = proptest::collection::vec(inner, 0..4);
        prop_oneof![parts.clone().prop_map(Condition::All), parts.prop_map(Condition::Any),]
    })
}

/// A list of them.
pub(crate) fn rules() -> impl Strategy<Value = Vec<Rule>> {
    proptest::collection::vec(
        (condition(), condition()).prop_map(|(from, to)| Rule { name: "r".into(), from, to }),
        0..4,
    )
}
