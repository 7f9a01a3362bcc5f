//! The network namespace of a pod that somebody else has made, the kubelet for one: a future runs in there as one user,
//! so that a test's own client is a container of that pod to everybody, its sidecar too.

use std::fs;
use std::future::Future;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::APP_UID;
use super::command::ip;
use super::runtime::Runtime;

/// Where plugins of CNI keep them, and how they begin.
const DIRECTORY: &str = "/run/netns";
const PREFIX: &str = "cni-";

/// A way in. Ends with the value, and all that was begun there.
#[derive(Debug)]
pub(crate) struct Inside(Runtime);

impl Inside {
    /// Into the pod with this address, as the user of applications.
    ///
    /// # Errors
    /// No pod on this machine has it.
    pub(crate) fn of(pod: IpAddr) -> Result<Self> {
        Ok(Self(Runtime::start(&namespace(pod)?, APP_UID)?))
    }

    /// Runs a future in there.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.0.handle().spawn(future).await.expect("what runs inside does not panic")
    }
}

/// What one process of a pod takes, as the kernel counts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory, in KiB.
    pub(crate) resident: u64,
    /// The most that it ever was.
    pub(crate) peak: u64,
    /// CPU time since its start, user and system.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of the process of this name in the pod with this address.
    ///
    /// # Errors
    /// There is no such process.
    pub(crate) fn of(pod: IpAddr, program: &str) -> Result<Self> {
        let inode = fs::metadata(namespace(pod)?)?.ino();
        let is_it = |process: &PathBuf| {
            fs::metadata(process.join("ns/net")).is_ok_and(|found| found.ino() == inode)
                && fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with(program))
        };
        let mut processes = fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
        let process = processes.find(is_it);
        let process = process.with_context(|| format!("{pod} runs no {program}"))?;
        let status = fs::read_to_string(process.join("status"))?;
        let kib = |field: &str| -> Result<u64> {
            let found = status.lines().find_map(|line| line.strip_prefix(field));
            Ok(found.context("it has memory")?.trim().trim_end_matches(" kB").parse()?)
        };
        let stat = fs::read_to_string(process.join("stat"))?;
        // After the name, which may have anything in it: field 3 and on.
        let (_, fields) = stat.rsplit_once(')').context("it has a name")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || anyhow::Ok(fields.next().context("it is long enough")?.parse::<u64>()?);
        // A tick is 10 ms on every Linux that anybody runs.
        let cpu = Duration::from_millis(10 * (ticks()? + ticks()?));
        Ok(Self { resident: kib("VmRSS:")?, peak: kib("VmHWM:")?, cpu })
    }
}

/// The namespace of the pod with this address.
fn namespace(pod: IpAddr) -> Result<PathBuf> {
    let named = format!(" {pod}/");
    let has = |name: &String| {
        // One that has just gone has no addresses.
        ip(&format!("-n {name} -o addr")).is_ok_and(|addresses| addresses.contains(&named))
    };
    let entries = fs::read_dir(DIRECTORY)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut ours = names.filter(|name| name.starts_with(PREFIX));
    let name = ours.find(has).with_context(|| format!("no pod has {pod}"))?;
    Ok(Path::new(DIRECTORY).join(name))
}
