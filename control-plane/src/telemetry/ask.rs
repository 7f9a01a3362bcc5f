//! Questions down the reporters' streams: what have your callers asked for lately? Which requests failed or were slow? Asked by
//! `access` for a trial and by `requests`; the sidecar answers in its next reports. Nothing of an answer is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use weft_proto::telemetry::{
    AccessTraffic, AskRequests, AskTraffic, ReportAck, RequestRecord, Requests,
};

/// Bound: parts of one answer; a sidecar has 2 MiB, in parts of 256 KiB.
const MAX_PARTS: usize = 32;

const UNASKED: &str = "its sidecar answers something else";

/// Acknowledgements on their way to a reporter.
type Acks = mpsc::Sender<Result<ReportAck, Status>>;

/// What a sidecar has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Seconds.
    pub(crate) covers: u32,
    /// Calls of callers for whom it had no room.
    pub(crate) beyond: u64,
    pub(crate) parts: Vec<AccessTraffic>,
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Part {
    Access(AccessTraffic),
    Requests(Requests),
}

impl Part {
    fn id(&self) -> u64 {
        match self {
            Self::Access(part) => part.id,
            Self::Requests(part) => part.id,
        }
    }

    fn more(&self) -> bool {
        match self {
            Self::Access(part) => part.more,
            Self::Requests(part) => part.more,
        }
    }
}

/// Open streams and open questions.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Lock: held for one look-up. Bound: one a stream, and one a question under way.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    next: u64,
    /// By workload: the stream that opened last.
    streams: HashMap<Arc<str>, (u64, Acks)>,
    questions: HashMap<u64, (Arc<str>, mpsc::Sender<Part>)>,
}

/// A stream that can be asked; until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    asks: Arc<Asks>,
    workload: Arc<str>,
    number: u64,
}

/// A question under way; until it is dropped.
struct Question<'a> {
    asks: &'a Asks,
    id: u64,
}

impl Asks {
    /// The stream of a workload can be asked from now on.
    pub(super) fn enter(self: &Arc<Self>, workload: &str, acks: &Acks) -> Seat {
        let mut known = self.known();
        let (workload, number) = (Arc::<str>::from(workload), known.number());
        known.streams.insert(Arc::clone(&workload), (number, acks.clone()));
        Seat { asks: Arc::clone(self), workload, number }
    }

    /// Asks a sidecar for the last so many seconds.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask(
        &self,
        workload: &str,
        seconds: u32,
        until: Instant,
    ) -> Result<Seen, &'static str> {
        let ask = |id| ReportAck { ask: Some(AskTraffic { id, seconds }), ..ReportAck::default() };
        let mut seen = Seen::default();
        for part in self.put(workload, ask, until).await? {
            let Part::Access(part) = part else { return Err(UNASKED) };
            seen.covers = part.seconds;
            seen.beyond = seen.beyond.saturating_add(part.beyond);
            seen.parts.push(part);
        }
        Ok(seen)
    }

    /// Asks a sidecar for failed and slow requests; the number of the question is written here.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask_requests(
        &self,
        workload: &str,
        wanted: AskRequests,
        until: Instant,
    ) -> Result<Vec<RequestRecord>, &'static str> {
        let ask = |id| {
            let ask = AskRequests { id, ..wanted };
            ReportAck { ask_requests: Some(ask), ..ReportAck::default() }
        };
        let mut found = Vec::new();
        for part in self.put(workload, ask, until).await? {
            let Part::Requests(part) = part else { return Err(UNASKED) };
            found.extend(part.requests);
        }
        Ok(found)
    }

    /// The streams that can be asked, by workload.
    pub(super) fn connected(&self) -> Vec<Arc<str>> {
        let mut all: Vec<_> = self.known().streams.keys().cloned().collect();
        all.sort();
        all
    }

    /// The same, each with the number of its stream.
    pub(super) fn streams(&self) -> HashMap<Arc<str>, u64> {
        let known = self.known();
        known
            .streams
            .iter()
            .map(|(workload, (number, _))| (Arc::clone(workload), *number))
            .collect()
    }

    /// Tells a sidecar something to which there is no answer; false if it is not there.
    pub(super) async fn tell(&self, workload: &str, ack: ReportAck) -> bool {
        let acks = self.known().streams.get(workload).map(|(_, acks)| acks.clone());
        match acks {
            Some(acks) => acks.send(Ok(ack)).await.is_ok(),
            None => false,
        }
    }

    /// Puts a question, and collects all parts of its answer.
    async fn put(
        &self,
        workload: &str,
        ask: impl FnOnce(u64) -> ReportAck,
        until: Instant,
    ) -> Result<Vec<Part>, &'static str> {
        let (answer, mut parts) = mpsc::channel(MAX_PARTS);
        let (question, acks) = {
            let mut known = self.known();
            let (workload, (_, acks)) =
                known.streams.get_key_value(workload).ok_or("its sidecar is not connected")?;
            let (workload, acks) = (Arc::clone(workload), acks.clone());
            let id = known.number();
            known.questions.insert(id, (workload, answer));
            (Question { asks: self, id }, acks)
        };
        let exchange = async {
            let sent = acks.send(Ok(ask(question.id))).await;
            sent.map_err(|_| "its sidecar went away")?;
            let mut all = Vec::new();
            for _ in 0..MAX_PARTS {
                let part = parts.recv().await.ok_or("its sidecar went away")?;
                let more = part.more();
                all.push(part);
                if !more {
                    return Ok(all);
                }
            }
            Err("its sidecar has too much to tell")
        };
        let answered = timeout_at(until, exchange).await;
        answered.unwrap_or(Err("its sidecar did not answer in time"))
    }

    /// A part of an answer has come, from the sidecar of `workload`. What nobody waits for, or somebody else was asked
    /// for, is dropped.
    pub(super) fn deliver(&self, workload: &str, part: Part) {
        let known = self.known();
        if let Some((asked, answer)) = known.questions.get(&part.id())
            && **asked == *workload
        {
            // Who waits reads as fast as parts come, or waits no more.
            let _ = answer.try_send(part);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut known = self.asks.known();
        // Race: a newer stream of the same workload may have taken the place.
        if known.streams.get(&self.workload).is_some_and(|(number, _)| *number == self.number) {
            known.streams.remove(&self.workload);
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.asks.known().questions.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
