//! OpenTelemetry's words for what metrics and spans say of a request: methods, versions of HTTP, codes of gRPC, and what
//! went wrong. Everything here has few values, whatever a client sends.

use std::borrow::Cow;

use http::{Method, Version};

use super::metrics::{Direction, is_server_fault};
use crate::error::Token;

/// How a call of gRPC ended, as a label. So in releases 1.39 to 1.44 of the conventions; their main branch has renamed it
/// to `rpc.status_code`.
pub(crate) const RPC_STATUS_LABEL: &str = "rpc_response_status_code";

/// A method that the conventions name, or any other. One byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb(u8);

/// In the order of [`Verb`].
const VERBS: [&str; 10] =
    ["_OTHER", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE"];

/// In the order of [`version_number`].
const VERSIONS: [&str; 3] = ["1.1", "2", "1.0"];

impl Verb {
    /// Methods that the conventions do not name are one.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        let text = method.as_str();
        let known = (1..).zip(&VERBS[1..]).find(|(_, verb)| **verb == text);
        Self(known.map_or(0, |(number, _)| number))
    }

    /// Do the conventions name it?
    pub(super) fn is_known(self) -> bool {
        self.0 != 0
    }

    /// As a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        VERBS[usize::from(self.0)]
    }

    pub(super) fn number(self) -> u32 {
        self.0.into()
    }

    /// The one of [`Self::number`]; of what is none, any other.
    pub(super) fn from_number(number: u32) -> Self {
        Self(
            u8::try_from(number)
                .ok()
                .filter(|number| usize::from(*number) < VERBS.len())
                .unwrap_or(0),
        )
    }
}

/// A small number for a version of HTTP.
pub(super) fn version_number(version: Version) -> u32 {
    match version {
        Version::HTTP_2 => 1,
        Version::HTTP_10 => 2,
        _ => 0,
    }
}

/// A version of HTTP as a word.
pub(super) fn version(version: Version) -> &'static str {
    version_text(version_number(version))
}

/// The version of that number, as a label.
pub(super) fn version_text(number: u32) -> &'static str {
    VERSIONS.get(number as usize).copied().unwrap_or_default()
}

/// Codes of gRPC by number.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Name of a code of gRPC; `None` of what is none.
pub(super) fn grpc_name(code: u16) -> Option<&'static str> {
    GRPC_CODES.get(usize::from(code)).copied()
}

/// As a label: what is no code has one name altogether.
pub(super) fn grpc_code(code: u16) -> &'static str {
    grpc_name(code).unwrap_or("_OTHER")
}

/// What went wrong, in one stable word: this proxy's token; else the code of gRPC or HTTP. The receiver's side calls only
/// that an error which is the server's fault; the caller's, whatever it did not want to hear.
pub(super) fn error_type(
    direction: Direction,
    status: u16,
    grpc: Option<u16>,
    error: Option<Token>,
) -> Cow<'static, str> {
    if let Some(token) = error {
        return token.as_str().into();
    }
    let (least, failed) = match direction {
        Direction::Outbound => (400, grpc.is_some_and(|code| code != 0)),
        Direction::Inbound => (500, grpc.is_some_and(is_server_fault)),
    };
    match grpc {
        Some(code) if failed => grpc_code(code).into(),
        _ if status >= least => status.to_string().into(),
        _ => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_one() {
        for (method, expected) in [
            (Method::GET, "GET"),
            (Method::TRACE, "TRACE"),
            (Method::from_bytes(b"get").unwrap(), "_OTHER"),
            (Method::from_bytes(b"BREW").unwrap(), "_OTHER"),
        ] {
            let verb = Verb::of(&method);
            assert_eq!(verb.as_str(), expected);
            assert_eq!(Verb::from_number(verb.number()), verb);
        }
        assert_eq!(Verb::from_number(200).as_str(), "_OTHER");
    }

    #[test]
    fn versions_and_codes_have_names() {
        let text = |version| version_text(version_number(version));
        assert_eq!(text(Version::HTTP_10), "1.0");
        assert_eq!(text(Version::HTTP_11), "1.1");
        assert_eq!(text(Version::HTTP_2), "2");
        assert_eq!((grpc_code(4), grpc_code(17)), ("DEADLINE_EXCEEDED", "_OTHER"));
    }

    #[test]
    fn what_went_wrong_is_said_as_each_side_sees_it() {
        use Direction::{Inbound, Outbound};
        let refused = Some(Token::ConnectionRefused);
        for (direction, status, grpc, error, expected) in [
            (Outbound, 200, None, None, ""),
            (Outbound, 404, None, None, "404"),
            (Inbound, 404, None, None, ""),
            (Inbound, 500, None, None, "500"),
            (Outbound, 200, Some(5), None, "NOT_FOUND"),
            (Inbound, 200, Some(5), None, ""),
            (Inbound, 200, Some(13), None, "INTERNAL"),
            (Outbound, 503, None, refused, "connection_refused"),
            (Outbound, 200, Some(14), refused, "connection_refused"),
        ] {
            assert_eq!(error_type(direction, status, grpc, error), expected);
        }
    }
}
