//! Who may speak for a node, and what it is called.

use weft_certs::{DenyList, Serial, SpiffeId};
use weft_proto::envoy::core::BuildVersion;
use weft_proto::envoy::types::SemanticVersion;

use super::*;
use crate::translate::fixture::{BUNDLE, key, shop};
use crate::translate::translate;
use crate::xds::Cache;

#[test]
fn the_certificate_must_be_that_of_the_workload() {
    let cache = Cache::new();
    cache.apply(&translate(&shop(), BUNDLE));
    let state = cache.read();
    let id = SpiffeId::parse("spiffe://demo.local/ns/shop/sa/product").unwrap();
    let peer = AuthenticatedPeer { id, serial: Serial::new(&[7]), expired: false };
    let denied = |id: &str| {
        let status = authorize(id, &peer, &cache.read()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
        status.message().to_owned()
    };
    assert_eq!(authorize("product-v1.shop", &peer, &state).unwrap().workload, key("product-v1"));
    assert_eq!(authorize("product-v2.shop", &peer, &state).unwrap().workload, key("product-v2"));
    assert_eq!(
        denied("web-1.shop"),
        "workload web-1.shop is spiffe://demo.local/ns/shop/sa/web, but the certificate presented is \
         of spiffe://demo.local/ns/shop/sa/product"
    );
    assert!(denied("nobody.shop").starts_with("there is no workload nobody.shop"));
    let mut set = translate(&shop(), BUNDLE);
    let mut list = DenyList::default();
    list.deny_serial(Serial::new(&[7]), "leaked");
    set.deny(list);
    drop(state);
    cache.apply(&set);
    let state = cache.read();
    let status = authorize("product-v1.shop", &peer, &state).unwrap_err();
    assert_eq!(status.message(), "denied: the certificate 07 is denied: leaked");
    let renewed = AuthenticatedPeer { serial: Serial::new(&[8]), ..peer.clone() };
    authorize("product-v1.shop", &renewed, &state).unwrap();
    // A name without end is not repeated in full.
    assert!(denied(&"x".repeat(100_000)).len() < 300);
}

#[test]
fn user_agents() {
    let node = |version| Claimed {
        user_agent_name: "envoy".to_owned(),
        user_agent_version_type: version,
        ..Default::default()
    };
    let text = |text: &str| Some(UserAgentVersionType::UserAgentVersion(text.to_owned()));
    assert_eq!(user_agent(&node(text("1.2"))), "envoy/1.2");
    assert_eq!(user_agent(&node(None)), "envoy");
    let version = SemanticVersion { major_number: 1, minor_number: 40, patch: 0 };
    let build = BuildVersion { version: Some(version), ..Default::default() };
    let build = Some(UserAgentVersionType::UserAgentBuildVersion(build));
    assert_eq!(user_agent(&node(build)), "envoy/1.40.0");
    assert_eq!(user_agent(&node(text(&"9".repeat(1000)))).len(), TEXT);
}
