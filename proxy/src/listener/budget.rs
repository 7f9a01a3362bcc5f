//! The budget of request headers that one HTTP/2 connection may make us hold. HPACK lets one byte stand for a
//! header of kilobytes, so the number of streams bounds nothing (S4, the "HTTP/2 bomb").

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use pin_project_lite::pin_project;

/// What a header costs besides its letters: its place in the map.
const ENTRY: usize = 104;

/// A service that takes requests as long as their headers fit.
#[derive(Debug)]
pub(super) struct Budgeted<S> {
    service: S,
    held: Arc<AtomicUsize>,
    limit: usize,
}

impl<S> Budgeted<S> {
    /// `limit` in bytes.
    pub(super) fn new(service: S, limit: usize) -> Self {
        Self { service, held: Arc::default(), limit }
    }
}

impl<S: Service<Request<Incoming>, Error = Infallible>> Service<Request<Incoming>> for Budgeted<S> {
    type Response = S::Response;
    /// With a reason, by which hyper resets the stream.
    type Error = h2::Error;
    type Future = Served<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let held = Held::take(&self.held, size(&request));
        let fits = self.held.load(Relaxed) <= self.limit;
        // Order: what is refused is let go before the next stream is looked at.
        Served { future: fits.then(|| self.service.call(request)), _held: fits.then_some(held) }
    }
}

fn size<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    headers.map(|(name, value)| name.as_str().len() + value.len() + ENTRY).sum()
}

/// Headers are let go with the response head: what answers a request needs them no more.
#[derive(Debug)]
struct Held {
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    fn take(of: &Arc<AtomicUsize>, bytes: usize) -> Self {
        of.fetch_add(bytes, Relaxed);
        Self { of: Arc::clone(of), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Relaxed);
    }
}

pin_project! {
    /// The answer, or the refusal.
    pub(super) struct Served<F> {
        #[pin]
        future: Option<F>,
        _held: Option<Held>,
    }
}

impl<F: Future<Output = Result<R, Infallible>>, R> Future for Served<F> {
    type Output = Result<R, h2::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().future.as_pin_mut() {
            Some(future) => future.poll(cx).map(|result| result.map_err(|never| match never {})),
            None => Poll::Ready(Err(h2::Reason::REFUSED_STREAM.into())),
        }
    }
}
