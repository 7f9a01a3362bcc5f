//! What it costs a sidecar to note what its callers ask for: by the number of paths that are asked for in turn, and what
//! all of it takes of memory when there is no room for more.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use comfy_table::Table;
use tokio::time::Instant;
use weft_certs::SpiffeId;
use weft_proxy::access::Traffic;

use super::time;

/// Paths that are asked for in turn.
const PATHS: [usize; 3] = [1, 100, 2000];
/// Callers enough to fill every book.
const CALLERS: u32 = 64;

/// A table of both.
pub(super) fn table(id: &SpiffeId) -> Result<Table> {
    let mut table = Table::new();
    table.set_header(["paths of 26 B", "note, ns", "entries", "reckoned, KiB", "resident, KiB"]);
    for count in PATHS {
        let traffic = Traffic::new(1);
        let page = traffic.page(0, Some(id), Ipv4Addr::LOCALHOST.into(), 8080);
        let paths: Vec<String> = (0..count).map(path).collect();
        let (mut next, now) = (0, Instant::now());
        let note = time(|| {
            page.request("GET", black_box(&paths[next]), now);
            next = (next + 1) % count;
        });
        let (entries, bytes) = traffic.size();
        table.add_row([
            count.to_string(),
            format!("{note:.0}"),
            entries.to_string(),
            (bytes / 1024).to_string(),
            String::new(),
        ]);
    }
    let (before, traffic, now) = (resident()?, Traffic::new(1), Instant::now());
    for caller in 0..CALLERS {
        let address: IpAddr = Ipv4Addr::from_bits(caller).into();
        let page = traffic.page(0, Some(id), address, 8080);
        for number in 0..1000 {
            page.request("GET", &path(number), now);
        }
    }
    let (entries, bytes) = traffic.size();
    let grown = resident()?.saturating_sub(before);
    table.add_row([
        "full".to_owned(),
        String::new(),
        entries.to_string(),
        (bytes / 1024).to_string(),
        grown.to_string(),
    ]);
    Ok(table)
}

fn path(number: usize) -> String {
    format!("/api/v1/resource-{number:04}/item")
}

/// Of this process, in KiB.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(text.parse()?)
}
