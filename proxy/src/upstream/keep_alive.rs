//! How long the other side keeps an idle connection: learnt, so that ours goes first. A request that meets the
//! server's close on its way may have been served or not, and one that is not idempotent then fails; nobody can
//! repair that afterwards, so it is made rare.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::{HeaderMap, HeaderName};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Where nothing is known.
pub(super) const DEFAULT: Duration = Duration::from_secs(60);
/// A close this soon is no timeout of anybody's: the server stops, or lives in a hurry.
const SHORTEST: Duration = Duration::from_millis(500);

/// What is known of one endpoint. Ages are in milliseconds.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    /// The server's timeout; 0 if unknown.
    timeout: AtomicU64,
    /// Between which ages it last closed an idle connection.
    seen: AtomicU64,
    gone: AtomicU64,
}

impl KeepAlive {
    /// How long a connection may have been idle to be used again.
    pub(super) fn usable(&self) -> Duration {
        match self.timeout.load(Relaxed) {
            0 => DEFAULT,
            timeout => margin(Duration::from_millis(timeout)).min(DEFAULT),
        }
    }

    /// The server closed a connection that was idle between these ages. Twice at an age that can be the same is its
    /// timeout.
    pub(super) fn closed(&self, seen: Duration, gone: Duration) {
        if seen < SHORTEST {
            return;
        }
        let (seen, gone) = (millis(seen), millis(gone));
        let last = (self.seen.swap(seen, Relaxed), self.gone.swap(gone, Relaxed));
        if seen.max(last.0) <= gone.min(last.1) {
            self.timeout.store(seen.max(last.0), Relaxed);
        }
    }

    /// `Keep-Alive: timeout=5`, as some servers say.
    pub(super) fn told(&self, headers: &HeaderMap) {
        let Some(value) = headers.get(KEEP_ALIVE).and_then(|value| value.to_str().ok()) else {
            return;
        };
        let timeout = value.split(',').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("timeout").then(|| value.trim().parse::<u64>().ok())?
        });
        if let Some(seconds @ 1..) = timeout {
            self.timeout.store(seconds.saturating_mul(1000), Relaxed);
        }
    }
}

/// Earlier by a tenth, and by half a second where that is more: the way there takes time too.
fn margin(timeout: Duration) -> Duration {
    let early = (timeout / 10).max(Duration::from_millis(500)).min(timeout / 2);
    timeout - early
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &'static str) -> Duration {
        let keep_alive = KeepAlive::default();
        let value = http::HeaderValue::from_static(value);
        keep_alive.told(&HeaderMap::from_iter([(KEEP_ALIVE, value)]));
        keep_alive.usable()
    }

    #[test]
    fn what_servers_say() {
        let millis = Duration::from_millis;
        for (value, expected) in [
            ("timeout=5", millis(4500)),
            ("max=100, Timeout=20", millis(18_000)),
            ("timeout=1", millis(500)),
            ("timeout=75", DEFAULT),
            ("timeout=0", DEFAULT),
            ("timeout=x", DEFAULT),
            ("5", DEFAULT),
        ] {
            assert_eq!(told(value), expected, "{value}");
        }
    }

    #[test]
    fn what_servers_do() {
        let seconds = Duration::from_secs_f64;
        let after = |closes: &[(f64, f64)]| {
            let keep_alive = KeepAlive::default();
            closes
                .iter()
                .for_each(|(seen, gone)| keep_alive.closed(seconds(*seen), seconds(*gone)));
            keep_alive.usable()
        };
        assert_eq!(after(&[(4.2, 5.2)]), DEFAULT, "once is an accident");
        assert_eq!(after(&[(4.2, 5.2), (5.0, 6.0)]), seconds(4.5));
        assert_eq!(after(&[(4.0, 5.0), (1.0, 2.0), (7.0, 8.0)]), DEFAULT, "a server that stops");
        assert_eq!(after(&[(0.1, 1.0), (0.2, 1.1)]), DEFAULT);
        let anew = [(29.5, 30.5), (29.5, 30.5), (4.8, 5.8), (5.0, 6.0)];
        assert_eq!(after(&anew), seconds(4.5), "it has been configured anew");
    }
}
