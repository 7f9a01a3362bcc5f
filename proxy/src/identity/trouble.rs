//! What can become of a certificate while it is in use: it is denied, or no other comes in time.

use std::time::{Duration, SystemTime};

use weft_certs::Denied;

use super::{Identity, schedule};

impl Identity {
    /// A certificate that is denied is of no use, and does not renew itself; a token may buy another one.
    pub(super) fn look_at_denial(&mut self) {
        self.pushed.denied.mark_unchanged();
        if !self.is_certificate_denied() || self.token.is_none() {
            return;
        }
        tracing::info!(id = %self.id, "asking for another certificate");
        if let Some(current) = &mut self.current {
            current.renew_at = SystemTime::UNIX_EPOCH;
        }
        self.backoff.reset();
        self.retry_at = None;
    }

    pub(super) fn is_certificate_denied(&self) -> bool {
        let denial = self.pushed.denied.borrow();
        denial.as_ref().is_some_and(|denial| matches!(denial.what, Denied::Serial(_)))
    }

    /// Until there is reason for alarm; for ever if there is already.
    pub(super) fn until_overdue(&self, now: SystemTime) -> Duration {
        match &self.current {
            Some(own) if !self.renewal.borrow().overdue => {
                schedule::until(schedule::overdue_at(&own.leaf), now)
            }
            _ => Duration::MAX,
        }
    }

    /// Says once that renewal is overdue, and once that it is no longer.
    pub(super) fn alarm(&mut self) {
        let now = SystemTime::now();
        let current = self.current.as_ref();
        let overdue = current.is_some_and(|own| now >= schedule::overdue_at(&own.leaf));
        let changed = self.renewal.send_if_modified(|renewal| {
            let changed = renewal.overdue != overdue;
            renewal.overdue = overdue;
            changed
        });
        let left = current.map(|own| schedule::until(own.leaf.not_after(), now));
        match (changed, overdue) {
            (true, true) => {
                let reason = self.renewal.borrow().last_error.clone().unwrap_or_default();
                tracing::error!(
                    id = %self.id, ?left, reason,
                    "renewal of the certificate is overdue; when it ends mesh traffic is refused"
                );
            }
            (true, false) => tracing::info!(id = %self.id, ?left, "renewal is no longer overdue"),
            (false, _) => {}
        }
    }
}
