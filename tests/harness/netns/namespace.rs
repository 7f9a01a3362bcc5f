//! One network namespace with a name that `ip netns` knows. Its processes end with it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, setfsuid};

use super::command::{batch, ip};

/// Where `ip netns` keeps them.
const DIRECTORY: &str = "/run/netns";

/// A namespace. Goes with the value.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, with loopback up and IPv6 addresses that are usable at once.
    pub(super) fn create(name: &str) -> Result<Self> {
        ip(&format!("netns add {name}"))?;
        // From here on it goes when anything fails.
        let this = Self { name: name.to_owned() };
        // Duplicate addresses need no second of waiting here: we choose them all.
        for scope in ["all", "default"] {
            this.set(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
        }
        batch(Some(name), &["link set lo up".to_owned()])?;
        Ok(this)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it is entered by.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Runs `inside` in it, as this user, on a thread that ends with it: a thread that has been inside is never used
    /// for anything else.
    pub(super) fn enter<T: Send>(&self, uid: u32, inside: impl FnOnce() -> T + Send) -> Result<T> {
        let path = self.path();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                become_local(&path, uid)?;
                Ok(inside())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sets a variable of the kernel in it.
    pub(super) fn set(&self, variable: &str, value: &str) -> Result<()> {
        // `/proc/sys/net` shows the namespace of whoever opens it.
        self.enter(0, || fs::write(Path::new("/proc/sys").join(variable), value))?
            .with_context(|| format!("{variable} = {value}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Takes this very thread into a namespace, and gives its sockets to this user. For good: let the thread end.
pub(super) fn become_local(path: &Path, uid: u32) -> Result<()> {
    let namespace = File::open(path).with_context(|| format!("{}", path.display()))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace")?;
    // Of a socket the kernel remembers who its file belongs to; this is that user, for this thread alone.
    setfsuid(Uid::from_raw(uid));
    Ok(())
}

/// Ends what runs in it, and removes it.
fn remove(name: &str) {
    // Order: processes first, or the namespace would live on without a name. They are the test's own.
    for pid in ip(&format!("netns pids {name}")).unwrap_or_default().split_whitespace() {
        if let Ok(pid) = pid.parse() {
            // One that has just ended needs no signal.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    if let Err(error) = ip(&format!("netns del {name}")) {
        super::super::loud(&format!("{name} is left behind: {error:#}"));
    }
}

/// Removes what test runs that are no more have left.
pub(super) fn sweep() {
    let Ok(names) = fs::read_dir(DIRECTORY) else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("weft-").and_then(|rest| rest.split_once('-'));
        let Some(pid) = owner.and_then(|(pid, _)| pid.parse::<u32>().ok()) else { continue };
        let gone = fs::metadata(format!("/proc/{pid}"))
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if gone {
            // Two that sweep at once: one comes too late, and says so.
            remove(&name);
        }
    }
}
