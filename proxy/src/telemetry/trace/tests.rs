//! What becomes of a request's headers: started, taken up, passed on, tried again.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanId, TraceId};

use super::context::Incoming;
use super::{Formats, Sampler, Settings, SpanKind, Tracing, Workload, is_in_share};
use crate::telemetry::export::Collector;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::tests::end;

const T: &str = "0af7651916cd43dd8448eb211c80319c";
const S: &str = "b7ad6b7169203331";
const ID: (&str, &str) = ("x-request-id", "given");
const ALL: Formats = Formats { w3c: true, b3: true, b3_multi: true };

/// A collector that is not there: spans are built, and lost.
fn tracing(settings: Settings) -> Tracing {
    let metrics = Metrics::default();
    let tracing = Tracing::new(settings, &Workload::default(), &metrics);
    tracing.set_collector(Some(&Collector::at("http://127.0.0.1:1")));
    tracing
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

/// Trace, span and decision that the next hop reads.
fn next_hop(map: &HeaderMap, formats: Formats) -> (String, SpanId, Option<bool>) {
    let incoming = Incoming::read(map, formats);
    let (trace_id, span_id) = incoming.ids.unwrap();
    (trace_id.to_string(), span_id, incoming.sampled)
}

fn names(map: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn without_a_collector_every_context_passes_untouched() {
    let traceparent = format!("00-{T}-{S}-01");
    for lines in [
        vec![ID],
        vec![ID, ("traceparent", &traceparent), ("tracestate", "a=1"), ("baggage", "k=v")],
        vec![ID, ("traceparent", "nonsense"), ("tracestate", "a=1"), ("b3", "0")],
    ] {
        let metrics = Metrics::default();
        let disabled = Settings { disabled: true, ..Settings::default() };
        let disabled = Tracing::new(disabled, &Workload::default(), &metrics);
        disabled.set_collector(Some(&Collector::at("http://127.0.0.1:1")));
        let away = Tracing::new(Settings::default(), &Workload::default(), &metrics);
        for tracing in [away, disabled] {
            let mut map = headers(&lines);
            let trace = tracing.begin(SpanKind::Client, &mut map, 1.0);
            assert_eq!((map, trace.is_sampled()), (headers(&lines), false));
            let known = lines.iter().any(|(_, value)| *value == traceparent);
            assert_eq!(trace.trace_id().map(|id| id.to_string()), known.then(|| T.to_owned()));
        }
    }
}

#[test]
fn an_unsampled_traceparent_passes_untouched() {
    let traceparent = format!("00-{T}-{S}-00");
    let lines = [ID, ("traceparent", traceparent.as_str()), ("tracestate", "a=1"), ("b3", "1")];
    let mut map = headers(&lines);
    let trace = tracing(Settings::default()).begin(SpanKind::Server, &mut map, 1.0);
    assert_eq!((map, trace.is_sampled()), (headers(&lines), false));
    assert_eq!(trace.trace_id(), TraceId::from_hex(T).ok());
}

#[test]
fn a_trace_is_started_where_there_is_none() {
    for (lines, sampling, sampled) in [
        (vec![ID], 1.0, true),
        (vec![ID], 0.0, false),
        (vec![ID, ("traceparent", "nonsense"), ("tracestate", "a=1")], 1.0, true),
        (vec![ID, ("tracestate", "a=1")], 0.0, false),
    ] {
        let mut map = headers(&lines);
        let trace = tracing(Settings::default()).begin(SpanKind::Server, &mut map, sampling);
        let (trace_id, _, decided) = next_hop(&map, ALL);
        assert_eq!(trace.trace_id().unwrap().to_string(), trace_id);
        assert_eq!((trace.is_sampled(), decided), (sampled, Some(sampled)), "{lines:?}");
        assert_eq!(names(&map), ["traceparent", "x-request-id"], "no state of another trace");
    }
}

#[test]
fn a_sampled_trace_is_taken_up_in_every_format_that_arrived() {
    let (w3c, b3) = (format!("00-{T}-{S}-01"), format!("{T}-{S}-1"));
    let multi =
        [("x-b3-traceid", T), ("x-b3-spanid", S), ("x-b3-sampled", "1"), ("x-b3-parentspanid", S)];
    let multi_out = vec!["traceparent", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid"];
    for (lines, formats, written) in [
        (
            vec![("traceparent", w3c.as_str()), ("tracestate", "a=1")],
            "w",
            vec!["traceparent", "tracestate"],
        ),
        (vec![("b3", b3.as_str())], "ws", vec!["b3", "traceparent"]),
        (
            vec![("b3", b3.as_str()), ("tracestate", "a=1"), ("baggage", "k=v")],
            "ws",
            vec!["b3", "baggage", "traceparent", "tracestate"],
        ),
        (vec![("b3", b3.as_str()), ("traceparent", w3c.as_str())], "ws", vec!["b3", "traceparent"]),
        (multi.to_vec(), "wm", multi_out),
    ] {
        let mut map = headers(&[&lines[..], &[ID]].concat());
        // The share does not matter: the caller has decided.
        let trace = tracing(Settings::default()).begin(SpanKind::Client, &mut map, 0.0);
        assert!(trace.is_sampled(), "{lines:?}");
        assert_eq!(names(&map), [written, vec!["x-request-id"]].concat(), "{lines:?}");
        let mut spans = formats.chars().map(|format| {
            let only = Formats { w3c: format == 'w', b3: format == 's', b3_multi: format == 'm' };
            let (trace_id, span_id, sampled) = next_hop(&map, only);
            assert_eq!((trace_id.as_str(), sampled), (T, Some(true)));
            span_id
        });
        let first = spans.next().unwrap();
        assert!(spans.all(|span| span == first), "one parent in all formats");
        assert_ne!(first.to_string(), S, "the parent is this hop");
    }
}

#[test]
fn an_unsampled_b3_trace_goes_on_unsampled_under_its_own_parent() {
    let b3 = format!("{T}-{S}-0");
    let mut map = headers(&[ID, ("b3", &b3)]);
    let trace = tracing(Settings::default()).begin(SpanKind::Client, &mut map, 1.0);
    let traceparent = format!("00-{T}-{S}-00");
    assert_eq!(map, headers(&[ID, ("b3", &b3), ("traceparent", &traceparent)]));
    assert!(!trace.is_sampled());
}

#[test]
fn a_bare_b3_decision_binds_the_trace_that_is_started() {
    for (b3, sampled) in [("0", false), ("1", true), ("d", true)] {
        let mut map = headers(&[ID, ("b3", b3)]);
        // The share says the opposite.
        let share = if sampled { 0.0 } else { 1.0 };
        let trace = tracing(Settings::default()).begin(SpanKind::Client, &mut map, share);
        assert_eq!(trace.is_sampled(), sampled);
        let state = map["b3"].to_str().unwrap().rsplit('-').next().unwrap();
        assert_eq!(state, b3, "debug stays debug");
    }
}

#[test]
fn the_environments_sampler_goes_before_the_meshs_share() {
    let sampler = |parent_based, ratio| {
        let sampler = Sampler { parent_based, ratio };
        tracing(Settings { sampler, ..Settings::default() })
    };
    let (yes, no) = (format!("00-{T}-{S}-01"), format!("00-{T}-{S}-00"));
    for (parent_based, ratio, parent, share, sampled) in [
        (true, None, None, 1.0, true),
        (true, Some(0.0), None, 1.0, false),
        (true, Some(1.0), None, 0.0, true),
        (true, Some(0.0), Some(&yes), 1.0, true),
        (true, Some(1.0), Some(&no), 1.0, false),
        (false, Some(1.0), Some(&no), 0.0, true),
        (false, Some(0.0), Some(&yes), 1.0, false),
    ] {
        let mut map = HeaderMap::new();
        map.extend(parent.map(|p| (HeaderName::from_static("traceparent"), p.parse().unwrap())));
        let trace = sampler(parent_based, ratio).begin(SpanKind::Client, &mut map, share);
        assert_eq!(trace.is_sampled(), sampled, "{parent_based} {ratio:?} {parent:?} {share}");
        assert_eq!(next_hop(&map, ALL).2, Some(sampled));
    }
}

#[test]
fn propagators_of_the_environment_are_the_only_ones() {
    let b3 = Formats { b3: true, ..Formats::default() };
    let settings = Settings { formats: b3, always_written: b3, ..Settings::default() };
    let traceparent = format!("00-{T}-{S}-01");
    let mut map = headers(&[ID, ("traceparent", &traceparent)]);
    let _ = tracing(settings).begin(SpanKind::Client, &mut map, 1.0);
    assert_eq!(map["traceparent"], traceparent);
    assert_ne!(next_hop(&map, b3).0, T);
}

#[test]
fn a_request_id_is_kept_or_made() {
    let tracing = tracing(Settings::default());
    let mut map = headers(&[ID]);
    let _ = tracing.begin(SpanKind::Server, &mut map, 0.0);
    assert_eq!(map["x-request-id"], "given");
    let made: Vec<_> = (0..2)
        .map(|_| {
            let mut map = HeaderMap::new();
            let _ = tracing.begin(SpanKind::Server, &mut map, 0.0);
            assert!(map["x-request-id"].is_sensitive(), "it goes into a table");
            map["x-request-id"].to_str().unwrap().to_owned()
        })
        .collect();
    assert_ne!(made[0], made[1]);
    let shape =
        regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
    assert!(shape.unwrap().is_match(&made[0]), "{}", made[0]);
}

#[test]
fn every_attempt_is_the_parent_of_what_it_caused() {
    let tracing = tracing(Settings::default());
    let b3 = format!("{T}-{S}-1");
    let mut first = headers(&[("b3", &b3), ("tracestate", "a=1")]);
    let mut trace = tracing.begin(SpanKind::Client, &mut first, 1.0);
    let mut second = first.clone();
    trace.over(&end());
    trace.retry(&mut second, 1);
    assert_eq!(names(&first), names(&second));
    for formats in [Formats { w3c: true, ..Formats::default() }, Formats { w3c: false, ..ALL }] {
        let (one, two) = (next_hop(&first, formats), next_hop(&second, formats));
        assert_eq!((&one.0, one.2), (&two.0, two.2));
        assert_ne!(one.1, two.1);
    }
    assert_eq!(tracing.counts().started, 2);

    let traceparent = format!("00-{T}-{S}-00");
    let mut unsampled = headers(&[ID, ("traceparent", &traceparent)]);
    let mut trace = tracing.begin(SpanKind::Client, &mut unsampled, 1.0);
    let before = unsampled.clone();
    trace.over(&end());
    trace.retry(&mut unsampled, 1);
    assert_eq!(unsampled, before);
}

#[test]
fn the_share_is_kept_and_every_proxy_decides_alike() {
    let ids: Vec<TraceId> = (0..20_000).map(|_| super::new_trace_id()).collect();
    let count = |share| ids.iter().filter(|id| is_in_share(**id, share)).count();
    assert_eq!((count(0.0), count(1.0), count(7.0)), (0, ids.len(), ids.len()));
    // 20,000 draws at a quarter: 5,000, standard deviation 61.
    assert!((4_600..5_400).contains(&count(0.25)), "{}", count(0.25));
    assert!(ids.iter().all(|id| !is_in_share(*id, 0.25) || is_in_share(*id, 0.5)));
}
