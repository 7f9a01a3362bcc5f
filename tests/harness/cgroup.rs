//! What the kernel allows a process of a test: a cgroup with a limit of memory, v1 or v2 as the machine has it; and the
//! files that the test itself may open. It takes root.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A cgroup of a test's own. Gone with the value, for which its processes must be gone: declare it before them.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directory: PathBuf,
    is_v2: bool,
}

impl Cgroup {
    /// With so many bytes of memory and no swap. An error says why none can be made here.
    pub(crate) fn with_memory(bytes: u64) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weft-test-{}-{number}", std::process::id());
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let is_v2 = !v1.join("memory.limit_in_bytes").exists();
        let root = if is_v2 { Path::new("/sys/fs/cgroup") } else { v1 };
        if is_v2 {
            fs::write(root.join("cgroup.subtree_control"), "+memory")
                .context("the memory controller cannot be had")?;
        }
        let directory = root.join(name);
        fs::create_dir(&directory).with_context(|| format!("{}", directory.display()))?;
        let cgroup = Self { directory, is_v2 };
        let limit = if is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(cgroup.directory.join(limit), bytes.to_string())
            .context("no limit can be set")?;
        // Where there is no swap there is no such file, or it refuses.
        let swap = if is_v2 { ("memory.swap.max", "0") } else { ("memory.swappiness", "0") };
        let _ = fs::write(cgroup.directory.join(swap.0), swap.1);
        Ok(cgroup)
    }

    /// What a shell does to be in it.
    pub(crate) fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.directory.display())
    }

    /// The most that it has used, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.number(if self.is_v2 { "memory.peak" } else { "memory.max_usage_in_bytes" })
    }

    /// What it uses, in bytes.
    pub(crate) fn usage(&self) -> u64 {
        self.number(if self.is_v2 { "memory.current" } else { "memory.usage_in_bytes" })
    }

    /// Processes that were killed because it was full.
    pub(crate) fn killed(&self) -> u64 {
        let file = if self.is_v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.directory.join(file)).expect("it is ours");
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse().ok()).expect("the kernel counts them")
    }

    fn number(&self, file: &str) -> u64 {
        let text = fs::read_to_string(self.directory.join(file)).expect("it is ours");
        text.trim().parse().expect("it is a number")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // One that is left is empty, and says by its name whose it was.
        let _ = fs::remove_dir(&self.directory);
    }
}

/// The test's own process may open as many files as the system allows it; returns how many.
pub(crate) fn raise_file_limit() -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit it is allowed");
    hard
}
