//! Rate limits of inbound ports.

use std::time::Duration;

use weft_proto::envoy::core::{RuntimeFractionalPercent, TypedExtensionConfig};
use weft_proto::envoy::hcm::{HttpFilter, http_filter::ConfigType};
use weft_proto::envoy::listener::FilterChain;
use weft_proto::envoy::local_ratelimit::LocalRateLimit;
use weft_proto::envoy::rate_limit_expression::{Descriptor, descriptor::ExprSpecifier};
use weft_proto::envoy::ratelimit::{LocalRateLimitDescriptor, rate_limit_descriptor::Entry};
use weft_proto::envoy::route::RateLimit as Rates;
use weft_proto::envoy::route::rate_limit::Action;
use weft_proto::envoy::route::rate_limit::action::{ActionSpecifier, RequestHeaders};
use weft_proto::envoy::types::{FractionalPercent, TokenBucket};
use weft_proto::google::BoolValue;
use weft_proto::names::metadata as keys;

use super::{change, refusal};
use crate::model::{InboundListener, LimitKey, RateLimit};
use crate::xds::fixture::{
    INBOUND, any, chain, downstream, http_filter, inbound, inbound_http, metadata, number, on_port,
    origin, outbound, rds, seconds, socket,
};
use crate::xds::{Change, Kind};

fn always() -> Option<RuntimeFractionalPercent> {
    let default_value = Some(FractionalPercent { numerator: 100, denominator: 0 });
    Some(RuntimeFractionalPercent { default_value, ..Default::default() })
}

fn bucket() -> Option<TokenBucket> {
    Some(TokenBucket { max_tokens: 120, tokens_per_fill: number(100), fill_interval: seconds(1) })
}

fn everybody() -> LocalRateLimit {
    LocalRateLimit {
        stat_prefix: "x".to_owned(),
        token_bucket: bucket(),
        filter_enabled: always(),
        filter_enforced: always(),
        ..Default::default()
    }
}

fn keyed(name: &str, specifier: ActionSpecifier) -> LocalRateLimit {
    let entry = Entry { key: name.to_owned(), value: String::new() };
    let action = Action { action_specifier: Some(specifier) };
    LocalRateLimit {
        always_consume_default_token_bucket: Some(BoolValue { value: false }),
        max_dynamic_descriptors: number(8192),
        rate_limits: vec![Rates { actions: vec![action], ..Default::default() }],
        descriptors: vec![LocalRateLimitDescriptor {
            entries: vec![entry],
            token_bucket: bucket(),
            ..Default::default()
        }],
        ..everybody()
    }
}

fn by_header() -> LocalRateLimit {
    let (header_name, descriptor_key) = ("x-tenant".to_owned(), "x-tenant".to_owned());
    let header = RequestHeaders { header_name, descriptor_key, ..Default::default() };
    keyed("x-tenant", ActionSpecifier::RequestHeaders(header))
}

fn by_caller(expression: &str) -> LocalRateLimit {
    let descriptor = Descriptor {
        descriptor_key: "caller".to_owned(),
        skip_if_error: true,
        expr_specifier: Some(ExprSpecifier::Text(expression.to_owned())),
    };
    let extension =
        TypedExtensionConfig { name: "x".to_owned(), typed_config: Some(any(&descriptor)) };
    keyed("caller", ActionSpecifier::Extension(extension))
}

fn limited(limits: &[LocalRateLimit]) -> FilterChain {
    let mut http = inbound_http(8080);
    let filters = limits.iter().map(|limit| HttpFilter {
        name: "envoy.filters.http.local_ratelimit".to_owned(),
        config_type: Some(ConfigType::TypedConfig(any(limit))),
        ..Default::default()
    });
    http.http_filters.splice(0..0, filters);
    let mut chain = on_port(chain(&http, &[]), 8080, "", None);
    chain.metadata = metadata([(keys::SOURCE, origin().to_struct())]);
    chain
}

