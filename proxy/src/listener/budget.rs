//! What one HTTP/2 connection, and all of them together, may make us hold. HPACK lets one byte stand for a header of
//! kilobytes, so the number of streams bounds nothing (S4, the "HTTP/2 bomb"). Used by `listener::http`; it looks at
//! requests before anything else does, and never at what they mean.
//!
//! Three bounds, in this order: the number of a request's header fields (431), the headers that one connection holds
//! at once, and the memory of all connections of this proxy. Beyond the last a connection that has little goes on
//! being served, so that attackers cannot shut out everybody else.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;

use super::limits::HttpLimits;
use super::wire::Wire;
use crate::body::Body;
use crate::overload::Overload;

/// What a place for a name costs in a header map, one for a further value of the same name, and one in its index.
const ENTRY: usize = 104;
const EXTRA: usize = 72;
const INDEX: usize = 4;
/// A copy of the map is kept for retries; values are shared.
const COPIES: usize = 2;
/// What a stream costs from its beginning to its end, headers apart: its task, its record, its place in the tables of
/// both connections.
pub(super) const STREAM: usize = 4 * 1024;
/// What a piece of data that waits for its client costs at least: a small one is often all that keeps the buffer it was
/// read into. And at most: large ones are those of downloads, and a few hundred slow ones side by side are no attack.
const PIECE: usize = 4 * 1024;
const LARGE_PIECE: usize = 16 * 1024;
/// What a connection may have although all of them together have too much.
const SHARE: usize = 64 * 1024;
/// Beyond so many bytes that were read for it, a request may be all that keeps them.
const PINNED: usize = 2 * 1024;

/// What is held for one connection, and what may be. Bytes.
#[derive(Debug)]
pub(super) struct Account {
    headers: AtomicUsize,
    /// Headers included.
    held: AtomicUsize,
    /// Of all connections.
    all: Arc<AtomicUsize>,
    header_fields: usize,
    of_connection: usize,
    of_all: usize,
    overload: Overload,
}

impl Account {
    pub(super) fn new(limits: &HttpLimits) -> Arc<Self> {
        Arc::new(Self {
            headers: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            all: Arc::clone(&limits.all),
            header_fields: limits.header_fields,
            of_connection: limits.held_headers,
            of_all: limits.memory,
            overload: limits.overload.clone(),
        })
    }

    fn admits(&self, headers: usize) -> bool {
        let load = Load {
            headers: self.headers.load(Relaxed),
            held: self.held.load(Relaxed),
            all: self.all.load(Relaxed),
        };
        // With too little memory left each connection has its share and no more.
        let of_all = if self.overload.is_shedding() { 0 } else { self.of_all };
        load.admits(headers, self.of_connection, of_all)
    }

    /// Has the connection no stream?
    pub(super) fn is_idle(&self) -> bool {
        self.held() == 0
    }

    /// Bytes held for this connection.
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

#[derive(Clone, Copy, Debug)]
struct Load {
    headers: usize,
    held: usize,
    all: usize,
}

impl Load {
    /// May a stream with these headers begin?
    fn admits(self, headers: usize, of_connection: usize, of_all: usize) -> bool {
        let more = headers + STREAM;
        self.headers + headers <= of_connection
            && (self.all + more <= of_all || self.held + more <= SHARE)
    }
}

/// What is held is let go with the value.
#[derive(Debug)]
pub(super) struct Held {
    of: Arc<Account>,
    bytes: usize,
    headers: bool,
}

impl Held {
    /// A stream, for as long as it lasts.
    pub(super) fn stream(of: &Arc<Account>) -> Self {
        Self::take(of, STREAM, false)
    }

    /// A piece of the same stream's data, of so many bytes, for as long as it waits for its client.
    pub(super) fn piece(&self, bytes: usize) -> Self {
        Self::take(&self.of, bytes.clamp(PIECE, LARGE_PIECE), false)
    }

    /// Another piece waits in place of this one.
    pub(super) fn next_piece(&mut self, bytes: usize) {
        *self = self.piece(bytes);
    }

    fn take(of: &Arc<Account>, bytes: usize, headers: bool) -> Self {
        if headers {
            of.headers.fetch_add(bytes, Relaxed);
        }
        of.held.fetch_add(bytes, Relaxed);
        of.all.fetch_add(bytes, Relaxed);
        Self { of: Arc::clone(of), bytes, headers }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.headers {
            self.of.headers.fetch_sub(self.bytes, Relaxed);
        }
        self.of.held.fetch_sub(self.bytes, Relaxed);
        self.of.all.fetch_sub(self.bytes, Relaxed);
    }
}

/// A service that takes requests as long as their headers fit.
#[derive(Debug)]
pub(super) struct Budgeted<S> {
    service: S,
    account: Arc<Account>,
    wire: Arc<Wire>,
}

impl<S> Budgeted<S> {
    pub(super) fn new(service: S, account: Arc<Account>, wire: Arc<Wire>) -> Self {
        Self { service, account, wire }
    }
}

impl<S> Service<Request<Incoming>> for Budgeted<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    /// With a reason, by which hyper resets the stream.
    type Error = h2::Error;
    type Future = Served<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let read = self.wire.take_read();
        // Order: what is refused is let go before the next stream is looked at.
        if request.headers().len() > self.account.header_fields {
            return Served::TooLarge;
        }
        let headers = cost(request.headers(), request.uri());
        if !self.account.admits(headers) {
            return Served::Refused;
        }
        if read > PINNED {
            detach(request.uri_mut());
        }
        let held = Held::take(&self.account, headers, true);
        Served::Taken { future: Box::pin(self.service.call(request)), _held: held }
    }
}

/// What a request's head costs: letters, and the places that its map has allocated.
fn cost(headers: &HeaderMap, uri: &Uri) -> usize {
    let letters: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = uri.authority().map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |path| path.as_str().len());
    let extra = match headers.len() - headers.keys_len() {
        0 => 0,
        extra => extra.next_power_of_two().max(4),
    };
    letters + target + COPIES * (headers.capacity() * (ENTRY + 2 * INDEX) + extra * EXTRA)
}

/// The target is remembered until the response has ended, and h2's is a slice of the buffer that it was read into.
fn detach(uri: &mut Uri) {
    let mut parts = std::mem::take(uri).into_parts();
    let (authority, path) = (parts.authority.take(), parts.path_and_query.take());
    // What was one is one: neither can fail.
    parts.authority = authority.and_then(|old| Authority::try_from(old.as_str()).ok());
    parts.path_and_query = path.and_then(|old| PathAndQuery::try_from(old.as_str()).ok());
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// The answer, or the refusal. The service's future is boxed: a stream that waits for its client does not keep the
/// place that its request needed.
pub(super) enum Served<F> {
    /// Headers are let go with the response head: what answers a request needs them no more.
    Taken {
        future: Pin<Box<F>>,
        _held: Held,
    },
    TooLarge,
    Refused,
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Served<F> {
    type Output = Result<Response<Body>, h2::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Taken { future, .. } => {
                future.as_mut().poll(cx).map(|result| result.map_err(|never| match never {}))
            }
            Self::TooLarge => {
                let mut response = Response::new(Body::Empty);
                *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                Poll::Ready(Ok(response))
            }
            Self::Refused => Poll::Ready(Err(h2::Reason::REFUSED_STREAM.into())),
        }
    }
}

#[cfg(test)]
mod tests;
