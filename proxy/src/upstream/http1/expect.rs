//! `Expect: 100-continue` (RFC 9110 §10.1.1), on the side that asks. Called by `send`.
//!
//! A body whose sender waits for the server's word is not touched before the next hop has given it: hyper's server
//! says 100 to our own client when, and only when, the body is first asked for. So the word of the application
//! travels back hop by hop, and what it says instead (401, 413, 417) comes while nothing of the body has left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use http::header::EXPECT;
use tokio::time::Sleep;

/// A server may never say 100; a client may then send all the same, after a while. curl waits as long.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that waits.
#[derive(Debug)]
pub(super) struct Held(Pin<Box<Sleep>>);

impl Held {
    /// Ready when it has waited long enough.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// Must the body of a request with these headers wait?
pub(super) fn held(headers: &HeaderMap) -> Option<Held> {
    let expects = headers.get(EXPECT)?.as_bytes().eq_ignore_ascii_case(b"100-continue");
    expects.then(|| Held(Box::pin(tokio::time::sleep(PATIENCE))))
}
