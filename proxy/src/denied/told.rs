//! What is told of denied peers: counts, and lines of the log, of which nobody can make as many as he likes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_certs::{Denial, Denied, Serial, SpiffeId};

use crate::telemetry::metrics::{DENIED_PEERS, Direction, Metrics};

/// Lines in each second; what is beyond is counted only.
const LINES: u32 = 20;

/// What one proxy has told. By direction (inbound, outbound), what is denied (identity, serial), and what became of it
/// (refused, cut).
#[derive(Debug, Default)]
pub(super) struct Told {
    counts: [[[AtomicU64; 2]; 2]; 2],
    /// Lock: held to count a line.
    lines: Mutex<Option<(Instant, u32)>>,
}

impl Told {
    pub(super) fn show(self: &Arc<Self>, metrics: &Metrics) {
        let told = Arc::clone(self);
        metrics.watch_series(DENIED_PEERS, move || told.rows());
    }

    /// A handshake came to nothing.
    pub(super) fn refused(
        &self,
        direction: Direction,
        id: &SpiffeId,
        serial: Option<&Serial>,
        denial: &Denial,
    ) {
        self.tell(direction, (id, serial), denial, 0);
    }

    /// A connection that was open is ended.
    pub(super) fn cut(
        &self,
        direction: Direction,
        id: &SpiffeId,
        serial: &Serial,
        denial: &Denial,
    ) {
        self.tell(direction, (id, Some(serial)), denial, 1);
    }

    fn tell(
        &self,
        direction: Direction,
        (id, serial): (&SpiffeId, Option<&Serial>),
        denial: &Denial,
        became: usize,
    ) {
        let outbound = usize::from(direction == Direction::Outbound);
        let by_serial = usize::from(matches!(denial.what, Denied::Serial(_)));
        self.counts[outbound][by_serial][became].fetch_add(1, Relaxed);
        if self.may_write(Instant::now()) {
            let direction = ["inbound", "outbound"][outbound];
            let serial = serial.map_or_else(String::new, Serial::to_string);
            let what = ["denied peer refused", "connection of a denied peer cut"][became];
            tracing::warn!(%id, serial, direction, %denial, "{what}");
        }
    }

    fn rows(&self) -> Vec<(Vec<String>, u64)> {
        let mut rows = Vec::new();
        for (direction, of) in ["inbound", "outbound"].into_iter().zip(&self.counts) {
            for (by, of) in ["identity", "serial"].into_iter().zip(of) {
                for (became, count) in ["refused", "cut"].into_iter().zip(of) {
                    let labels = [direction, by, became].map(str::to_owned);
                    rows.push((labels.into(), count.load(Relaxed)));
                }
            }
        }
        rows.retain(|(_, count)| *count > 0);
        rows
    }

    fn may_write(&self, now: Instant) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, written) = lines.get_or_insert((now, 0));
        if now.duration_since(*since) >= Duration::from_secs(1) {
            (*since, *written) = (now, 0);
        }
        *written += 1;
        *written <= LINES
    }
}
