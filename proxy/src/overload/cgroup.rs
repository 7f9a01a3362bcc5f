//! The limit of memory that the kernel sets on this process, and what of it is used: cgroup v1 or v2, in a container or
//! not. Called by [`super::watch()`], before anything is under load: the file that is read often stays open, for there may
//! be no descriptor when it matters.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What a version calls its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    limit: &'static str,
    usage: &'static str,
    /// Of `memory.stat`: what of the usage is page cache that nobody has used lately.
    inactive: &'static str,
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};
const V2: Names = Names { limit: "memory.max", usage: "memory.current", inactive: "inactive_file" };

/// v1 writes what is no limit as the largest number of whole pages.
const UNLIMITED: u64 = 1 << 60;
/// Bound: `memory.stat` has less.
const STAT: usize = 8 * 1024;

/// The nearest cgroup of this process that has a limit.
#[derive(Debug)]
pub(super) struct Cgroup {
    names: Names,
    directory: PathBuf,
    usage: File,
    stat: File,
}

impl Cgroup {
    /// `None` if there is no limit, or nobody can tell.
    pub(super) fn of_this_process() -> Option<Self> {
        let cgroup = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (names, mount, below) = place(&cgroup, &mounts)?;
        let mut directory = mount.join(below);
        loop {
            if limit(&directory.join(names.limit)).is_some() {
                let usage = File::open(directory.join(names.usage)).ok()?;
                let stat = File::open(directory.join("memory.stat")).ok()?;
                return Some(Self { names, directory, usage, stat });
            }
            if directory == mount || !directory.pop() {
                return None;
            }
        }
    }

    /// Bytes; 0 if it was taken away.
    pub(super) fn limit(&self) -> u64 {
        limit(&self.directory.join(self.names.limit)).unwrap_or_default()
    }

    /// Bytes in use, page cache included.
    pub(super) fn usage(&self) -> Option<u64> {
        let mut text = [0; 32];
        let length = self.usage.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
    }

    /// Bytes of page cache that the kernel takes back before anything else.
    pub(super) fn inactive(&self) -> u64 {
        let mut text = [0; STAT];
        let length = self.stat.read_at(&mut text, 0).unwrap_or_default();
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
        let line = text.lines().find_map(|line| line.strip_prefix(self.names.inactive));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    }
}

fn limit(path: &Path) -> Option<u64> {
    let limit = fs::read_to_string(path).ok()?;
    // v2: `max`.
    limit.trim().parse().ok().filter(|limit| *limit < UNLIMITED)
}

/// Version, mount point and path below it, from `/proc/self/cgroup` and `/proc/self/mountinfo`. A container without a
/// namespace for cgroups sees the node's path, of which only its own end is mounted.
fn place(cgroup: &str, mounts: &str) -> Option<(Names, PathBuf, PathBuf)> {
    let lines = || cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let v1 = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory"));
    let (names, path, option) = match v1 {
        Some((_, path)) => (V1, path, Some("memory")),
        None => (V2, lines().find(|(controllers, _)| controllers.is_empty())?.1, None),
    };
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut fields = after.split(' ');
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let fits = match option {
            Some(option) => kind == "cgroup" && options.split(',').any(|name| name == option),
            None => kind == "cgroup2",
        };
        fits.then_some((root, point))
    });
    let (root, point) = mount?;
    let below = match root {
        "/" => path,
        root => path.strip_prefix(root).unwrap_or_default(),
    };
    let below = below.trim_start_matches('/');
    // Outside of what this process may see.
    let below = if below.starts_with("..") { "" } else { below };
    Some((names, PathBuf::from(point), PathBuf::from(below)))
}

#[cfg(test)]
mod tests;
