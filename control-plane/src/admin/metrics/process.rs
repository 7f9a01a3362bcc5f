//! What the kernel says of this process, under the names that every Prometheus client uses. A value that cannot be read is
//! left out.

use std::fs;

use super::page::{Page, seconds};

/// Of a kernel's tick, milliseconds: Linux tells programs a hundredth of a second, whatever it uses itself.
const TICK_MS: u64 = 10;

pub(super) fn write(page: &mut Page) {
    if let Some(millis) = cpu_millis() {
        page.family("process_cpu_seconds_total", "counter", "CPU time, user and system.");
        page.part("", &[], &seconds(millis));
    }
    if let Some(bytes) = resident_bytes() {
        page.family("process_resident_memory_bytes", "gauge", "Resident memory.");
        page.sample(&[], bytes);
    }
    if let Some(count) = open_files() {
        page.family("process_open_fds", "gauge", "Open files and sockets.");
        page.sample(&[], count);
    }
}

fn cpu_millis() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program comes before, in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let field = |index: usize| rest.split_whitespace().nth(index)?.parse::<u64>().ok();
    Some((field(11)? + field(12)?) * TICK_MS)
}

fn resident_bytes() -> Option<u64> {
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