fn found(chains: Vec<FilterChain>) -> InboundListener {
    match change(Kind::Listener, INBOUND, &inbound(chains)).0 {
        Change::Inbound(listener) => listener,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_read_in_order_with_their_policy() {
    let caller = by_caller("connection.uri_san_peer_certificate");
    let listener = found(vec![limited(&[everybody(), by_header(), caller])]);
    let limits = &listener.limits[&8080];
    assert_eq!(limits.origin, origin());
    let keys: Vec<_> = limits.limits.iter().map(|limit| limit.key.clone()).collect();
    let header = LimitKey::Header("x-tenant".try_into().unwrap());
    assert_eq!(keys, [LimitKey::Everybody, header, LimitKey::CallerIdentity]);
    let first = RateLimit {
        requests: 100,
        per: Duration::from_secs(1),
        capacity: 120,
        key: LimitKey::Everybody,
    };
    assert_eq!(limits.limits[0], first);
    assert!(found(vec![limited(&[])]).limits.is_empty());
}

#[test]
fn limits_that_are_not_honoured_are_refused() {
    let refused = |limit: LocalRateLimit| {
        let text = refusal(Kind::Listener, INBOUND, &inbound(vec![limited(&[limit])]));
        let start = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config";
        text.strip_prefix(start).unwrap_or(&text).to_owned()
    };
    let with = |spoil: &dyn Fn(&mut LocalRateLimit)| {
        let mut limit = by_header();
        spoil(&mut limit);
        refused(limit)
    };
    for (text, expected) in [
        (
            with(&|l| l.filter_enforced = None),
            ".filter_enforced: must be 100 %, without a runtime key",
        ),
        (with(&|l| l.token_bucket = None), ".token_bucket: missing"),
        (
            with(&|l| l.token_bucket.as_mut().unwrap().max_tokens = 0),
            ".token_bucket: must hold tokens and be filled",
        ),
        (
            with(&|l| l.local_rate_limit_per_downstream_connection = true),
            ".local_rate_limit_per_downstream_connection: not supported by weft-proxy",
        ),
        (
            with(&|l| l.always_consume_default_token_bucket = None),
            ".rate_limits: must be one, with one descriptor and without the default bucket",
        ),
        (
            with(&|l| l.descriptors[0].entries[0].value = "vip".to_owned()),
            ".descriptors[0].entries: must be x-tenant without a value",
        ),
        (
            with(&|l| l.descriptors[0].token_bucket.as_mut().unwrap().max_tokens = 7),
            ".descriptors[0].token_bucket: must be the same as the filter's",
        ),
        (
            refused(by_caller("source.address")),
            ".rate_limits[0].actions[0].extension.typed_config: only the caller's URI SAN is supported",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn the_chains_of_a_port_agree_and_callers_have_none() {
    let secure = |mut chain: FilterChain| {
        chain.transport_socket = Some(socket(&downstream()));
        chain.filter_chain_match.as_mut().unwrap().transport_protocol = "tls".to_owned();
        chain
    };
    let both = vec![secure(limited(&[everybody()])), limited(&[everybody()])];
    assert_eq!(found(both).limits[&8080].limits.len(), 1);
    let one = inbound(vec![secure(limited(&[everybody()])), limited(&[])]);
    assert_eq!(
        refusal(Kind::Listener, INBOUND, &one),
        "filter_chains[1].filters[0].typed_config.http_filters: must be the same on every chain of port 8080"
    );
    let mut http = http_filter(rds("product.shop:8080"));
    http.http_filters.insert(
        0,
        HttpFilter {
            config_type: Some(ConfigType::TypedConfig(any(&everybody()))),
            ..Default::default()
        },
    );
    assert_eq!(
        refusal(Kind::Listener, "product.shop:8080", &outbound(vec![chain(&http, &[])], None)),
        "filter_chains[0].filters[0].typed_config.http_filters: rate limits and access are supported on inbound listeners only"
    );
}
