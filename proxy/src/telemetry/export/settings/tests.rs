//! Each variable, what it changes, and what is said of values that cannot be heeded.

use std::time::Duration;

use super::{Batch, Collector, Otlp, Protocol, Tls};

fn read(vars: &[(&str, &str)]) -> (Option<Otlp>, Vec<String>) {
    let mut problems = Vec::new();
    let read = |name: &str| {
        vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let otlp = Otlp::read(("TRACES", "OTEL_BSP"), Batch::default(), &read, &mut problems);
    (otlp, problems)
}

fn good(vars: &[(&str, &str)]) -> Otlp {
    let (otlp, problems) = read(vars);
    assert_eq!(problems, [""; 0], "{vars:?}");
    otlp.unwrap()
}

#[test]
fn the_kinds_own_endpoint_goes_first_and_is_taken_as_it_is() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317/x");
    let other = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4317");
    let collector = |endpoint: &str, exact| Collector { exact, ..Collector::at(endpoint) };
    assert_eq!(good(&[]), Otlp::default());
    assert_eq!(good(&[all]).collector, Some(collector("http://all:4317", false)));
    assert_eq!(good(&[all, traces]).collector, Some(collector("http://traces:4317/x", true)));
    assert_eq!(good(&[other]).collector, None);
}

#[test]
fn protocols() {
    let all = |word| ("OTEL_EXPORTER_OTLP_PROTOCOL", word);
    let own = |word| ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", word);
    assert_eq!(good(&[all("http/protobuf")]).protocol, Some(Protocol::HttpProtobuf));
    assert_eq!(good(&[all("http/protobuf"), own("grpc")]).protocol, Some(Protocol::Grpc));
    let (otlp, problems) = read(&[all("http/json")]);
    assert_eq!((otlp, problems.len()), (None, 1), "another way is none");
}

#[test]
fn what_an_endpoint_speaks_that_does_not_say() {
    for (endpoint, usual, expected) in [
        ("http://otel:4317", None, Protocol::Grpc),
        ("http://otel:4318", None, Protocol::HttpProtobuf),
        ("http://otel:4318/", Some(Protocol::Grpc), Protocol::Grpc),
        ("https://otel/otlp", None, Protocol::HttpProtobuf),
        ("https://otel/", None, Protocol::Grpc),
    ] {
        assert_eq!(Collector::at(endpoint).protocol_of(usual), expected, "{endpoint}");
    }
}

#[test]
fn certificates_and_keys_are_files() {
    let all = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/ca.pem");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/etc/traces.pem");
    let client = [
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/etc/us.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/etc/us.key"),
    ];
    assert_eq!(good(&[all]).tls.authorities, Some("/etc/ca.pem".into()));
    let Tls { authorities, certificate, key } = good(&[all, own, client[0], client[1]]).tls;
    assert_eq!(
        (authorities, certificate, key),
        (Some("/etc/traces.pem".into()), Some("/etc/us.pem".into()), Some("/etc/us.key".into()))
    );
}

#[test]
fn headers_and_the_limit_of_time() {
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x-tenant=shop");
    let otlp = good(&[headers, ("OTEL_EXPORTER_OTLP_TIMEOUT", "250")]);
    assert_eq!(
        (&otlp.headers["api-key"], &otlp.headers["x-tenant"]),
        (&"a b".parse().unwrap(), &"shop".parse().unwrap())
    );
    assert_eq!(otlp.timeout, Duration::from_millis(250));
    let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x=1");
    assert!(!good(&[headers, own]).headers.contains_key("api-key"));
    for wrong in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ] {
        let (otlp, problems) = read(&[wrong]);
        assert_eq!((otlp.unwrap(), problems.len()), (Otlp::default(), 1), "{wrong:?}");
        assert!(!problems[0].contains("secret"), "{problems:?}");
    }
}

#[test]
fn batches() {
    let (otlp, problems) = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "soon"),
    ]);
    let expected = Batch {
        queue: 100,
        size: 100,
        delay: Duration::from_millis(250),
        timeout: Duration::from_secs(30),
    };
    assert_eq!((otlp.unwrap().batch, problems.len()), (expected, 1));
    assert_eq!(read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")]).0.unwrap().batch, Batch::default());
}
