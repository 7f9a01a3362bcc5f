//! Retry or not: a pure decision, tested as a table.

use http::{Method, StatusCode};

use crate::error::{Error, Replay, Token};
use crate::model::{RetryOn, RetryPolicy};
use crate::response::grpc_status;

/// What the decision needs to know of the request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Method.
    pub method: &'a Method,
    /// Is it a gRPC call?
    pub grpc: bool,
    /// Retries already made.
    pub retries: u32,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// With a response head: its status, and the code of gRPC if it has one.
    Answered(StatusCode, Option<u16>),
    /// With a response of the other sidecar that says: the application never saw it.
    Unprocessed,
    /// With a response of the other sidecar that says: its connection to the application broke.
    Broken,
    /// With a response of the other sidecar that says: further on it was tried often enough.
    Exhausted,
    /// Without a response.
    Failed(&'a Error),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it again.
    Retry,
    /// It would be sent again, had it not been tried often enough, here or further on. Those before us should not
    /// try either.
    Exhausted,
    /// This is the answer.
    Return,
}

/// Decides.
#[must_use]
pub fn decide(policy: &RetryPolicy, request: &Facts<'_>, outcome: &Outcome<'_>) -> Verdict {
    if matches!(outcome, Outcome::Exhausted) {
        return Verdict::Exhausted;
    }
    // Nobody here retries anything: others may.
    if policy.attempts == 0 || !is_wanted(policy, request, outcome) {
        return Verdict::Return;
    }
    if request.retries < policy.attempts { Verdict::Retry } else { Verdict::Exhausted }
}

fn is_wanted(policy: &RetryPolicy, request: &Facts<'_>, outcome: &Outcome<'_>) -> bool {
    let idempotent = || is_idempotent(request.method);
    let grpc = |code: u16| request.grpc && policy.on.contains(&RetryOn::Grpc(code));
    let failed =
        |token: Token| idempotent() && asks_for_failure(policy, token) || grpc(grpc_status(token));
    match outcome {
        Outcome::Unprocessed => true,
        Outcome::Exhausted => false,
        Outcome::Broken => failed(Token::ConnectionTerminated),
        Outcome::Answered(status, code) => {
            idempotent() && asks_for_status(policy, *status) || code.is_some_and(grpc)
        }
        Outcome::Failed(error) => match error.replay() {
            Replay::Safe => true,
            Replay::Never => false,
            Replay::IfIdempotent => failed(error.token()),
        },
    }
}

/// RFC 9110 §9.2.2. Unknown methods are not.
#[must_use]
pub fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}

fn asks_for_status(policy: &RetryPolicy, status: StatusCode) -> bool {
    policy.on.iter().any(|condition| match condition {
        RetryOn::Reset | RetryOn::Grpc(_) => false,
        RetryOn::GatewayError => matches!(status.as_u16(), 502..=504),
        RetryOn::ServerError => status.is_server_error(),
        RetryOn::Status(wanted) => *wanted == status,
    })
}

/// A connection that broke on an idempotent request is retried without being asked: a keep-alive connection
/// may end at any time, and the client of a mesh must not see it (RFC 9112 §9.3.1 lets a client do the same).
fn asks_for_failure(policy: &RetryPolicy, token: Token) -> bool {
    matches!(token, Token::ConnectionTerminated | Token::KeepAliveRace)
        || policy.on.iter().any(|condition| match condition {
            RetryOn::Reset | RetryOn::GatewayError | RetryOn::ServerError => true,
            RetryOn::Status(_) | RetryOn::Grpc(_) => false,
        })
}

#[cfg(test)]
mod tests;
