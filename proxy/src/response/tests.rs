//! What clients are told in the protocol that they speak.

use super::*;

fn grpc(response: &Response<Body>) -> (u16, &str, &str) {
    let text =
        |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), text("content-type"), text("grpc-status"))
}

#[test]
fn a_grpc_client_is_told_its_own_codes() {
    for (token, code) in [
        (Token::RouteNotFound, "12"),
        (Token::BackendInvalid, "14"),
        (Token::DestinationUnavailable, "14"),
        (Token::ConnectionRefused, "14"),
        (Token::ResponseTimeout, "4"),
        (Token::RequestDenied, "7"),
        (Token::RateLimited, "8"),
        (Token::RequestError, "13"),
    ] {
        let answer = failed(&Error::new(token, "x"), true, Version::Http2);
        assert_eq!(grpc(&answer), (200, "application/grpc", code), "{token}");
        assert!(answer.headers().contains_key("proxy-status"));
        assert_eq!(failed(&Error::new(token, "x"), false, Version::Http1).status(), token.status());
    }
}

#[test]
fn a_bare_status_is_one_of_grpc_to_a_grpc_client() {
    for (status, code) in
        [(400, "13"), (401, "16"), (403, "7"), (404, "12"), (429, "14"), (503, "14"), (500, "2")]
    {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(grpc(&bare(status, true)), (200, "application/grpc", code), "{status}");
        assert_eq!(grpc(&bare(status, false)), (status.as_u16(), "", ""));
    }
}
