//! The hand-made frame around a resource is what the generated types decode.

use prost::Message as _;
use weft_proto::envoy::discovery::DeltaDiscoveryResponse;

use super::*;

#[test]
fn entry_is_field_2_of_a_delta_response() {
    let body = vec![7_u8; 300];
    let resource = Resource::new(ResourceType::Cluster, "product.shop:8080", Version(0xab), &body);

    let response = DeltaDiscoveryResponse::decode(resource.entry()).unwrap();

    assert_eq!(response.resources.len(), 1);
    let decoded = &response.resources[0];
    assert_eq!(decoded.name, "product.shop:8080");
    assert_eq!(decoded.version, "00000000000000ab");
    let any = decoded.resource.as_ref().unwrap();
    assert_eq!(any.type_url, type_url::CLUSTER);
    assert_eq!(any.value, body);
    assert_eq!(resource.body(), body);
}

#[test]
fn an_empty_body_is_framed_too() {
    let resource = Resource::new(ResourceType::Endpoint, "a.b:1", Version(0), &[]);

    let response = DeltaDiscoveryResponse::decode(resource.entry()).unwrap();

    assert_eq!(response.resources[0].name, "a.b:1");
    assert!(resource.body().is_empty());
}

#[test]
fn versions_survive_the_wire() {
    let version = Version(0x0123_4567_89ab_cdef);
    assert_eq!(Version::parse(&version.to_string()), Some(version));
    for text in ["", "12", "+123456789abcdef", "0123456789abcdefg", "zzzzzzzzzzzzzzzz"] {
        assert_eq!(Version::parse(text), None, "{text}");
    }
}

#[test]
fn type_urls_are_told_apart() {
    for kind in ResourceType::ALL {
        assert_eq!(ResourceType::from_type_url(kind.type_url()), Some(kind));
    }
    assert_eq!(ResourceType::from_type_url("type.googleapis.com/envoy.x"), None);
}
