//! The router beside a plain reading of the same rules: segments and lists, no prefixes, no escapes.

use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use regex::Regex;

use super::{rule, table};
use crate::model::{
    HeaderMatch, HostPattern, Matcher, PathMatch, QueryMatch, RouteTable, ValueMatch,
};
use crate::router::{RequestView, route};

/// A request by its meaning.
#[derive(Clone, Debug)]
struct Request {
    labels: Vec<&'static str>,
    segments: Vec<&'static str>,
    /// `None`: a value that is no text.
    headers: Vec<(&'static str, Option<&'static str>)>,
    /// Name, value, and how both are written: as they are, or with every byte escaped.
    query: Vec<(&'static str, &'static str, bool)>,
    method: Method,
}

fn label() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("a"), 2 => Just("b"), 1 => Just("ab")]
}

fn request() -> impl Strategy<Value = Request> {
    let header = (
        prop_oneof![Just("x-a"), Just("x-b")],
        prop_oneof![
            4 => Just(Some("1")), 3 => Just(Some("2")), 2 => Just(None),
        ],
    );
    let text = || prop_oneof![Just("q"), Just("r"), Just("a b"), Just("\u{e9}+%&="), Just("")];
    let method = prop_oneof![Just(Method::GET), Just(Method::POST)];
    (
        prop::collection::vec(label(), 1..4),
        prop::collection::vec(prop_oneof![3 => label(), 1 => Just("")], 0..4),
        prop::collection::vec(header, 0..4),
        prop::collection::vec((text(), text(), any::<bool>()), 0..4),
        method,
    )
        .prop_map(|(labels, segments, headers, query, method)| Request {
            labels,
            segments,
            headers,
            query,
            method,
        })
}

fn value() -> impl Strategy<Value = ValueMatch> {
    let texts = vec!["1", "2", "1,2", "1,1", "a b", "\u{e9}+%&=", ""];
    (0..3_u8, prop::sample::select(texts)).prop_map(|(kind, text)| match kind {
        0 => ValueMatch::Exact(text.into()),
        1 => ValueMatch::Regex(Regex::new(&format!("^(?:{}.*)$", regex::escape(text))).unwrap()),
        _ => ValueMatch::Present,
    })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let segments = prop::collection::vec(label(), 1..3);
    let path = (0..4_u8, segments).prop_map(|(kind, segments)| {
        let path = format!("/{}", segments.join("/"));
        match kind {
            0 | 1 => PathMatch::Any,
            2 => PathMatch::Exact(path),
            _ => PathMatch::Prefix(path),
        }
    });
    let name = prop::sample::select(vec!["x-a", "x-b"]);
    let header = (name, value())
        .prop_map(|(name, value)| HeaderMatch { name: http::HeaderName::from_static(name), value });
    let name = prop::sample::select(vec!["q", "a b", "\u{e9}+%&="]);
    let query = (name, value()).prop_map(|(name, value)| QueryMatch { name: name.into(), value });
    let method = prop_oneof![3 => Just(None), 1 => Just(Some(Method::POST))];
    let headers = prop::collection::vec(header, 0..2);
    let query = prop::collection::vec(query, 0..2);
    (path, method, headers, query).prop_map(|(path, method, headers, query)| Matcher {
        path,
        method,
        headers,
        query,
        ..Matcher::default()
    })
}

fn host() -> impl Strategy<Value = HostPattern> {
    prop::collection::vec(label(), 1..4).prop_flat_map(|labels| {
        let host = labels.join(".");
        prop_oneof![
            2 => Just(HostPattern::Any),
            2 => Just(HostPattern::Suffix(format!(".{host}"))),
            2 => Just(HostPattern::Exact(host)),
        ]
    })
}

/// Does one value fit? `None` is a value that is no text.
fn fits(matcher: &ValueMatch, value: Option<&str>) -> bool {
    match (matcher, value) {
        (ValueMatch::Present, _) => true,
        (ValueMatch::Exact(exact), Some(value)) => exact == value,
        (ValueMatch::Regex(regex), Some(value)) => regex.is_match(value),
        (_, None) => false,
    }
}

