//! Histograms of durations as OpenTelemetry's conventions name and label them, in Prometheus' form: requests of HTTP, and
//! calls of gRPC among them once more. Runs at a scrape.
//!
//! A label without a value is left out: to Prometheus that is the same, and most requests have no error.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Histogram, LabelPair, Metric};

use super::durations::Read;
use super::edge::BOUNDS;
use super::gather::{Families, labels, seconds};
use super::names::{self, Description};
use super::room::Other;
use super::shape::Shape;
use super::table::{Direction, EdgeKey, OTHER, Row};

/// As the application sees it: TLS is between the sidecars.
const SCHEME: &str = "http";

/// Histograms by the values of their labels.
type Labelled = BTreeMap<Vec<String>, Read>;

/// Those of rows that are the same edge but for their path patterns.
pub(super) fn of_edges(families: &mut Families, rows: &[Row]) {
    let (mut requests, mut calls) = (Labelled::new(), Labelled::new());
    let Some(direction) = rows.first().map(|row| row.key.direction) else { return };
    for row in rows.iter().filter(|row| !row.idle) {
        for (shape, read) in row.edge.durations() {
            requests.entry(of_request(&row.key, shape)).or_default().add(&read);
            if shape.is_grpc() {
                calls.entry(of_call(&row.key, shape)).or_default().add(&read);
            }
        }
    }
    let (requests_what, calls_what) = names_of(direction);
    push(families, requests_what, &requests);
    push(families, calls_what, &calls);
}

/// Those of what found no room.
pub(super) fn of_others(families: &mut Families, direction: Direction, other: &Other) {
    let (requests, calls) = names_of(direction);
    for (what, durations) in [(requests, &other.requests), (calls, &other.calls)] {
        let values = what.labels.iter().map(|label| match *label {
            "peer" | "http_request_method" | "rpc_method" => OTHER.to_owned(),
            _ => String::new(),
        });
        push(families, what, &Labelled::from([(values.collect(), durations.read())]));
    }
}

fn names_of(direction: Direction) -> (&'static Description, &'static Description) {
    match direction {
        Direction::Outbound => (names::CLIENT_DURATION, names::CALL_CLIENT_DURATION),
        Direction::Inbound => (names::SERVER_DURATION, names::CALL_SERVER_DURATION),
    }
}

fn push(families: &mut Families, what: &Description, labelled: &Labelled) {
    for (values, read) in labelled.iter().filter(|(_, read)| read.count() > 0) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut labels: Vec<LabelPair> = labels(what, &values);
        labels.retain(|pair| !pair.value().is_empty());
        let mut metric = Metric::from_label(labels);
        metric.set_histogram(histogram(read));
        families.push(what, metric);
    }
}

/// In the order of the description.
fn of_request(key: &EdgeKey, shape: Shape) -> Vec<String> {
    let error = shape.error_type(key.direction).into_owned();
    let (method, version) = (shape.method().to_owned(), shape.version().to_owned());
    match key.direction {
        Direction::Outbound => {
            let (address, port) = address(key);
            let route = key.http_route.clone();
            let head = [method, shape.status_text(), error, route, version, address, port];
            head.into_iter().chain(own(key)).collect()
        }
        Direction::Inbound => {
            let scheme = SCHEME.to_owned();
            vec![method, shape.status_text(), error, version, scheme, key.peer.clone()]
        }
    }
}

/// In the order of the description.
fn of_call(key: &EdgeKey, shape: Shape) -> Vec<String> {
    let error = shape.error_type(key.direction).into_owned();
    let (system, code) = ("grpc".to_owned(), shape.code_text().to_owned());
    match key.direction {
        Direction::Outbound => {
            let (address, port) = address(key);
            let method = method_of(&key.http_route).unwrap_or_default().to_owned();
            [system, method, code, error, address, port].into_iter().chain(own(key)).collect()
        }
        Direction::Inbound => vec![system, code, error, key.peer.clone()],
    }
}

fn own(key: &EdgeKey) -> [String; 3] {
    [key.peer.clone(), key.route.clone(), key.backend.clone()]
}

/// Address and port of a Service port; of what is none, its name.
fn address(key: &EdgeKey) -> (String, String) {
    let (name, port) = key.peer.rsplit_once(':').unwrap_or((&key.peer, ""));
    (name.to_owned(), port.to_owned())
}

/// The method of gRPC that a path pattern is, if it is one and no other.
fn method_of(pattern: &str) -> Option<&str> {
    let method = pattern.strip_prefix('/')?;
    let (service, name) = method.split_once('/')?;
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_')
    };
    (is_word(service) && is_word(name)).then_some(method)
}

fn histogram(read: &Read) -> Histogram {
    let mut cumulative = 0;
    let buckets = BOUNDS.iter().zip(read.buckets).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(*bound));
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(read.count());
    histogram.set_sample_sum(seconds(read.micros));
    histogram
}

#[cfg(test)]
mod tests {
    use super::method_of;

    #[test]
    fn a_method_is_named_where_the_pattern_is_one() {
        for (pattern, expected) in [
            ("/shop.v1.Cart/Add", Some("shop.v1.Cart/Add")),
            ("/shop.v1.Cart/*", None),
            ("/shop.v1.Cart", None),
            ("/shop.v1.Cart/Add/More", None),
            ("/audit\\..*/(Read|Write)", None),
            ("", None),
        ] {
            assert_eq!(method_of(pattern), expected, "{pattern}");
        }
    }
}
