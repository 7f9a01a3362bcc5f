//! What the workload's callers asked of it in the last ten minutes, allowed and denied alike, so that a policy can be
//! tried on it before it is applied. `inbound` notes each request once it is canonical and before it is judged, and each
//! connection whose bytes are opaque. It leaves the proxy only where the control plane asks for it.
//!
//! Kept of a request: who called, from which address, on which port, method and path. Never a query, a header, a body.
//! What has no room is counted with less said of it: first without its path, then without its method, at last without
//! its caller.
//!
//! Each worker has a book of its own, and a caller of it a page, so that no lock is ever waited for but while somebody
//! asks, or what is over is swept out.

mod answer;
mod room;
mod slices;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use weft_certs::SpiffeId;

use room::{Kept, Room};
use slices::Slices;

/// Bound: paths of one caller on one worker.
const MAX_OF_CALLER: usize = 2048;
/// Bound: bytes of method and path that are kept; longer ones are counted without.
const MAX_TEXT: usize = 512;
/// Bound of a method.
const MAX_METHOD: usize = 32;

/// All of one proxy.
#[derive(Debug)]
pub struct Traffic {
    books: Vec<Book>,
    room: Arc<Room>,
    /// Where time begins.
    origin: Instant,
}

/// Of one worker.
#[derive(Debug)]
struct Book {
    /// Lock: held for one look-up by a new connection, and by whoever reads everything.
    callers: Mutex<HashMap<Caller, Arc<Notes>>>,
    /// Callers for whom there was no room.
    others: Arc<Notes>,
}

/// Who called where.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Caller {
    identity: Option<SpiffeId>,
    address: IpAddr,
    port: u16,
}

/// What one caller asked of one port, by way of one worker.
#[derive(Debug)]
pub struct Notes {
    room: Arc<Room>,
    origin: Instant,
    /// Does the caller have no page of his own?
    is_shared: bool,
    /// Lock: of one worker, held for one count, and by whoever reads everything.
    page: Mutex<Page>,
}

#[derive(Debug, Default)]
struct Page {
    /// `GET /carts/7`; `GET` where the path has no room.
    requests: HashMap<Box<str>, Slices>,
    /// Of which not even the method has.
    unkept: Slices,
    connections: Slices,
    /// What is looked up. Bound: [`MAX_TEXT`].
    text: String,
}

impl Traffic {
    /// Nothing was asked yet. One book for each worker, at least one.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let (room, origin) = (Arc::<Room>::default(), Instant::now());
        let book = |_| Book {
            callers: Mutex::default(),
            others: Arc::new(Notes::new(&room, origin, true)),
        };
        Self { books: (0..workers.max(1)).map(book).collect(), room, origin }
    }

    /// The page of a caller, for one connection.
    #[must_use]
    pub fn page(
        &self,
        worker: usize,
        identity: Option<&SpiffeId>,
        address: IpAddr,
        port: u16,
    ) -> Arc<Notes> {
        let book = &self.books[worker % self.books.len()];
        let caller = Caller { identity: identity.cloned(), address, port };
        let mut callers = book.callers();
        if let Some(notes) = callers.get(&caller) {
            return Arc::clone(notes);
        }
        if !self.room.take(Kept::caller(&caller)) {
            return Arc::clone(&book.others);
        }
        let notes = Arc::new(Notes::new(&self.room, self.origin, false));
        callers.insert(caller, Arc::clone(&notes));
        notes
    }

    /// Forgets what is over; call it now and then.
    pub fn sweep(&self, now: Instant) {
        let slice = slices::number(self.origin, now);
        for book in &self.books {
            // Race: a page is found only under this lock, so one that nobody else holds is nobody's.
            book.callers().retain(|caller, notes| {
                let is_empty = notes.sweep(slice);
                let keep = !is_empty || Arc::strong_count(notes) > 1;
                if !keep {
                    self.room.give(Kept::caller(caller));
                }
                keep
            });
        }
    }

    /// Entries and bytes that are kept now.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.room.taken()
    }
}

impl Book {
    fn callers(&self) -> MutexGuard<'_, HashMap<Caller, Arc<Notes>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn new(room: &Arc<Room>, origin: Instant, is_shared: bool) -> Self {
        Self { room: Arc::clone(room), origin, is_shared, page: Mutex::default() }
    }

    /// A request came at `now`: `path` is canonical and without query.
    pub fn request(&self, method: &str, path: &str, now: Instant) {
        let slice = slices::number(self.origin, now);
        let mut page = self.page();
        let Page { requests, unkept, text, .. } = &mut *page;
        if self.is_shared || method.len() > MAX_METHOD {
            return unkept.add(slice);
        }
        text.clear();
        text.push_str(method);
        let has_path = method.len() + path.len() < MAX_TEXT;
        if has_path {
            text.push(' ');
            text.push_str(path);
        }
        if let Some(known) = requests.get_mut(text.as_str()) {
            return known.add(slice);
        }
        let is_due = has_path && requests.len() < MAX_OF_CALLER;
        if is_due && self.room.take(Kept::Path(text.len())) {
            requests.insert(text.as_str().into(), Slices::first(slice));
        } else {
            self.without_path(method, &mut page, slice);
        }
    }

    fn without_path(&self, method: &str, page: &mut Page, slice: u64) {
        if let Some(known) = page.requests.get_mut(method) {
            known.add(slice);
        } else if self.room.take(Kept::Method(method.len())) {
            page.requests.insert(method.into(), Slices::first(slice));
        } else {
            page.unkept.add(slice);
        }
    }

    /// A connection whose bytes are opaque came at `now`.
    pub fn connection(&self, now: Instant) {
        self.page().connections.add(slices::number(self.origin, now));
    }

    /// Forgets what is over. Returns whether nothing is left.
    fn sweep(&self, slice: u64) -> bool {
        let mut page = self.page();
        page.requests.retain(|text, counts| {
            let keep = !counts.is_over(slice);
            if !keep {
                self.room.give(Kept::of(text));
            }
            keep
        });
        if page.requests.len() < page.requests.capacity() / 4 {
            page.requests.shrink_to_fit();
        }
        page.requests.is_empty() && page.unkept.is_over(slice) && page.connections.is_over(slice)
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
