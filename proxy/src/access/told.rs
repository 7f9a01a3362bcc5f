//! What is told of decisions: a count for each rule, and lines of the log, of which an attacker cannot make as many as
//! he likes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use weft_policy::{Caller, Request};

use crate::telemetry::metrics::{ACCESS_AUDITED, ACCESS_DENIED, Metrics};

/// Label of what no rule allows.
pub(super) const NO_RULE: &str = "none";
/// Label of rules beyond the bound.
const OTHERS: &str = "other";
/// Bound: rules that are counted apart, of either kind.
const MAX_RULES: usize = 1000;
/// Lines in each second; what is beyond is counted only.
const LINES: u32 = 20;

/// What one proxy has told.
#[derive(Debug, Default)]
pub struct Told {
    /// Lock: held for one count. Only denials and audits come here.
    denied: Mutex<BTreeMap<String, u64>>,
    audited: Mutex<BTreeMap<String, u64>>,
    lines: Mutex<Option<(Instant, u32)>>,
}

impl Told {
    /// Shows them in these metrics. Call it once, at start.
    pub fn show(self: &Arc<Self>, metrics: &Metrics) {
        let (denied, audited) = (Arc::clone(self), Arc::clone(self));
        metrics.watch_series(ACCESS_DENIED, move || rows(&denied.denied));
        metrics.watch_series(ACCESS_AUDITED, move || rows(&audited.audited));
    }

    /// Counts a denial by `rule`, and writes a line that says why.
    pub(super) fn denied(
        &self,
        rule: &str,
        why: &str,
        caller: &Caller<'_>,
        request: Option<&Request<'_>>,
    ) {
        count(&self.denied, rule);
        self.line("access denied", why, caller, request);
    }

    /// Counts what `rule` wants to be told of, and writes a line.
    pub(super) fn audited(&self, rule: &str, caller: &Caller<'_>, request: Option<&Request<'_>>) {
        count(&self.audited, rule);
        self.line("access audited", rule, caller, request);
    }

    fn line(&self, what: &str, why: &str, caller: &Caller<'_>, request: Option<&Request<'_>>) {
        if !self.may_write(Instant::now()) {
            return;
        }
        let identity = caller.identity.map_or("", |identity| identity.as_str());
        let (method, path) = request.map_or(("", ""), |request| (request.method, request.path));
        let (client, port) = (caller.address, caller.port);
        tracing::info!(why, identity, %client, port, method, path, "{what}");
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

fn count(counts: &Mutex<BTreeMap<String, u64>>, rule: &str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let rule = if counts.contains_key(rule) || counts.len() < MAX_RULES { rule } else { OTHERS };
    match counts.get_mut(rule) {
        Some(count) => *count += 1,
        None => drop(counts.insert(rule.to_owned(), 1)),
    }
}

fn rows(counts: &Mutex<BTreeMap<String, u64>>) -> Vec<(Vec<String>, u64)> {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.iter().map(|(rule, count)| (vec![rule.clone()], *count)).collect()
}
