//! What limits look like, and where they stand.

use std::time::Duration;

use prost::Message as _;
use weft_proto::envoy::hcm::{HttpConnectionManager, http_filter::ConfigType};
use weft_proto::envoy::listener::{FilterChain, Listener};
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::super::fixture::{BUNDLE, origin, shop};
use super::super::tests::{decoded, filter as network_filter};
use super::super::{ResourceType, translate};
use super::*;
use crate::model::Mesh;

fn limit(key: RateLimitKey) -> RateLimit {
    RateLimit { requests: 100, per: Duration::from_secs(1), burst: 20, key }
}

fn limited(limits: Vec<RateLimit>) -> Mesh {
    let mut mesh = shop();
    mesh.inbound_policies.push(InboundPolicy {
        origin: origin("InboundPolicy", "limits"),
        created: 0,
        namespace: "shop".to_owned(),
        selector: [("app".to_owned(), "web".to_owned())].into(),
        ports: vec![],
        mtls: None,
        default_access: None,
        rate_limits: limits,
    });
    mesh
}

#[test]
fn every_http_chain_of_the_port_has_them_before_the_router_and_names_their_policy() {
    let limits = vec![limit(RateLimitKey::Everybody), limit(RateLimitKey::CallerIdentity)];
    let set = translate(&limited(limits), BUNDLE);
    let listener: Listener = decoded(&set, ResourceType::Listener, "inbound/shop/web-1");
    let declared = |chain: &&FilterChain| {
        chain.filter_chain_match.as_ref().is_some_and(|of| of.destination_port.is_some())
    };
    let chains: Vec<_> = listener.filter_chains.iter().filter(declared).collect();
    assert_eq!(chains.len(), 2, "mTLS and plaintext");
    for chain in chains {
        let (name, bytes) = network_filter(chain);
        assert_eq!(name, "HttpConnectionManager");
        let manager = HttpConnectionManager::decode(bytes).unwrap();
        let names: Vec<_> =
            manager.http_filters.iter().map(|filter| filter.name.as_str()).collect();
        assert_eq!(names, [FILTER, FILTER, "envoy.filters.http.router"]);
        let source = &chain.metadata.as_ref().unwrap().filter_metadata[metadata::SOURCE];
        assert_eq!(Origin::from_struct(source).to_string(), "InboundPolicy/shop/limits");
        let Some(ConfigType::TypedConfig(first)) = &manager.http_filters[0].config_type else {
            panic!()
        };
        let first = LocalRateLimit::decode(first.value.as_slice()).unwrap();
        assert_eq!(first, filter(&limit(RateLimitKey::Everybody)));
    }
    let product: Listener = decoded(&set, ResourceType::Listener, "inbound/shop/product-v1");
    assert!(product.filter_chains.iter().all(|chain| chain.metadata.is_none()));
}

#[test]
fn a_bucket_holds_requests_and_burst_and_is_filled_by_the_requests() {
    let everybody = filter(&limit(RateLimitKey::Everybody));
    let bucket = everybody.token_bucket.unwrap();
    assert_eq!((bucket.max_tokens, bucket.tokens_per_fill), (120, Some(uint32(100))));
    assert_eq!(bucket.fill_interval, Some(duration(Duration::from_secs(1))));
    assert!(everybody.descriptors.is_empty());

    // What has no key falls to a bucket of the same size.
    let keyed = filter(&limit(RateLimitKey::Header("x-tenant".to_owned())));
    assert_eq!(keyed.token_bucket, Some(bucket));
    assert_eq!(keyed.descriptors[0].token_bucket, Some(bucket));
    assert_eq!(keyed.always_consume_default_token_bucket, Some(boolean(false)));
    let entry = &keyed.descriptors[0].entries[0];
    assert_eq!((entry.key.as_str(), entry.value.as_str()), ("x-tenant", ""));
}

#[test]
fn versions_are_stable() {
    let version = || {
        let set = translate(&limited(vec![limit(RateLimitKey::CallerIdentity)]), BUNDLE);
        set.get(ResourceType::Listener, "inbound/shop/web-1").unwrap().version
    };
    let first = version();
    for _ in 0..20 {
        assert_eq!(version(), first);
    }
}
