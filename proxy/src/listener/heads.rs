//! Watches the bytes of an HTTP/1 connection, beside hyper that parses them, for what hyper does not tell: a
//! fragment in the target, a Content-Length beside Transfer-Encoding or beside itself, and a head that never
//! ends. Used by `listener::http`; it changes and holds back nothing.
//!
//! A finding reaches the request that it is about as [`Malformed`], which `canonical` turns into a 400. A head
//! must be whole within its timeout from its first byte (slow senders would hold a connection for ever); between requests a connection may stay idle.

mod scan;

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use self::scan::{FINDINGS, Scan};
use super::limits::HttpLimits;
use super::linger::Lingering;
use crate::canonical::Malformed;
use crate::overload::{Overload, Shed};

/// What an incomplete head may have when memory is short. Most heads are smaller, and come at once.
const SMALL_HEAD: usize = 4 * 1024;

/// The stream as hyper gets it.
#[derive(Debug)]
pub(super) struct Watched {
    io: Lingering,
    scan: Scan,
    found: Arc<Found>,
    overload: Overload,
    /// Bytes of the head that is incomplete.
    of_head: usize,
    timeout: Duration,
    /// Set while a head is incomplete and nothing more of it is there.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What is known of a connection from its bytes. One task writes.
#[derive(Debug)]
pub(super) struct Found {
    /// Number of the request with the first thing that is wrong, from 0; the connection ends with it.
    request: AtomicU64,
    /// Index into [`FINDINGS`].
    what: AtomicUsize,
    /// Changes whenever bytes have come or gone.
    moved: AtomicU64,
    /// A request has begun to come, and has not come to its end.
    coming: AtomicBool,
    /// Bytes wait for the client to take them.
    blocked: AtomicBool,
}

impl Found {
    /// Changes whenever bytes have come or gone.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Relaxed)
    }

    /// Does the client owe the rest of a request, or to take what is sent to it?
    pub(super) fn is_owed(&self) -> bool {
        self.coming.load(Relaxed) || self.blocked.load(Relaxed)
    }

    /// A write has been tried.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        self.blocked.store(written.is_pending(), Relaxed);
        written
    }

    fn note(&self, scan: &Scan) {
        // One task writes: no more is needed than a store.
        self.moved.store(self.moved.load(Relaxed).wrapping_add(1), Relaxed);
        self.coming.store(scan.is_in_message(), Relaxed);
    }
}

/// Hands findings to the requests that they are about.
#[derive(Debug)]
pub(super) struct Judged<S> {
    service: S,
    found: Arc<Found>,
    requests: AtomicU64,
}

/// Watches `io` on behalf of `service`.
pub(super) fn watch<S>(
    io: Lingering,
    limits: &HttpLimits,
    service: S,
) -> (Watched, Judged<S>, Arc<Found>) {
    let found = Arc::new(Found {
        request: AtomicU64::new(u64::MAX),
        what: AtomicUsize::new(0),
        moved: AtomicU64::new(0),
        coming: AtomicBool::new(false),
        blocked: AtomicBool::new(false),
    });
    let watched = Watched {
        io,
        scan: Scan::default(),
        found: Arc::clone(&found),
        overload: limits.overload.clone(),
        of_head: 0,
        timeout: limits.head_timeout,
        deadline: None,
    };
    let judged = Judged { service, found: Arc::clone(&found), requests: AtomicU64::new(0) };
    (watched, judged, found)
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Judged<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        // Order: a head has been read, and so scanned, before hyper makes a request of it.
        let number = self.requests.fetch_add(1, Relaxed);
        if number >= self.found.request.load(Relaxed) {
            let what = FINDINGS.get(self.found.what.load(Relaxed)).unwrap_or(&FINDINGS[0]);
            request.extensions_mut().insert(Malformed(what));
        }
        self.service.call(request)
    }
}

impl Watched {
    fn scan(&mut self, bytes: &[u8]) {
        if let Some((request, what)) = self.scan.read(bytes) {
            self.found.what.store(what, Relaxed);
            self.found.request.store(request, Relaxed);
        }
        self.found.note(&self.scan);
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline
            .as_mut()
            .poll(cx)
            .map(|()| Err(Error::new(ErrorKind::TimedOut, "the request's head is incomplete")))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        // Order: a head that goes on is what a connection grows by; it is looked at before there is more of it.
        if this.of_head > SMALL_HEAD && this.overload.is_short_now() {
            this.overload.count(Shed::Stalled);
            let message = "too little memory is left for a head of this size";
            return Poll::Ready(Err(Error::new(ErrorKind::OutOfMemory, message)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_ready() {
            this.scan(&buf.filled()[before..]);
        }
        if !this.scan.is_in_head() {
            (this.deadline, this.of_head) = (None, 0);
            return read;
        }
        this.of_head += buf.filled().len() - before;
        match read {
            Poll::Pending => this.poll_deadline(cx),
            Poll::Ready(result) => Poll::Ready(result),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.scan.written(buf);
        this.found.note(&this.scan);
        this.found.wrote(Pin::new(&mut this.io).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        this.scan.written(bufs.first().map_or(&[], |first| first));
        this.found.note(&this.scan);
        this.found.wrote(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
