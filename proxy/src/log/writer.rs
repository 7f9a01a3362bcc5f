//! A queue of lines and the thread that writes them, many with one call. The one place that may block on the
//! reader of a log. Made by `log` for the process's own and by `telemetry::access_log` for that of requests.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::watch;

/// Bound on bytes that wait.
pub(crate) const MAX_BYTES: usize = 2 << 20;
/// Bound on lines that wait. A place for a line takes 32 bytes from the start.
const MAX_LINES: usize = 4096;
/// The writing end; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lines: SyncSender<Vec<u8>>,
    thread: Thread,
    state: Arc<State>,
    /// Closed when the thread has ended.
    ended: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    stopping: AtomicBool,
}

impl Writer {
    /// Starts a thread of that name, of at most 15 bytes. `gather`: how long a line waits for company.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn spawn(
        name: &str,
        out: Box<dyn Write + Send>,
        gather: Duration,
    ) -> io::Result<Self> {
        let (lines, receiver) = sync_channel(MAX_LINES);
        let (ended, running) = watch::channel(());
        let state = Arc::new(State::default());
        let of_thread = Arc::clone(&state);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            write_all(&receiver, out, gather, &of_thread);
            drop(running);
        })?;
        Ok(Self(Arc::new(Shared { lines, thread: thread.thread().clone(), state, ended })))
    }

    /// Queues a line, or drops and counts it.
    pub(crate) fn push(&self, line: Vec<u8>) {
        let Shared { lines, thread, state, .. } = &*self.0;
        let size = line.len();
        let before = state.waiting.fetch_add(size, Relaxed);
        let fits = before + size <= MAX_BYTES && !state.stopping.load(Relaxed);
        if !fits || lines.try_send(line).is_err() {
            state.waiting.fetch_sub(size, Relaxed);
            state.dropped.fetch_add(1, Relaxed);
        } else if before < MAX_BYTES / 4 && before + size >= MAX_BYTES / 4 {
            thread.unpark();
        }
    }

    /// Lines that were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.state.dropped.load(Relaxed)
    }

    /// Writes what waits, for at most `limit`, and ends the thread.
    pub(crate) async fn shutdown(&self, limit: Duration) {
        let Shared { lines, thread, state, ended } = &*self.0;
        state.stopping.store(true, Relaxed);
        // An empty line wakes a thread that waits for the first one; a full queue has woken it already.
        let _ = lines.try_send(Vec::new());
        thread.unpark();
        let _ = tokio::time::timeout(limit, ended.closed()).await;
    }
}

/// Writes until the queue is gone, or is empty after [`Writer::shutdown`].
fn write_all(
    lines: &Receiver<Vec<u8>>,
    mut out: Box<dyn Write + Send>,
    gather: Duration,
    state: &State,
) {
    let mut text = Vec::new();
    // A full disk may have taken half a line; what comes next must not be its other half.
    let mut torn = false;
    while let Ok(first) = lines.recv() {
        if !state.stopping.load(Relaxed) {
            std::thread::park_timeout(gather);
        }
        text.clear();
        let mut size = 0;
        let mut count = 0;
        for line in std::iter::once(first).chain(lines.try_iter()) {
            text.extend_from_slice(&line);
            size += line.len();
            count += u64::from(!line.is_empty());
            // Bound: a queue that is filled as fast as it is emptied.
            if text.len() >= MAX_BYTES {
                break;
            }
        }
        let ended = if torn { out.write_all(b"\n") } else { Ok(()) };
        let written = ended.and_then(|()| out.write_all(&text)).and_then(|()| out.flush());
        // Order: the bytes make room only when they are out.
        state.waiting.fetch_sub(size, Relaxed);
        torn = written.is_err();
        if torn {
            state.dropped.fetch_add(count, Relaxed);
        }
        if state.stopping.load(Relaxed) && state.waiting.load(Relaxed) == 0 {
            return;
        }
        text.shrink_to(MAX_BYTES / 16);
    }
}
