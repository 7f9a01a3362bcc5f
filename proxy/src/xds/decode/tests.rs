//! Every kind of resource: what a good one becomes, and by which words a bad one is refused.

mod access;
mod arbitrary;
mod cluster;
mod endpoint;
mod inbound;
mod listener;
mod rate_limit;
mod route;

use prost::{Message, Name};
use weft_proto::envoy::tls::{Secret, TlsCertificate, secret};

use super::{Key, Payload, decode, is_same};
use crate::xds::fixture::{any, authority, cluster as good_cluster, context, trust_bundle};
use crate::xds::{Change, Kind};

/// Decodes under the message's own name.
fn change<M: Message + Name>(kind: Kind, name: &str, message: &M) -> (Change, Vec<Key>) {
    let decoded = decode(kind, name, &any(message), &context()).unwrap();
    match decoded.payload {
        Payload::Change(change) => (*change, decoded.references),
        Payload::TrustBundle(_) => panic!("a trust bundle"),
    }
}

/// Why it is refused.
fn refusal<M: Message + Name>(kind: Kind, name: &str, message: &M) -> String {
    decode(kind, name, &any(message), &context()).unwrap_err().to_string()
}

#[test]
fn the_trust_bundle_is_read() {
    let roots = authority().bundle().clone();
    let secret = trust_bundle(roots.to_pem());
    let decoded = decode(Kind::Secret, "weft:trust-bundle", &any(&secret), &context()).unwrap();
    let Payload::TrustBundle(found) = decoded.payload else { panic!("not a bundle") };
    assert_eq!(found, roots);
}

#[test]
fn other_secrets_are_refused() {
    let refused = |secret: &Secret| refusal(Kind::Secret, "weft:trust-bundle", secret);
    let good = trust_bundle(authority().bundle().to_pem());
    let key = secret::Type::TlsCertificate(TlsCertificate::default());
    assert_eq!(
        refused(&Secret { r#type: Some(key), ..good.clone() }),
        "type: only `validation_context` is supported"
    );
    assert_eq!(
        refused(&Secret { name: "other".to_owned(), ..good.clone() }),
        "name: only weft:trust-bundle is supported"
    );
    assert_eq!(
        refused(&trust_bundle("x".to_owned())),
        "validation_context.trusted_ca: the trust bundle is empty"
    );
    let mut more = good;
    let Some(secret::Type::ValidationContext(context)) = &mut more.r#type else { panic!() };
    context.allow_expired_certificate = true;
    assert_eq!(
        refused(&more),
        "validation_context.allow_expired_certificate: not supported by weft-proxy"
    );
}

#[test]
fn a_resource_is_what_it_is_called() {
    let message = good_cluster("a");
    assert_eq!(
        refusal(Kind::Cluster, "b", &message),
        "name: \"a\" in a resource that is called \"b\""
    );
    let wrong = refusal(Kind::Routes, "a", &message);
    assert!(
        wrong.starts_with("type type.googleapis.com/envoy.config.cluster.v3.Cluster "),
        "{wrong}"
    );
}

#[test]
fn a_field_of_a_newer_api_is_refused_and_not_skipped() {
    let mut resource = any(&good_cluster("a"));
    // Field 1000, varint 1.
    resource.value.extend([0xC0, 0x3E, 0x01]);
    assert_eq!(
        decode(Kind::Cluster, "a", &resource, &context()).unwrap_err().to_string(),
        "holds a field that this version of weft-proxy does not know"
    );
    resource.value.push(0xFF);
    let broken = decode(Kind::Cluster, "a", &resource, &context()).unwrap_err().to_string();
    assert!(broken.starts_with("malformed: "), "{broken}");
}

#[test]
fn the_order_of_map_fields_makes_no_difference() {
    let mut one = good_cluster("a");
    let metadata = one.metadata.as_mut().unwrap();
    for key in ["a", "b", "c", "d", "e", "f"] {
        metadata.filter_metadata.insert(key.to_owned(), Default::default());
    }
    // A map made anew has another order: repeat until it shows, which takes one or two rounds.
    let first = any(&one);
    let other = std::iter::repeat_with(|| {
        let mut again = one.clone();
        let metadata = again.metadata.as_mut().unwrap();
        metadata.filter_metadata = metadata.filter_metadata.drain().collect();
        any(&again)
    });
    let other = other.take(1000).find(|other| *other != first).unwrap();
    assert!(is_same(Kind::Cluster, &first, &other));
    assert!(!is_same(Kind::Cluster, &first, &any(&good_cluster("a"))));
}
