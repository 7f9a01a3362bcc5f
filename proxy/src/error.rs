//! The one error of the request path. It says whose fault a failure is, what the client is told, and whether
//! the request may be tried again; `outbound` and `inbound` turn it into a response at their border, the
//! only places that do.
//!
//! [`Token`] is the stable word for a failure: the same in `Proxy-Status`, access log, span and metric.
//! Every `match` over it is exhaustive, so that a new failure has to choose its answers.

mod token;

use http::header::{HeaderName, HeaderValue};
use weft_proto::origin::Origin;

pub use token::{Fault, Token};

/// A request or connection that could not be served.
#[derive(Debug)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    token: Token,
    /// Certain that the application never saw the request.
    unprocessed: bool,
    message: String,
    origin: Option<Origin>,
    /// The rule that denies, or `none`.
    denied_by: Option<Box<str>>,
    /// A word for what exactly it was, of those that have one.
    reason: Option<&'static str>,
    /// What the answer says besides.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// May the request be sent again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The application never saw it: any method.
    Safe,
    /// The application may have seen it: idempotent methods only.
    IfIdempotent,
    /// Trying again would give the same answer, or nobody waits for one.
    Never,
}

impl Error {
    /// A failure after which the application may have seen the request.
    pub fn new(token: Token, message: impl Into<String>) -> Self {
        let (message, headers) = (message.into(), Vec::new());
        let (unprocessed, origin, denied_by, reason) = (false, None, None, None);
        let detail = Detail { token, unprocessed, message, origin, denied_by, reason, headers };
        Self(Box::new(detail))
    }

    /// A failure that surely happened before the application saw a byte of the request.
    pub fn unprocessed(token: Token, message: impl Into<String>) -> Self {
        let mut error = Self::new(token, message);
        error.0.unprocessed = true;
        error
    }

    /// Names the object that caused it, unless one is named already.
    #[must_use]
    pub fn caused_by(mut self, origin: &Origin) -> Self {
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Names the rule about access that denies it, or says `none` where no rule allows it.
    #[must_use]
    pub fn denied_by(mut self, rule: &str) -> Self {
        self.0.denied_by = Some(rule.into());
        self
    }

    /// Says in a word what exactly it was, where its token says less: why a certificate was refused, which limit of time
    /// is over.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Option<&'static str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// That word.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.0.reason
    }

    /// In words, without the token.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Who denied it and why, where rules about access did.
    #[must_use]
    pub fn denial(&self) -> Option<(&str, &str)> {
        Some((self.0.denied_by.as_deref()?, &self.0.message))
    }

    /// The answer to the client has this header too.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Further headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The stable word.
    #[must_use]
    pub fn token(&self) -> Token {
        self.0.token
    }

    /// The object that caused it.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }

    /// Did it surely happen before the application saw a byte of the request?
    #[must_use]
    pub fn is_unprocessed(&self) -> bool {
        self.0.unprocessed
    }

    /// May the request be sent again?
    #[must_use]
    pub fn replay(&self) -> Replay {
        // What was shed would only come back to the same limit.
        if matches!(self.0.token, Token::RequestLimitReached | Token::PendingLimitReached) {
            return Replay::Never;
        }
        match self.0.token.fault() {
            Fault::Downstream => Replay::Never,
            Fault::Local if !self.0.unprocessed => Replay::Never,
            Fault::Local | Fault::Upstream if self.0.unprocessed => Replay::Safe,
            Fault::Local | Fault::Upstream => Replay::IfIdempotent,
        }
    }

    /// `Proxy-Status` (RFC 9209): `weft; error=connection_refused; details="…"`.
    #[must_use]
    pub fn proxy_status(&self) -> HeaderValue {
        let mut details = String::new();
        if let Some(origin) = &self.0.origin {
            details = format!("{origin}: ");
        }
        details.push_str(&self.0.message);
        // A quoted string of RFC 8941 holds printable ASCII; quotes and backslashes are escaped.
        let mut quoted = String::with_capacity(details.len());
        for c in details.chars().take(512) {
            match c {
                '"' | '\\' => quoted.extend(['\\', c]),
                ' '..='~' => quoted.push(c),
                _ => quoted.push('?'),
            }
        }
        HeaderValue::try_from(format!("weft; error={}; details=\"{quoted}\"", self.0.token))
            .unwrap_or_else(|_| HeaderValue::from_static("weft"))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.token, self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
