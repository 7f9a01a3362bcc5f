//! What a prober may ask for.

use http::Request;

use super::check;
use crate::model::Probes;

fn allowed(method: &str, uri: &str, content_type: &str) -> bool {
    let paths = vec!["/healthz".to_owned(), "/grpc.health.v1.Health/Check".to_owned()];
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("content-type", content_type).body(()).unwrap();
    check(&Probes { paths, port: false }, &request).is_ok()
}

#[test]
fn the_list_to_the_letter_and_nothing_else() {
    let grpc = "application/grpc";
    for (method, uri, content_type, expected) in [
        ("GET", "/healthz", "", true),
        ("GET", "/healthz/", "", false),
        ("GET", "/healthz?all=1", "", false),
        ("GET", "/HEALTHZ", "", false),
        ("GET", "/", "", false),
        ("POST", "/healthz", "", false),
        ("DELETE", "/healthz", "", false),
        ("POST", "/grpc.health.v1.Health/Check", grpc, true),
        ("POST", "/grpc.health.v1.Health/Check", "text/plain", false),
        ("POST", "/grpc.health.v1.Health/Watch", grpc, false),
    ] {
        assert_eq!(allowed(method, uri, content_type), expected, "{method} {uri} {content_type}");
    }
}
