//! Retry or not: a pure decision, tested as a table.

use http::{Method, StatusCode};

use crate::error::{Error, Replay, Token};
use crate::model::{RetryOn, RetryPolicy};

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// With a response head.
    Status(StatusCode),
    /// With a response of the other sidecar that says: the application never saw it.
    Unprocessed,
    /// With a response of the other sidecar that says: its connection to the application broke.
    Broken,
    /// Without a response.
    Failed(&'a Error),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again.
    Retry,
    /// This is the answer.
    Return,
}

/// `retries` is the number of retries already made.
#[must_use]
pub fn decide(
    policy: &RetryPolicy,
    method: &Method,
    retries: u32,
    outcome: &Outcome<'_>,
) -> Verdict {
    if retries >= policy.attempts {
        return Verdict::Return;
    }
    let wanted = match outcome {
        Outcome::Unprocessed => true,
        Outcome::Broken => {
            is_idempotent(method) && asks_for_failure(policy, Token::ConnectionTerminated)
        }
        Outcome::Status(status) => is_idempotent(method) && asks_for_status(policy, *status),
        Outcome::Failed(error) => match error.replay() {
            Replay::Safe => true,
            Replay::Never => false,
            Replay::IfIdempotent => {
                is_idempotent(method) && asks_for_failure(policy, error.token())
            }
        },
    };
    if wanted { Verdict::Retry } else { Verdict::Return }
}

/// RFC 9110 §9.2.2. Unknown methods are not.
#[must_use]
pub fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}

fn asks_for_status(policy: &RetryPolicy, status: StatusCode) -> bool {
    policy.on.iter().any(|condition| match condition {
        RetryOn::Reset => false,
        RetryOn::GatewayError => matches!(status.as_u16(), 502..=504),
        RetryOn::ServerError => status.is_server_error(),
        RetryOn::Status(wanted) => *wanted == status,
    })
}

/// A connection that broke on an idempotent request is retried without being asked: a keep-alive connection
/// may end at any time, and the client of a mesh must not see it (RFC 9112 §9.3.1 lets a client do the same).
fn asks_for_failure(policy: &RetryPolicy, token: Token) -> bool {
    token == Token::ConnectionTerminated
        || policy.on.iter().any(|condition| match condition {
            RetryOn::Reset | RetryOn::GatewayError | RetryOn::ServerError => true,
            RetryOn::Status(_) => false,
        })
}

#[cfg(test)]
mod tests;
