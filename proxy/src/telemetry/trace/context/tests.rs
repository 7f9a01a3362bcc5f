//! Which headers are a context, and which headers a context becomes.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanId, TraceId};

use super::{Formats, Incoming, Outgoing};

const T: &str = "0af7651916cd43dd8448eb211c80319c";
const S: &str = "b7ad6b7169203331";
const ALL: Formats = Formats { w3c: true, b3: true, b3_multi: true };

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn read(lines: &[(&'static str, &str)]) -> Incoming {
    Incoming::read(&headers(lines), ALL)
}

fn ids(trace_id: &str) -> Option<(TraceId, SpanId)> {
    Some((TraceId::from_hex(trace_id).unwrap(), SpanId::from_hex(S).unwrap()))
}

#[test]
fn traceparents_that_are_valid() {
    for (value, sampled, random) in [
        (format!("00-{T}-{S}-00"), false, false),
        (format!("00-{T}-{S}-01"), true, false),
        (format!("00-{T}-{S}-03"), true, true),
        (format!("00-{T}-{S}-fd"), true, false),
        (format!("01-{T}-{S}-01"), true, false),
        (format!("cc-{T}-{S}-01-what-the-future-holds"), true, false),
        (format!("cc-{T}-{S}-01-"), true, false),
    ] {
        let expected = Incoming {
            ids: ids(T),
            sampled: Some(sampled),
            random,
            from_w3c: true,
            arrived: Formats { w3c: true, ..Formats::default() },
            ..Incoming::default()
        };
        assert_eq!(read(&[("traceparent", &value)]), expected, "{value}");
    }
}

#[test]
fn traceparents_that_are_not() {
    let zero_trace = "0".repeat(32);
    for value in [
        String::new(),
        format!("00-{T}-{S}"),
        format!("00-{T}-{S}-1"),
        format!("00-{T}-{S}-01-more"),
        format!("00-{T}-{S}-01 "),
        format!("ff-{T}-{S}-01"),
        format!("0g-{T}-{S}-01"),
        format!("00_{T}-{S}-01"),
        format!("00-{T}_{S}-01"),
        format!("00-{T}-{S}_01"),
        format!("00-{}-{S}-01", T.to_uppercase()),
        format!("00-{T}-{}-01", S.to_uppercase()),
        format!("00-{zero_trace}-{S}-01"),
        format!("00-{T}-{}-01", "0".repeat(16)),
        format!("00-+{}-{S}-01", &T[1..]),
        format!("cc-{T}-{S}-01x"),
        format!("cc-{T}-{S}-01.{T}"),
    ] {
        assert_eq!(read(&[("traceparent", &value)]).ids, None, "{value}");
    }
    let value = format!("00-{T}-{S}-01");
    assert_eq!(read(&[("traceparent", &value), ("traceparent", &value)]).ids, None, "two of them");
}

#[test]
fn b3_in_one_header() {
    let short = &T[16..];
    let padded = format!("{}{short}", "0".repeat(16));
    for (value, trace_id, sampled, debug) in [
        (format!("{T}-{S}-1"), Some(T), Some(true), false),
        (format!("{T}-{S}-0"), Some(T), Some(false), false),
        (format!("{T}-{S}-d"), Some(T), Some(true), true),
        (format!("{T}-{S}"), Some(T), None, false),
        (format!("{T}-{S}-1-05e3ac9a4f6e3b90"), Some(T), Some(true), false),
        (format!("{short}-{S}-1"), Some(padded.as_str()), Some(true), false),
        ("0".into(), None, Some(false), false),
        ("1".into(), None, Some(true), false),
        ("d".into(), None, Some(true), true),
        (format!("{T}-{S}-x"), None, None, false),
        (format!("{T}-{S}-1-05e3"), None, None, false),
        (format!("{T}-{S}-1-05e3ac9a4f6e3b90-1"), None, None, false),
        (format!("{}-{S}-1", &T[1..]), None, None, false),
        (format!("{T}-{}-1", &S[1..]), None, None, false),
        (format!("{}-{S}-1", "0".repeat(32)), None, None, false),
        (T.into(), None, None, false),
    ] {
        let expected = Incoming {
            ids: trace_id.and_then(ids),
            sampled,
            debug,
            arrived: Formats { b3: true, ..Formats::default() },
            ..Incoming::default()
        };
        assert_eq!(read(&[("b3", &value)]), expected, "{value}");
    }
}

#[test]
fn b3_in_several_headers() {
    let (t, s) = (("x-b3-traceid", T), ("x-b3-spanid", S));
    for (lines, found, sampled, debug) in [
        (vec![t, s, ("x-b3-sampled", "1")], true, Some(true), false),
        (vec![t, s, ("x-b3-sampled", "true")], true, Some(true), false),
        (vec![t, s, ("x-b3-sampled", "0")], true, Some(false), false),
        (vec![t, s, ("x-b3-sampled", "false")], true, Some(false), false),
        (vec![t, s, ("x-b3-flags", "1")], true, Some(true), true),
        (vec![t, s, ("x-b3-flags", "0")], true, None, false),
        (vec![t, s], true, None, false),
        (vec![t, s, ("x-b3-parentspanid", "05e3ac9a4f6e3b90")], true, None, false),
        (vec![t], false, None, false),
        (vec![("x-b3-sampled", "0")], false, Some(false), false),
        (vec![t, ("x-b3-spanid", "nonsense"), ("x-b3-sampled", "1")], false, None, false),
    ] {
        let expected = Incoming {
            ids: found.then(|| ids(T)).flatten(),
            sampled,
            debug,
            arrived: Formats { b3_multi: true, ..Formats::default() },
            ..Incoming::default()
        };
        assert_eq!(read(&lines), expected, "{lines:?}");
    }
}

#[test]
fn the_first_valid_format_is_believed_and_all_that_arrived_are_remembered() {
    let w3c = format!("00-{T}-{S}-01");
    let other = format!("{}-{S}-0", "1".repeat(32));
    let incoming = read(&[("b3", &other), ("traceparent", &w3c)]);
    assert_eq!((incoming.ids, incoming.sampled), (ids(T), Some(true)));
    assert_eq!(incoming.arrived, Formats { w3c: true, b3: true, b3_multi: false });

    // The debug flag has no place in W3C's; of another trace it says nothing.
    let (debug, of_other) = (format!("{T}-{S}-d"), format!("{}-{S}-d", "1".repeat(32)));
    for (b3, expected) in [
        (vec![("b3", debug.as_str())], true),
        (vec![("x-b3-traceid", T), ("x-b3-spanid", S), ("x-b3-flags", "1")], true),
        (vec![("b3", of_other.as_str())], false),
        (vec![("b3", "d")], false),
    ] {
        let incoming = read(&[&b3[..], &[("traceparent", &w3c)]].concat());
        assert_eq!((incoming.from_w3c, incoming.debug), (true, expected), "{b3:?}");
    }

    let incoming = read(&[("traceparent", "nonsense"), ("b3", &other), ("x-b3-traceid", T)]);
    assert_eq!((incoming.ids, incoming.sampled), (ids(&"1".repeat(32)), Some(false)));
    assert_eq!((incoming.from_w3c, incoming.arrived), (false, ALL));

    let only_b3 = Formats { b3: true, ..Formats::default() };
    let incoming = Incoming::read(&headers(&[("traceparent", &w3c)]), only_b3);
    assert_eq!(incoming, Incoming::default(), "what is not to be read is not there");
}

#[test]
fn a_context_is_written_in_the_formats_asked_for() {
    let outgoing = Outgoing {
        trace_id: TraceId::from_hex(T).unwrap(),
        span_id: SpanId::from_hex(S).unwrap(),
        sampled: true,
        debug: false,
        random: false,
    };
    let mut map = headers(&[("tracestate", "a=1"), ("x-b3-parentspanid", S), ("baggage", "k=v")]);
    outgoing.write(&mut map, ALL, true);
    let expected = headers(&[
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
        ("traceparent", &format!("00-{T}-{S}-01")),
        ("b3", &format!("{T}-{S}-1")),
        ("x-b3-traceid", T),
        ("x-b3-spanid", S),
        ("x-b3-sampled", "1"),
    ]);
    assert_eq!(map, expected);

    let mut map = headers(&[("tracestate", "a=1"), ("b3", "d"), ("x-b3-sampled", "1")]);
    Outgoing { debug: true, random: true, ..outgoing }.write(&mut map, ALL, false);
    let expected = headers(&[
        ("traceparent", &format!("00-{T}-{S}-03")),
        ("b3", &format!("{T}-{S}-d")),
        ("x-b3-traceid", T),
        ("x-b3-spanid", S),
        ("x-b3-flags", "1"),
    ]);
    assert_eq!(map, expected);

    let mut map = headers(&[("x-b3-flags", "1"), ("tracestate", "a=1")]);
    let formats = Formats { b3_multi: true, ..Formats::default() };
    Outgoing { sampled: false, ..outgoing }.write(&mut map, formats, false);
    let expected = headers(&[
        ("tracestate", "a=1"),
        ("x-b3-traceid", T),
        ("x-b3-spanid", S),
        ("x-b3-sampled", "0"),
    ]);
    assert_eq!(map, expected);
}
