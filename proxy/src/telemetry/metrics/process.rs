//! What the kernel says of this process, under the names that every Prometheus client uses. Read at a
//! scrape; a value that cannot be read is left out.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use prometheus::proto::MetricFamily;

use super::gather::{reading, reading_micros};
use super::names;

pub(super) fn gather() -> Vec<MetricFamily> {
    let cpu = cpu_micros().map(|micros| reading_micros(names::CPU, micros));
    let memory = resident_bytes().map(|bytes| reading(names::MEMORY, bytes));
    let files = open_files().map(|count| reading(names::OPEN_FILES, count));
    [cpu, memory, files].into_iter().flatten().collect()
}

fn cpu_micros() -> Option<u64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros.try_into().ok()
}

/// `None` where it cannot be read.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<u64> {
    // The directory that is being read is one of them.
    let count = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    count.try_into().ok()
}
