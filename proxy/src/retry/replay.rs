//! A request body that can be sent again. Chunks are kept as they pass, by reference; once more than
//! [`MAX_BYTES`] have passed they are let go, and the body streams on as one that goes out once.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{BodyError, ClientBody, Tee, received};

/// Bound of what is kept (Linkerd keeps the same).
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// The body itself, from which readings are made.
#[derive(Clone, Debug)]
pub struct ReplaySource(Arc<Mutex<Kept>>);

/// One reading of the body from its start. Only the newest advances; an older one, still held by a connection
/// that has failed, ends with an error instead of stealing from it.
#[derive(Debug)]
pub struct ReplayBody {
    source: ReplaySource,
    reading: u64,
    position: usize,
    hint: SizeHint,
}

#[derive(Debug)]
struct Kept {
    source: ClientBody,
    /// Copies for mirrors, made when a piece passes for the first time.
    tee: Option<Box<Tee>>,
    data: Vec<Bytes>,
    bytes: usize,
    trailers: Option<http::HeaderMap>,
    state: State,
    newest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything so far is kept, more may come.
    Whole,
    /// Everything is kept, and there is no more.
    Ended,
    /// Too much has passed, or the client's side failed.
    Lost,
}

impl ReplaySource {
    /// Nothing has been read yet.
    #[must_use]
    pub fn new(source: ClientBody, tee: Option<Box<Tee>>) -> Self {
        let kept = Kept {
            source,
            tee,
            data: Vec::new(),
            bytes: 0,
            trailers: None,
            state: State::Whole,
            newest: 0,
        };
        Self(Arc::new(Mutex::new(kept)))
    }

    /// A reading from the start, which supersedes all earlier ones.
    #[must_use]
    pub fn read(&self) -> ReplayBody {
        let mut kept = self.lock();
        kept.newest += 1;
        let mut hint = kept.source.size_hint();
        if let Some(rest) = hint.exact() {
            hint = SizeHint::with_exact(rest + kept.bytes as u64);
        }
        ReplayBody { source: self.clone(), reading: kept.newest, position: 0, hint }
    }

    /// Is everything that has passed still kept?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lock().state != State::Lost
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplayBody {
    /// As [`HttpBody::poll_frame`].
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut kept = self.source.lock();
        if self.reading != kept.newest {
            return Poll::Ready(Some(Err("superseded by a retry".into())));
        }
        if let Some(chunk) = kept.data.get(self.position).cloned() {
            self.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if kept.state == State::Ended {
            let past_end = self.position > kept.data.len();
            self.position = kept.data.len() + 1;
            let trailers = kept.trailers.clone().filter(|_| !past_end);
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut kept.source).poll_frame(cx)).map(received);
        kept.copy(frame.as_ref());
        self.position += usize::from(kept.keep(frame.as_ref()));
        Poll::Ready(frame)
    }

    /// As [`HttpBody::is_end_stream`].
    pub(crate) fn is_end_stream(&self) -> bool {
        let kept = self.source.lock();
        self.position >= kept.data.len() && kept.trailers.is_none() && kept.source.is_end_stream()
    }

    /// As [`HttpBody::size_hint`]; asked before the first frame.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

impl Kept {
    fn copy(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) {
        let Some(tee) = &mut self.tee else { return };
        match frame {
            Some(Ok(frame)) => tee.pass(frame),
            Some(Err(_)) => self.tee = None,
            None => tee.end(),
        }
        // Order: last. Nobody asks for the end of a body that says by itself that it has ended.
        if self.source.is_end_stream()
            && let Some(tee) = &mut self.tee
        {
            tee.end();
        }
    }

    /// Keeps what has just been read; says whether the reader's position moves past it.
    fn keep(&mut self, frame: Option<&Result<Frame<Bytes>, BodyError>>) -> bool {
        match frame {
            None => {
                self.state = if self.state == State::Lost { State::Lost } else { State::Ended };
                false
            }
            Some(Err(_)) => {
                self.state = State::Lost;
                false
            }
            Some(Ok(frame)) => match frame.data_ref() {
                Some(chunk) => self.keep_chunk(chunk),
                None => {
                    self.trailers = frame.trailers_ref().cloned();
                    self.state = if self.state == State::Lost { State::Lost } else { State::Ended };
                    true
                }
            },
        }
    }

    fn keep_chunk(&mut self, chunk: &Bytes) -> bool {
        self.bytes += chunk.len();
        if self.state == State::Whole && self.bytes <= MAX_BYTES {
            self.data.push(chunk.clone());
            return true;
        }
        self.state = State::Lost;
        self.data = Vec::new();
        false
    }
}