fn takes(matcher: &Matcher, request: &Request) -> bool {
    let path = match &matcher.path {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => exact[1..].split('/').eq(request.segments.iter().copied()),
        PathMatch::Prefix(prefix) => {
            let wanted: Vec<_> = prefix[1..].split('/').collect();
            request.segments.starts_with(&wanted)
        }
        PathMatch::Regex(_) => unreachable!("none is made"),
    };
    let header = |wanted: &HeaderMatch| {
        let values = request.headers.iter().filter(|(name, _)| wanted.name == *name);
        let values: Vec<_> = values.map(|(_, value)| *value).collect();
        let text = values.iter().copied().collect::<Option<Vec<_>>>().map(|all| all.join(","));
        !values.is_empty() && fits(&wanted.value, text.as_deref())
    };
    let query = |wanted: &QueryMatch| {
        let first = request.query.iter().find(|(name, ..)| *name == wanted.name);
        first.is_some_and(|(_, value, _)| fits(&wanted.value, Some(value)))
    };
    let method = matcher.method.as_ref().is_none_or(|method| *method == request.method);
    path && method && matcher.headers.iter().all(header) && matcher.query.iter().all(query)
}

/// How near a pattern is to a host, by labels: the whole host is nearest.
fn nearness(pattern: &HostPattern, labels: &[&str]) -> Option<usize> {
    match pattern {
        HostPattern::Any => Some(0),
        HostPattern::Exact(host) => {
            host.split('.').eq(labels.iter().copied()).then_some(usize::MAX)
        }
        HostPattern::Suffix(suffix) => {
            let wanted: Vec<_> = suffix[1..].split('.').collect();
            (labels.len() > wanted.len() && labels.ends_with(&wanted)).then_some(wanted.len())
        }
    }
}

/// The host and the rule that take the request.
fn plainly(table: &RouteTable, request: &Request) -> Option<(usize, usize)> {
    let near = |index: &usize| nearness(&table.hosts[*index].hosts[0], &request.labels);
    let hosts = (0..table.hosts.len()).filter(|index| near(index).is_some());
    // Of equals the first.
    let host = { hosts }.rev().max_by_key(near)?;
    let rules = &table.hosts[host].rules;
    Some((host, rules.iter().position(|rule| takes(&rule.matcher, request))?))
}

fn escaped(text: &str, whole: bool) -> String {
    let escape = |byte: u8| match byte {
        b' ' if !whole => "+".to_owned(),
        b'a'..=b'z' if !whole => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(escape).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn agrees_with_a_plain_reading(
        hosts in prop::collection::vec((host(), prop::collection::vec(matcher(), 0..5)), 1..4),
        requests in prop::collection::vec(request(), 1..8),
    ) {
        let rules = |matchers: Vec<Matcher>| matchers.into_iter().map(|m| rule("r", m)).collect();
        let table = table(hosts.into_iter().map(|(host, all)| (host, rules(all))).collect());
        for request in requests {
            let mut headers = HeaderMap::new();
            for (name, value) in &request.headers {
                let value = value.map_or(&b"\xff"[..], str::as_bytes);
                headers.append(*name, HeaderValue::from_bytes(value).unwrap());
            }
            let pair = |(name, value, whole): &(&str, &str, bool)| {
                format!("{}={}", escaped(name, *whole), escaped(value, *whole))
            };
            let query = request.query.iter().map(pair).collect::<Vec<_>>().join("&");
            let view = RequestView {
                host: &request.labels.join("."),
                authority: None,
                path: &format!("/{}", request.segments.join("/")),
                query: (!query.is_empty()).then_some(&query),
                method: &request.method,
                headers: &headers,
            };
            let found = route(&table, &view).map(|matched| matched.at);
            prop_assert_eq!(found, plainly(&table, &request), "{:?}", request);
        }
    }
}
