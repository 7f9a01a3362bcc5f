//! Child processes: the program with its output in a log, restarted on demand, killed when the value goes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{eventually, within};

/// Lines of a log that a failed test shows.
const QUOTED: usize = 60;

/// For lines that are under way.
const LOGGED: Duration = Duration::from_secs(20);

/// What it takes to start a process, any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What people call it.
    pub(crate) name: String,
    /// The executable.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// What its environment has besides `PATH`.
    pub(crate) variables: Vec<(String, String)>,
    /// Where its output goes; appended to by every start.
    pub(crate) log: PathBuf,
}

/// A [`Program`] that runs, or ran, or runs again.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    /// Lock: never held over an await.
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts the program.
    pub(crate) fn start(program: Program) -> Result<Self> {
        let process = Self { program, child: Mutex::new(None) };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it again, after it has ended.
    pub(crate) fn start_again(&self) -> Result<()> {
        let mut slot = self.child();
        ensure!(slot.is_none(), "{} still runs", self.program.name);
        let Program { path, args, variables, log, .. } = &self.program;
        let log = File::options().create(true).append(true).open(log)?;
        let child = std::process::Command::new(path)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        *slot = Some(child.with_context(|| format!("cannot start {}", path.display()))?);
        Ok(())
    }

    /// Its process id; an error if it does not run.
    pub(crate) fn pid(&self) -> Result<Pid> {
        match self.child().as_mut() {
            Some(child) => match child.try_wait()? {
                None => Ok(Pid::from_raw(child.id().cast_signed())),
                Some(status) => bail!("{} ended with {status}", self.program.name),
            },
            None => bail!("{} does not run", self.program.name),
        }
    }

    /// Bytes of memory that it has now.
    pub(crate) fn rss(&self) -> u64 {
        let pid = self.pid().expect("it runs");
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).expect("Linux");
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
    }

    /// The most memory that it has had since [`Self::forget_peak`], in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let pid = self.pid().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("Linux knows the peak") * 1024
    }

    /// From now on the peak counts anew.
    pub(crate) fn forget_peak(&self) {
        let pid = self.pid().expect("it runs");
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process is ours");
    }

    /// SIGKILL, and gone.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            // One that has ended by itself needs no signal.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid().expect("it runs"), signal).expect("it is our child");
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn terminate(&self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(deadline).await
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.program.name);
        let status = eventually(&what, deadline, async || {
            let mut slot = self.child();
            let child = slot.as_mut().context("it does not run")?;
            child.try_wait()?.context("still running")
        })
        .await;
        self.child().take();
        status
    }

    /// All that it has written.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.program.log).unwrap_or_default()).into_owned()
    }

    /// The log once all of this is in it. Log lines go their own way: they may come after the answer that they tell of.
    pub(crate) async fn logged(&self, said: &[&str]) -> String {
        eventually("the log says so", LOGGED, async || {
            let log = self.log();
            let missing = said.iter().find(|said| !log.contains(**said));
            ensure!(missing.is_none(), "nothing of {missing:?}: {}", self.quote());
            Ok(log)
        })
        .await
    }

    /// The log's end, for people.
    pub(crate) fn quote(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(QUOTED)..].join("\n");
        format!("--- {} ({} lines)\n{end}", self.program.name, lines.len())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.quote());
        }
    }
}

/// How a program that ran to its end ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

impl Output {
    /// Stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a program to its end.
pub(crate) async fn run(program: &Program, deadline: Duration) -> Output {
    let mut command = tokio::process::Command::new(&program.path);
    command
        .args(&program.args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(program.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = within(&program.name, deadline, command.output()).await.expect("it starts");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
