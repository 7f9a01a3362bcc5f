//! Whatever the bytes, decoding ends with a resource or a reason.

use proptest::prelude::*;
use prost::Message;
use weft_proto::google::Any;

use crate::xds::Kind;
use crate::xds::decode::decode;
use crate::xds::fixture::{
    INBOUND, PRODUCT, authority, chain, cluster, context, downstream, endpoint, endpoints,
    http_listener, inbound, inbound_http, on_port, route, routes, socket, trust_bundle,
};

fn good() -> Vec<(Kind, &'static str, Vec<u8>)> {
    let strict = on_port(chain(&inbound_http(8080), &[]), 8080, "tls", Some(socket(&downstream())));
    let product = "spiffe://demo.local/ns/shop/sa/product";
    vec![
        (Kind::Listener, PRODUCT, http_listener().encode_to_vec()),
        (Kind::Listener, INBOUND, inbound(vec![strict]).encode_to_vec()),
        (Kind::Routes, PRODUCT, routes(vec![route("a"), route("b")]).encode_to_vec()),
        (Kind::Cluster, PRODUCT, cluster(PRODUCT).encode_to_vec()),
        (
            Kind::Endpoints,
            PRODUCT,
            endpoints(PRODUCT, vec![endpoint("10.0.0.1", product)]).encode_to_vec(),
        ),
        (
            Kind::Secret,
            "weft:trust-bundle",
            trust_bundle(authority().bundle().to_pem()).encode_to_vec(),
        ),
    ]
}

fn attempt(kind: Kind, name: &str, value: Vec<u8>) {
    let any = Any { type_url: kind.type_url().to_owned(), value };
    if let Err(reject) = decode(kind, name, &any, &context()) {
        assert!(!reject.to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in Kind::ALL {
            attempt(kind, "a", bytes.clone());
        }
    }

    #[test]
    fn good_resources_with_changed_bytes_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for (kind, name, mut bytes) in good() {
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            attempt(kind, name, bytes);
        }
    }
}

#[test]
fn the_good_ones_are_good() {
    for (kind, name, value) in good() {
        let any = Any { type_url: kind.type_url().to_owned(), value };
        decode(kind, name, &any, &context()).unwrap();
    }
}
