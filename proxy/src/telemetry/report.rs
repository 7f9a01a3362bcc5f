//! Golden metrics to the control plane (`weft.telemetry.v1`): once a second, what the edges counted since the
//! last report. Run by `app` on the control thread; reads the counters and touches nothing else.
//!
//! While the control plane is away nothing is taken from the counters, which go on counting: they are the
//! memory of an outage, whatever its length. What was taken is kept until it is acknowledged and then goes
//! first on the next stream. Where an acknowledgement is lost on its way, that one report counts twice.
//!
//! The control plane may ask at any time what the workload's callers asked for lately, and which requests failed or were slow;
//! the answer goes at once, and what is not asked for is not sent.

mod edges;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use weft_proto::telemetry as wire;
use weft_proto::telemetry::telemetry_client::TelemetryClient;

use self::edges::to_wire;
use super::metrics::Standing;
use super::{Telemetry, tap};
use crate::access::Traffic;
use crate::control_channel::{Backoff, random_unit};

const PERIOD: Duration = Duration::from_secs(1);
/// A sign of life when there is nothing to count.
const SILENCE: Duration = Duration::from_secs(10);
/// Limit on the server's first sign, and on each acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bound on one message: about 300 bytes an edge.
const EDGES_PER_MESSAGE: usize = 1000;
/// Bound: questions that wait; what is more is not answered.
const QUESTIONS: usize = 8;
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// A channel in the making.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Channel, String>> + Send>>;

/// The client of the control plane's telemetry service.
pub struct Reporter {
    workload: String,
    telemetry: Arc<Telemetry>,
    connect: Box<dyn Fn() -> Connecting + Send + Sync>,
    /// Taken from the counters and not acknowledged. Bound: filled only when it is empty, with at most as many
    /// edges as there are.
    unacknowledged: VecDeque<Vec<wire::EdgeDelta>>,
    said: Option<(Standing, Option<SystemTime>, Instant)>,
    /// Whoever renews the certificate; told when the control plane asks for it.
    renews: Arc<Notify>,
    /// What the workload's callers asked for.
    traffic: Option<Arc<Traffic>>,
    period: Duration,
}

/// An open stream: one report is on its way at a time.
struct Stream {
    /// What it goes by, and taps with it: another connection may lead to another replica, where nobody knows of them.
    channel: Channel,
    /// They end with it: whoever opens them again on the next would be shown everything twice.
    taps: JoinSet<()>,
    reports: mpsc::Sender<wire::ReportRequest>,
    acks: Streaming<wire::ReportAck>,
    /// Questions not answered yet. Bound: [`QUESTIONS`].
    asked: VecDeque<Question>,
}

/// What the control plane wants to know.
enum Question {
    Traffic(wire::AskTraffic),
    Requests(wire::AskRequests),
    /// Somebody wants to watch.
    Tap(wire::OpenTap),
}

impl Question {
    fn of(ack: &mut wire::ReportAck) -> Option<Self> {
        let traffic = ack.ask.take().map(Self::Traffic);
        let requests = || ack.ask_requests.take().map(Self::Requests);
        traffic.or_else(requests).or_else(|| ack.tap.take().map(Self::Tap))
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reporter({})", self.workload)
    }
}

impl Reporter {
    /// A reporter of the workload (`product-v1.shop`). `connect` gives a channel that is authenticated as it;
    /// it is asked for another one whenever a stream has ended, and may wait. `renews` is told when the control plane
    /// wants the certificate renewed.
    pub fn new(
        workload: &str,
        telemetry: Arc<Telemetry>,
        renews: Arc<Notify>,
        connect: impl Fn() -> Connecting + Send + Sync + 'static,
    ) -> Self {
        Self {
            workload: workload.to_owned(),
            telemetry,
            connect: Box::new(connect),
            unacknowledged: VecDeque::new(),
            said: None,
            renews,
            traffic: None,
            period: PERIOD,
        }
    }

