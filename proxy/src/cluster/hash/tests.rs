//! Keys against what Envoy 1.40 did: five endpoints 127.77.0.1:9100 to .5, policies header `x-user` (not terminal),
//! cookie `sid`, source address; the digit is the endpoint that answered.

use http::HeaderMap;
use twox_hash::XxHash64;

use super::hash;
use crate::cluster::ring::Ring;
use crate::model::{EndpointSpec, HashPolicy, HashSource, RingHash};

fn policy(source: HashSource, terminal: bool) -> HashPolicy {
    HashPolicy { source, terminal }
}

fn user(terminal: bool) -> HashPolicy {
    policy(HashSource::Header(http::HeaderName::from_static("x-user")), terminal)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, value.parse().unwrap());
    }
    map
}

#[test]
fn the_endpoint_of_a_request_is_envoys() {
    let policies = [
        user(false),
        policy(HashSource::Cookie("sid".into()), false),
        policy(HashSource::SourceAddress, false),
    ];
    let endpoints: Vec<_> = (1..=5)
        .map(|number| EndpointSpec {
            address: ([127, 77, 0, number], 9100).into(),
            workload: String::new(),
            identity: None,
            weight: 1,
        })
        .collect();
    let endpoints: Vec<_> = endpoints.iter().enumerate().collect();
    let ring = Ring::new(&endpoints, &RingHash::default());
    for (lines, envoy) in [
        (&[("x-user", "a")][..], 2),
        (&[("x-user", "b"), ("x-user", "a")], 5),
        (&[("x-user", "a"), ("x-user", "b")], 5),
        (&[("x-user", "")], 2),
        (&[("cookie", "sid=alice")], 4),
        (&[("cookie", "x=y; sid=\"alice\"")], 4),
        (&[("x-user", "a"), ("cookie", "sid=alice")], 2),
        (&[("cookie", "sid=")], 3),
        (&[("cookie", "sid=1"), ("cookie", "sid=2")], 3),
        (&[("cookie", "SID=alice")], 3),
        (&[("x-user", "a"), ("x-forwarded-for", "10.1.2.3, 10.9.9.9")], 2),
        (&[("x-forwarded-for", "10.1.2.3, 10.9.9.9")], 4),
        (&[("x-forwarded-for", "nonsense")], 3),
        (&[("x-forwarded-for", "10.1.2.3, ")], 3),
        (&[("x-forwarded-for", "2001:db8::0001")], 3),
        (&[("x-forwarded-for", "10.1.2.3"), ("x-forwarded-for", "10.9.9.8")], 4),
        (&[("x-forwarded-for", "10.1.2.3:80")], 3),
        (&[], 3),
    ] {
        let key = hash(&policies, Some(&headers(lines)), ([127, 0, 0, 1], 50000).into()).unwrap();
        assert_eq!(ring.from(key).next().unwrap() + 1, envoy, "{lines:?}");
    }
}

#[test]
fn the_first_that_yields_a_value_decides_if_it_is_terminal() {
    let both = [user(true), policy(HashSource::SourceAddress, true)];
    let client = ([10, 0, 0, 7], 1234).into();
    let of = |text: &str| Some(XxHash64::oneshot(0, text.as_bytes()));
    assert_eq!(hash(&both, Some(&headers(&[("x-user", "a")])), client), of("a"));
    assert_eq!(hash(&both, Some(&headers(&[])), client), of("10.0.0.7"));
    assert_eq!(
        hash(&both, None, client),
        of("10.0.0.7"),
        "opaque connections have an address only"
    );
    assert_eq!(hash(&both[..1], Some(&headers(&[])), client), None);
    assert_eq!(hash(&[], Some(&headers(&[("x-user", "a")])), client), None);
}
