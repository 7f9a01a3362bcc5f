//! Judges a sidecar's certificate: over, or about to be though it ought to have been renewed long before. Pure.

use serde_json::Value;

use super::{Check, fix};
use crate::admin::Proxy;
use crate::moment::{Moment, shown_span};

/// Bound: workloads in one line.
const SHOWN: usize = 5;

/// One sidecar's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) workload: String,
    end: Moment,
    /// With a quarter of its life left; of an older sidecar it is not known.
    overdue_at: Option<Moment>,
}

impl Certificate {
    /// As the control plane has heard.
    pub(super) fn heard_of(proxy: &Proxy) -> Option<Self> {
        let end = Moment::read(&proxy.leaf_not_after)?;
        let overdue_at = Moment::read(&proxy.leaf_overdue_at);
        Some(Self { workload: proxy.workload.clone(), end, overdue_at })
    }

    /// As the sidecar says.
    pub(super) fn own(workload: &str, certificate: &Value) -> Option<Self> {
        let end = Moment::read(&certificate["not_after"])?;
        let overdue_at = Moment::read(&certificate["overdue_at"]);
        Some(Self { workload: workload.to_owned(), end, overdue_at })
    }

    fn is_overdue(&self, now: Moment) -> bool {
        self.overdue_at.is_some_and(|at| now >= at)
    }

    fn left(&self, now: Moment) -> Option<String> {
        self.end.since(now).map(shown_span)
    }
}

/// What is done about it.
pub(crate) const MEND: &str = "it renews by itself when the control plane can be reached and signs: is it ready? see its log, and \
                    `weft_control_plane_certificate_requests_total`; check the clocks too";

/// What is wrong with it, if anything is. `more` is what to type to see more.
pub(super) fn judge(certificate: &Certificate, now: Moment, more: &str) -> Option<Check> {
    let workload = &certificate.workload;
    match certificate.left(now) {
        None => Some(Check::bad(
            format!("the certificate of {workload} is valid"),
            "it has expired, so the sidecar refuses to serve",
            fix(MEND, more),
        )),
        Some(left) if certificate.is_overdue(now) => Some(Check::warning(
            format!("the certificate of {workload} is renewed in time"),
            format!("that is overdue: {left} are left, then the sidecar refuses to serve"),
            fix(MEND, more),
        )),
        Some(_) => None,
    }
}

/// The same of many pods, in one check each for those that are over and those that are overdue.
pub(super) fn judge_all(certificates: &[Certificate], now: Moment, more: &str) -> Vec<Check> {
    let (mut over, mut overdue) = (Vec::new(), Vec::new());
    for certificate in certificates {
        match certificate.left(now) {
            None => over.push((certificate.end, certificate.workload.clone())),
            Some(left) if certificate.is_overdue(now) => {
                overdue.push((certificate.end, format!("{} ({left} left)", certificate.workload)));
            }
            Some(_) => {}
        }
    }
    let mut checks = Vec::new();
    if !over.is_empty() {
        let error = format!("{} have expired and refuse to serve: {}", over.len(), few(over));
        let description = "the certificates of the sidecars are valid";
        checks.push(Check::bad(description, error, fix(MEND, more)));
    }
    if !overdue.is_empty() {
        let error = format!("that is overdue for {}: {}", overdue.len(), few(overdue));
        let description = "the certificates of the sidecars are renewed in time";
        checks.push(Check::warning(description, error, fix(MEND, more)));
    }
    checks
}

/// Those with the least time first.
fn few(mut named: Vec<(Moment, String)>) -> String {
    named.sort();
    let more = if named.len() > SHOWN { " …" } else { "" };
    let shown: Vec<String> = named.into_iter().take(SHOWN).map(|(_, name)| name).collect();
    shown.join(", ") + more
}