    /// The same, which tells what callers asked for when it is asked.
    #[must_use]
    pub fn answering(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic: Some(traffic), ..self }
    }

    /// Reports until `stop` is true or its sender is gone; then once more, if a stream is open.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
        let mut told = false;
        loop {
            let error = match self.session(&mut stop, &mut backoff, &mut told).await {
                Ok(()) => return,
                Err(error) => error,
            };
            // One line for an outage, not one for each try.
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(%error, "no reports to the control plane");
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(backoff.next(random_unit())) => {}
            }
        }
    }

    /// One stream, from its opening to its end. Fine if the proxy stops; else says why it ended.
    async fn session(
        &mut self,
        stop: &mut watch::Receiver<bool>,
        backoff: &mut Backoff,
        told: &mut bool,
    ) -> Result<(), String> {
        let mut stream = tokio::select! {
            stream = self.open() => stream?,
            () = stopped(stop) => return Ok(()),
        };
        self.said = None;
        let mut tick = tokio::time::interval(self.period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = tick.tick() => false,
                // Callers are to know it before the next tick.
                () = self.telemetry.metrics.drains() => false,
                () = stopped(stop) => true,
                ack = stream.acks.message() => {
                    stream.take(ack)?;
                    false
                }
            };
            self.answer(&mut stream).await?;
            self.report(&mut stream).await?;
            // What came meanwhile.
            self.answer(&mut stream).await?;
            backoff.reset();
            if std::mem::take(told) {
                tracing::info!("reports to the control plane again");
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn open(&self) -> Result<Stream, String> {
        let channel = (self.connect)().await?;
        let (reports, outgoing) = mpsc::channel(1);
        let mut client = TelemetryClient::new(channel.clone());
        let opening = client.report(ReceiverStream::new(outgoing));
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let acks = opened
            .map_err(|_| "the stream did not open".to_owned())?
            .map_err(|status| text(&status))?;
        let (taps, asked) = (JoinSet::new(), VecDeque::new());
        Ok(Stream { channel, taps, reports, acks: acks.into_inner(), asked })
    }

    /// Sends what there is to say, if there is anything, and waits until it is acknowledged.
    async fn report(&mut self, stream: &mut Stream) -> Result<(), String> {
        if self.unacknowledged.is_empty() {
            self.take();
        }
        let standing = self.telemetry.metrics.standing();
        let broken = self.telemetry.tracing.broken().map(|broken| broken.since);
        let known = self.said.as_ref().is_some_and(|(said, traces, at)| {
            *said == standing && *traces == broken && at.elapsed() < SILENCE
        });
        if self.unacknowledged.is_empty() && !known {
            self.unacknowledged.push_back(Vec::new());
        }
        while let Some(edges) = self.unacknowledged.front() {
            let report = self.message(edges.clone(), &standing);
            let ack = stream.exchange(report).await?;
            self.unacknowledged.pop_front();
            self.said = Some((standing.clone(), broken, Instant::now()));
            if ack.renew {
                self.renews.notify_one();
            }
        }
        Ok(())
    }

    /// Answers what was asked.
    async fn answer(&self, stream: &mut Stream) -> Result<(), String> {
        while let Some(question) = stream.asked.pop_front() {
            for part in self.parts(&question, stream) {
                let standing = self.telemetry.metrics.standing();
                let message = self.message(Vec::new(), &standing);
                let message = wire::ReportRequest {
                    proxy: message.proxy,
                    workload: message.workload,
                    at: message.at,
                    ..part
                };
                if stream.exchange(message).await?.renew {
                    self.renews.notify_one();
                }
            }
        }
        Ok(())
    }

    fn parts(&self, question: &Question, stream: &mut Stream) -> Vec<wire::ReportRequest> {
        let empty = wire::ReportRequest::default;
        match question {
            Question::Traffic(ask) => {
                let parts =
                    self.traffic.as_ref().map(|traffic| traffic.answer(*ask, Instant::now()));
                let parts = parts.into_iter().flatten();
                parts.map(|part| wire::ReportRequest { access: Some(part), ..empty() }).collect()
            }
            // Who may not watch because too many do is shown nothing.
            Question::Tap(wanted) => {
                if let Some(opened) = self.telemetry.taps.open(wanted.clone()) {
                    stream.show(opened);
                }
                Vec::new()
            }
            Question::Requests(ask) => {
                let parts = self.telemetry.recent.answer(ask, SystemTime::now()).into_iter();
                parts.map(|part| wire::ReportRequest { requests: Some(part), ..empty() }).collect()
            }
        }
    }

    /// Takes what the edges counted.
    fn take(&mut self) {
        let mut deltas = Vec::new();
        let now = Instant::now().into_std();
        self.telemetry.metrics.drain(now, |key, delta| deltas.push(to_wire(key, delta)));
        while !deltas.is_empty() {
            let rest = deltas.split_off(deltas.len().min(EDGES_PER_MESSAGE));
            self.unacknowledged.push_back(std::mem::replace(&mut deltas, rest));
        }
    }

    fn message(&self, edges: Vec<wire::EdgeDelta>, standing: &Standing) -> wire::ReportRequest {
        let spans = self.telemetry.tracing.counts();
        let age = standing.config_accepted.map(|at| at.elapsed().unwrap_or_default().as_secs());
        let age = age.unwrap_or_default();
        wire::ReportRequest {
            workload: self.workload.clone(),
            at: seconds(SystemTime::now()),
            edges,
            proxy: Some(wire::ProxyState {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                leaf_not_after: standing.identity_not_after,
                spans_started: spans.started,
                spans_exported: spans.exported,
                spans_dropped: spans.dropped,
                stale: standing.stale,
                draining: standing.draining,
                leaf_root: standing.trust.leaf_root.clone(),
                roots: standing.trust.roots.clone(),
                leaf_not_before: standing.identity_not_before,
                config_version: standing.config_version.clone(),
                config_age_seconds: age,
                log_lines_dropped: self.telemetry.access_log.dropped(),
            }),
            broken_traces: self.telemetry.tracing.broken().map(|broken| wire::BrokenTraces {
                since: seconds(broken.since),
                calls: broken.calls,
            }),
            ..wire::ReportRequest::default()
        }
    }
}

impl Stream {
    /// Sends a report and waits for its acknowledgement.
    async fn exchange(&mut self, report: wire::ReportRequest) -> Result<wire::ReportAck, String> {
        let exchange = async {
            if self.reports.send(report).await.is_err() {
                // The end of the stream says why.
                return Err(unexpected(self.acks.message().await));
            }
            loop {
                match self.acks.message().await {
                    Ok(Some(mut ack)) => match Question::of(&mut ack) {
                        Some(question) => self.note(question),
                        None => return Ok(ack),
                    },
                    end => return Err(unexpected(end)),
                }
            }
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        answered.unwrap_or_else(|_| Err("a report was not acknowledged".to_owned()))
    }

    /// Takes what comes while no report is under way.
    fn take(&mut self, ack: Result<Option<wire::ReportAck>, Status>) -> Result<(), String> {
        let Ok(Some(mut said)) = ack else { return Err(unexpected(ack)) };
        match Question::of(&mut said) {
            Some(question) => {
                self.note(question);
                Ok(())
            }
            None => Err(unexpected(Ok(Some(said)))),
        }
    }

    /// Shows requests to somebody, beside the reports.
    fn show(&mut self, opened: tap::Opened) {
        // Those that are over.
        while self.taps.try_join_next().is_some() {}
        self.taps.spawn(tap::run(self.channel.clone(), opened));
    }

    fn note(&mut self, question: Question) {
        if self.asked.len() < QUESTIONS {
            self.asked.push_back(question);
        }
    }
}

/// Since the Unix epoch.
fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn unexpected(ack: Result<Option<wire::ReportAck>, Status>) -> String {
    match ack {
        Ok(Some(_)) => "an acknowledgement of nothing".to_owned(),
        Ok(None) => "the control plane ended the stream".to_owned(),
        Err(status) => text(&status),
    }
}

#[cfg(test)]
mod tests;
