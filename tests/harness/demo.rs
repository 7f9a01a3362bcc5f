//! `weft demo` in directories of its own, and a look at what of it is there: processes by what they inherited, files
//! by where they lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{Output, Program, binary, run};

/// A running demo. If the test fails, everything of it is killed.
pub(crate) struct Demo {
    child: Child,
    directory: TempDir,
}

/// What a demo has left behind.
pub(crate) struct Remains(TempDir);

impl Demo {
    /// Starts `weft demo` with `args`, in a directory with a copy of the checkout's manifests.
    pub(crate) fn start(args: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("weft-test-").tempdir()?;
        let manifests = directory.path().join("k8s/demo");
        fs::create_dir_all(&manifests)?;
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/demo");
        for entry in fs::read_dir(checkout)?.flatten() {
            fs::copy(entry.path(), manifests.join(entry.file_name()))?;
        }
        fs::create_dir(directory.path().join("run"))?;
        let child = Command::new(binary("weft"))
            .arg("demo")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("XDG_RUNTIME_DIR", directory.path().join("run"))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { child, directory })
    }

    /// Sends the demo itself a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().context("it has ended")?;
        Ok(kill(Pid::from_raw(pid.cast_signed()), signal)?)
    }

    /// Would an interrupt mean anything to it yet? A shell starts what it puts into the background with interrupts
    /// ignored, and a program inherits that until it catches them itself.
    pub(crate) fn heeds_interrupts(&self) -> Result<bool> {
        let pid = self.child.id().context("it has ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = u64::from_str_radix(ignored.context("no SigIgn")?.trim(), 16)?;
        Ok(ignored & (1 << (Signal::SIGINT as u32 - 1)) == 0)
    }

    /// Its processes, the demo's own among them.
    pub(crate) fn processes(&self) -> Vec<(Pid, String)> {
        processes(self.directory.path())
    }

    /// The directory of manifests that it watches.
    pub(crate) fn manifests(&self) -> PathBuf {
        let copy = self.directory.path().join("run/weft/demo/manifests");
        if copy.exists() { copy } else { self.directory.path().join("k8s/demo") }
    }

    /// Runs `weft` against it.
    pub(crate) async fn weft(&self, args: &[&str]) -> Output {
        let root = self.directory.path().join("run");
        let program = Program {
            name: format!("weft {}", args.join(" ")),
            path: binary("weft"),
            args: args.iter().map(Into::into).collect(),
            variables: vec![("XDG_RUNTIME_DIR".to_owned(), root.to_string_lossy().into_owned())],
            log: PathBuf::new(),
        };
        run(&program, Duration::from_secs(30)).await
    }

    /// Waits for its end.
    pub(crate) async fn ended(self, deadline: Duration) -> (Output, Remains) {
        let Self { child, directory } = self;
        let remains = Remains(directory);
        let ended = tokio::time::timeout(deadline, child.wait_with_output()).await;
        let output = ended.unwrap_or_else(|_| {
            panic!("not within {deadline:?}: the demo ends; {:#?}", remains.list())
        });
        let output = output.expect("its output can be read");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code();
        (Output { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }, remains)
    }
}

impl Remains {
    /// Processes that still run, and files that still lie.
    pub(crate) fn list(&self) -> Vec<String> {
        let processes = processes(self.0.path()).into_iter();
        let mut found: Vec<String> = processes.map(|(pid, line)| format!("{pid} {line}")).collect();
        let mut directories = vec![self.0.path().join("run")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                found.push(entry.path().display().to_string());
                directories.push(entry.path());
            }
        }
        found
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        for (pid, _) in processes(self.0.path()) {
            // One that ends by itself meanwhile needs no signal.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Processes whose environment names `directory`, with their command lines.
fn processes(directory: &Path) -> Vec<(Pid, String)> {
    let needle = directory.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let text = |file: &str| {
            let bytes = fs::read(entry.path().join(file)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        let inherited = text("environ")?.contains(&needle);
        inherited.then(|| (Pid::from_raw(pid), text("cmdline").unwrap_or_default()))
    });
    own.collect()
}
