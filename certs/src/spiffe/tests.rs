//! Which texts are ids: a table of the ones that must not be, and properties of all others.

use proptest::prelude::*;

use super::{IdError, SpiffeId, TrustDomain};

#[test]
fn an_id_says_its_parts() {
    let id: SpiffeId = "spiffe://demo.local/ns/shop/sa/product".parse().unwrap();
    assert_eq!(id.trust_domain().as_str(), "demo.local");
    assert_eq!(id.namespace(), "shop");
    assert_eq!(id.service_account(), "product");
    assert_eq!(id.to_string(), "spiffe://demo.local/ns/shop/sa/product");
    assert_eq!(SpiffeId::workload(id.trust_domain(), "shop", "product"), Ok(id));
}

#[test]
fn what_is_no_workloads_id_is_refused_and_the_reason_said() {
    let segment = |part, value: &str| IdError::Segment { part, value: value.to_owned() };
    let char = |part, found| IdError::SegmentChar { part, found };
    let (ns, sa) = ("namespace", "service account");
    let cases = [
        ("", IdError::Scheme),
        ("demo.local/ns/a/sa/b", IdError::Scheme),
        ("http://demo.local/ns/a/sa/b", IdError::Scheme),
        ("SPIFFE://demo.local/ns/a/sa/b", IdError::Scheme),
        ("spiffe:/demo.local/ns/a/sa/b", IdError::Scheme),
        (" spiffe://demo.local/ns/a/sa/b", IdError::Scheme),
        ("spiffe:///ns/a/sa/b", IdError::TrustDomainEmpty),
        ("spiffe://", IdError::TrustDomainEmpty),
        ("spiffe://Demo.local/ns/a/sa/b", IdError::TrustDomainChar('D')),
        ("spiffe://demo.local:443/ns/a/sa/b", IdError::TrustDomainChar(':')),
        ("spiffe://me@demo.local/ns/a/sa/b", IdError::TrustDomainChar('@')),
        ("spiffe://demo%2elocal/ns/a/sa/b", IdError::TrustDomainChar('%')),
        ("spiffe://demö/ns/a/sa/b", IdError::TrustDomainChar('ö')),
        ("spiffe://demo.local?ns=a", IdError::TrustDomainChar('?')),
        ("spiffe://demo.local", IdError::Path),
        ("spiffe://demo.local/", IdError::Path),
        ("spiffe://demo.local/ns/a/sa", IdError::Path),
        ("spiffe://demo.local/ns/a/sa/b/", IdError::Path),
        ("spiffe://demo.local/ns/a/sa/b/c", IdError::Path),
        ("spiffe://demo.local/sa/a/ns/b", IdError::Path),
        ("spiffe://demo.local/NS/a/sa/b", IdError::Path),
        ("spiffe://demo.local//ns/a/sa/b", IdError::Path),
        ("spiffe://demo.local/ns//sa/b", segment(ns, "")),
        ("spiffe://demo.local/ns/./sa/b", segment(ns, ".")),
        ("spiffe://demo.local/ns/../sa/b", segment(ns, "..")),
        ("spiffe://demo.local/ns/a/sa/", segment(sa, "")),
        ("spiffe://demo.local/ns/a/sa/..", segment(sa, "..")),
        ("spiffe://demo.local/ns/a/sa/%62", char(sa, '%')),
        ("spiffe://demo.local/ns/a/sa/b?c", char(sa, '?')),
        ("spiffe://demo.local/ns/a/sa/b#c", char(sa, '#')),
        ("spiffe://demo.local/ns/a/sa/b\0", char(sa, '\0')),
        ("spiffe://demo.local/ns/a/sa/b ", char(sa, ' ')),
        ("spiffe://demo.local/ns/a b/sa/b", char(ns, ' ')),
    ];
    for (text, reason) in cases {
        assert_eq!(SpiffeId::parse(text), Err(reason), "{text:?}");
    }
}

#[test]
fn lengths_are_bounded_where_the_specification_says() {
    let longest = "d".repeat(255);
    assert!(longest.parse::<TrustDomain>().is_ok());
    assert_eq!("d".repeat(256).parse::<TrustDomain>(), Err(IdError::TrustDomainTooLong(256)));

    let domain: TrustDomain = longest.parse().unwrap();
    let room = 2048 - format!("spiffe://{domain}/ns/a/sa/").len();
    let id = SpiffeId::workload(&domain, "a", &"b".repeat(room)).unwrap();
    assert_eq!(id.as_str().len(), 2048);
    assert_eq!(SpiffeId::parse(id.as_str()), Ok(id));
    let long = SpiffeId::workload(&domain, "a", &"b".repeat(room + 1));
    assert_eq!(long, Err(IdError::TooLong(2049)));
    assert_eq!(SpiffeId::parse(&"s".repeat(5000)), Err(IdError::TooLong(5000)));
}

#[test]
fn a_part_cannot_smuggle_in_another_path() {
    let domain: TrustDomain = "demo.local".parse().unwrap();
    let found = IdError::SegmentChar { part: "namespace", found: '/' };
    assert_eq!(SpiffeId::workload(&domain, "shop/sa/admin", "x"), Err(found));
}

proptest! {
    #[test]
    fn every_id_that_can_be_made_reads_back_as_itself(
        domain in "[a-z0-9._-]{1,40}",
        namespace in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,40}",
        account in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,40}",
    ) {
        let id = SpiffeId::workload(&domain.parse().unwrap(), &namespace, &account).unwrap();
        prop_assert_eq!(id.trust_domain().as_str(), &domain);
        prop_assert_eq!(id.namespace(), &namespace);
        prop_assert_eq!(id.service_account(), &account);
        prop_assert_eq!(SpiffeId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn nothing_is_normalised(text in "spiffe://[a-zA-Z.:@%]{0,8}(/(ns|sa|[a-z.%?#]{0,3})){0,6}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
        }
    }

    #[test]
    fn one_foreign_character_anywhere_is_refused(
        at in 0_usize..38,
        foreign in any::<char>().prop_filter(
            "characters of ids",
            |c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'),
        ),
    ) {
        let mut text = "spiffe://demo.local/ns/shop/sa/product".to_owned();
        text.insert(at, foreign);
        prop_assert!(SpiffeId::parse(&text).is_err(), "{:?}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = SpiffeId::parse(&text);
        let _ = SpiffeId::parse(&format!("spiffe://{text}"));
        let _ = SpiffeId::parse(&format!("spiffe://d/ns/{text}/sa/{text}"));
    }
}
