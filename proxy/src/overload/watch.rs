//! The watcher of [`super::Overload`]: reads, decides by [`super::level`], says so once. Runs on the control thread.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::cgroup::Cgroup;
use super::{Overload, Pressure, heap, level};
use crate::telemetry::metrics::resident_bytes;

/// How often what is idle is let go and memory is given back while it is short, and how often a limit is read that may
/// have been changed.
const RELIEF: Duration = Duration::from_secs(1);
/// How long a lack of descriptors is one.
const FILES: Duration = Duration::from_secs(1);
/// Not more often is it said.
const SAY: Duration = Duration::from_secs(10);
/// The longest that a lack of descriptors waits to be seen.
const LOOK: Duration = Duration::from_millis(100);

/// Whose limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// The cgroup's, if it has one.
    #[default]
    Cgroup,
    /// So many bytes of resident memory.
    Resident(u64),
    /// Nobody's.
    None,
}

/// Where what is used is read.
#[derive(Debug)]
pub(super) enum Gauge {
    Cgroup(Cgroup),
    Resident(u64),
    None,
}

/// Watches for ever. `relieve` lets go of what the process keeps for later; it is called each second while memory is
/// short.
pub async fn watch(overload: Overload, limit: Limit, relieve: impl Fn()) {
    let found = match limit {
        Limit::Cgroup => Cgroup::of_this_process().map_or(Gauge::None, Gauge::Cgroup),
        Limit::Resident(bytes) => Gauge::Resident(bytes),
        Limit::None => Gauge::None,
    };
    let gauge = overload.0.gauge.get_or_init(|| found);
    let mut said: [Option<Instant>; 2] = [None; 2];
    let (mut relieved, mut files_until, mut limit) = (None::<Instant>, None::<Instant>, 0);
    for look in 0_u64.. {
        let now = Instant::now();
        if look.is_multiple_of(10) {
            limit = gauge.limit();
            overload.0.limit.store(limit, Relaxed);
        }
        let used = gauge.used(limit);
        overload.0.used.store(used, Relaxed);
        let before = overload.is_shedding();
        let short = level::is_short(before, used, limit);
        overload.0.shedding.store(short, Relaxed);
        if overload.0.files.swap(false, Relaxed) {
            files_until = Some(now + FILES);
            if due(&mut said[1], now) {
                tracing::warn!(
                    most = overload.0.most_files,
                    "files are short: connections are turned away"
                );
            }
        }
        let files = files_until.is_some_and(|until| now < until);
        let tight = level::is_tight(used, limit);
        let pressure = match () {
            () if short || files => Pressure::Short,
            () if tight => Pressure::Tight,
            () => Pressure::None,
        };
        overload.0.pressure.send_if_modified(|now| std::mem::replace(now, pressure) != pressure);
        if short && !before && due(&mut said[0], now) {
            tracing::warn!(
                used,
                limit,
                "memory is short: new connections and requests are turned away"
            );
        }
        if (short || tight) && relieved.is_none_or(|at| now >= at + RELIEF) {
            if short {
                relieve();
            }
            heap::trim();
            relieved = Some(now);
        }
        tokio::time::sleep(level::pause(used, limit).min(LOOK)).await;
    }
}

/// Is it time to say it again?
fn due(said: &mut Option<Instant>, now: Instant) -> bool {
    let due = said.is_none_or(|at| now >= at + SAY);
    if due {
        *said = Some(now);
    }
    due
}

impl Gauge {
    fn limit(&self) -> u64 {
        match self {
            Self::Cgroup(cgroup) => cgroup.limit(),
            Self::Resident(limit) => *limit,
            Self::None => 0,
        }
    }

    /// What the kernel could not take back without harm: the working set, as the kubelet counts it.
    pub(super) fn used(&self, limit: u64) -> u64 {
        match self {
            Self::Cgroup(cgroup) => {
                let usage = cgroup.usage().unwrap_or_default();
                let is_near = level::is_near(usage, limit);
                if is_near { usage.saturating_sub(cgroup.inactive()) } else { usage }
            }
            Self::Resident(_) => resident_bytes().unwrap_or_default(),
            Self::None => 0,
        }
    }
}
