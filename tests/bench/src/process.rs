//! Child processes: started with their output in a file, measured by their CPU clocks and memory, and killed
//! with everything they started when the value goes.

use std::fs::{self, File};
use std::ops::Sub;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Lines of a log that an error quotes.
const QUOTED: usize = 12;

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `<dir>/<name>.log`.
    pub(crate) fn start(name: &str, command: &mut Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// An error that quotes the log, if the process has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.last_lines()),
        }
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED)..].join("\n")
    }

    /// The process and all its descendants.
    pub(crate) fn tree(&self) -> Vec<Pid> {
        let mut pids = vec![Pid::from_raw(self.child.id().cast_signed())];
        let mut next = 0;
        while let Some(pid) = pids.get(next).copied() {
            pids.extend(children(pid));
            next += 1;
        }
        pids
    }

    /// Resident memory of the tree, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.tree().into_iter().map(resident).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Race: an id may belong to somebody else once its process has been waited for.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Order: the tree is read first; children of a dead parent can no longer be found.
        for pid in self.tree() {
            // One that has ended meanwhile needs no signal.
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().flat_map(|thread| fs::read_to_string(thread.path().join("children")));
    lists
        .flat_map(|list| list.split_whitespace().map(str::parse).collect::<Vec<_>>())
        .flatten()
        .map(Pid::from_raw)
        .collect()
}

fn resident(pid: Pid) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kib = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = kib.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kib: u64 = kib.with_context(|| format!("no Rss in {path}"))?.trim().parse()?;
    Ok(kib * 1024)
}

/// Reads the CPU time of a pair of proxies. The clocks are the kernel's per-process CPU clocks: exact to the
/// nanosecond, threads that have ended included, unlike the ticks of `/proc/PID/stat`.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    outbound: Vec<Pid>,
    inbound: Vec<Pid>,
}

/// CPU time since the start of each process, or between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Of this process, which makes the load.
    pub(crate) load: Duration,
    pub(crate) outbound: Duration,
    pub(crate) inbound: Duration,
}

impl Probe {
    /// Remembers who belongs to the two proxies now.
    pub(crate) fn new(outbound: &Process, inbound: &Process) -> Self {
        Self { outbound: outbound.tree(), inbound: inbound.tree() }
    }

    /// Reads all; an error if a process has ended.
    pub(crate) fn sample(&self) -> Result<Sample> {
        Ok(Sample {
            load: cpu_time(&[Pid::this()])?,
            outbound: cpu_time(&self.outbound)?,
            inbound: cpu_time(&self.inbound)?,
        })
    }
}

fn cpu_time(pids: &[Pid]) -> Result<Duration> {
    let read = |pid: &Pid| clock_getcpuclockid(*pid)?.now();
    let times = pids.iter().map(|pid| read(pid).map(Duration::from));
    times.sum::<nix::Result<Duration>>().context("a measured process has ended")
}

impl Sub for Sample {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            load: self.load.saturating_sub(earlier.load),
            outbound: self.outbound.saturating_sub(earlier.outbound),
            inbound: self.inbound.saturating_sub(earlier.inbound),
        }
    }
}
