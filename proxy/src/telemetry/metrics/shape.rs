//! What the conventions tell requests of one edge apart by, in one number, so that finding the counters of a request is
//! a comparison. Pure.

use std::borrow::Cow;

use super::Observation;
use super::table::Direction;
use crate::error::Token;
use crate::telemetry::conventions::{self, Verb};

/// Statuses beyond these are none.
const STATUSES: std::ops::Range<u16> = 100..600;

/// A code of gRPC that there is none of.
const NO_CODE: u32 = 31;
/// Any code that gRPC does not have.
const ODD_CODE: u32 = 17;

/// Method, version, status, what went wrong, and how a call of gRPC ended. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape(u32);

/// From the lowest bit: method 4, version 2, status 10, token 6, gRPC 1, its code 5; the highest bit is set.
const METHOD: Field = Field { at: 0, bits: 4 };
const VERSION: Field = Field { at: 4, bits: 2 };
const STATUS: Field = Field { at: 6, bits: 10 };
const TOKEN: Field = Field { at: 16, bits: 6 };
const GRPC: Field = Field { at: 22, bits: 1 };
const CODE: Field = Field { at: 23, bits: 5 };
const SET: u32 = 1 << 31;

/// Every token has a number that is not 0.
const _: () = assert!(Token::ALL.len() < 1 << TOKEN.bits);

struct Field {
    at: u32,
    bits: u32,
}

impl Field {
    fn put(&self, value: u32) -> u32 {
        value << self.at
    }

    fn get(&self, shape: Shape) -> u32 {
        (shape.0 >> self.at) & ((1 << self.bits) - 1)
    }
}

impl Shape {
    /// Of a finished request.
    pub(super) fn of(request: &Observation) -> Self {
        let status = if STATUSES.contains(&request.status) { request.status } else { 0 };
        let code = match request.grpc_status {
            Some(code) => u32::from(code).min(ODD_CODE),
            None => NO_CODE,
        };
        Self(
            SET | METHOD.put(request.method.number())
                | VERSION.put(conventions::version_number(request.version))
                | STATUS.put(status.into())
                | TOKEN.put(request.error.map_or(0, |token| token as u32 + 1))
                | GRPC.put(request.grpc.into())
                | CODE.put(code),
        )
    }

    /// The one that was stored as a number; `None` if nothing was.
    pub(super) fn from_stored(stored: u32) -> Option<Self> {
        (stored & SET != 0).then_some(Self(stored))
    }

    /// As a number that is not 0.
    pub(super) fn to_stored(self) -> u32 {
        self.0
    }

    pub(super) fn method(self) -> &'static str {
        Verb::from_number(METHOD.get(self)).as_str()
    }

    pub(super) fn version(self) -> &'static str {
        conventions::version_text(VERSION.get(self))
    }

    /// 0 if there was none.
    fn status(self) -> u16 {
        u16::try_from(STATUS.get(self)).unwrap_or(0)
    }

    /// Empty if there was none.
    pub(super) fn status_text(self) -> String {
        match self.status() {
            0 => String::new(),
            status => status.to_string(),
        }
    }

    pub(super) fn is_grpc(self) -> bool {
        GRPC.get(self) != 0
    }

    fn code(self) -> Option<u16> {
        u16::try_from(CODE.get(self)).ok().filter(|code| u32::from(*code) != NO_CODE)
    }

    /// Name of the code of gRPC; empty if there was none.
    pub(super) fn code_text(self) -> &'static str {
        self.code().map_or("", conventions::grpc_code)
    }

    /// As that side sees it; empty if nothing was wrong.
    pub(super) fn error_type(self, direction: Direction) -> Cow<'static, str> {
        let token = (TOKEN.get(self) as usize).checked_sub(1);
        let token = token.and_then(|index| Token::ALL.get(index).copied());
        conventions::error_type(direction, self.status(), self.code(), token)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{Method, Version};

    use super::*;

    fn request() -> Observation {
        Observation {
            method: Verb::of(&Method::GET),
            version: Version::HTTP_11,
            grpc: false,
            status: 200,
            grpc_status: None,
            duration: Duration::ZERO,
            retries: 0,
            mtls: true,
            error: None,
            fallback: false,
        }
    }

    /// Method, version, status, is it gRPC, its code, what went wrong.
    fn read(
        request: &Observation,
    ) -> (&'static str, &'static str, String, bool, &'static str, String) {
        let shape = Shape::of(request);
        assert_eq!(Shape::from_stored(shape.to_stored()), Some(shape));
        (
            shape.method(),
            shape.version(),
            shape.status_text(),
            shape.is_grpc(),
            shape.code_text(),
            shape.error_type(Direction::Outbound).into_owned(),
        )
    }

    #[test]
    fn what_goes_in_comes_out() {
        let plain = request();
        assert_eq!(read(&plain), ("GET", "1.1", "200".into(), false, "", String::new()));
        let call = Observation {
            method: Verb::of(&Method::POST),
            version: Version::HTTP_2,
            grpc: true,
            grpc_status: Some(16),
            ..plain
        };
        let code = "UNAUTHENTICATED";
        assert_eq!(read(&call), ("POST", "2", "200".into(), true, code, code.into()));
        for token in Token::ALL {
            let failed = Observation { error: Some(*token), ..plain };
            assert_eq!(read(&failed).5, token.as_str());
        }
    }

    #[test]
    fn odd_values_have_no_end_of_shapes() {
        let odd = |status| Shape::of(&Observation { status, ..request() });
        assert_eq!(odd(0), odd(99));
        assert_eq!(odd(600), odd(u16::MAX));
        assert_eq!(odd(0).status_text(), "");
        let code = |code| Shape::of(&Observation { grpc_status: Some(code), ..request() });
        assert_eq!(code(17), code(u16::MAX));
        assert_ne!(code(17), Shape::of(&request()));
        assert_eq!(Shape::from_stored(0), None);
    }
}
