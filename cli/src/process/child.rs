//! One child process: its output read, its end told in words. Used by `keeper` and `run`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::parent;

/// The running executable's own file, which is there even if it was replaced on disk meanwhile.
const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// Bound: what is kept of a child's output, to show it if the child dies.
const TAIL_LINES: usize = 12;
/// Bound: a longer line is cut.
const MAX_LINE: usize = 2000;
/// Signals that come from outside.
const ENDED_BY_OTHERS: [i32; 3] =
    [Signal::SIGKILL as i32, Signal::SIGTERM as i32, Signal::SIGINT as i32];
/// How long a dead child's output is waited for; somebody else may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Name for people: `sidecar of order`.
    pub(crate) name: String,
    /// Arguments of this executable.
    pub(crate) args: Vec<OsString>,
    /// Environment besides the inherited one.
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// `was killed by SIGKILL`.
    pub(crate) reason: String,
    /// Its last lines of output, where they may explain it.
    pub(crate) tail: Vec<String>,
}

/// A started process; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
    readers: JoinSet<()>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Child {
    /// Starts it in a process group of its own, so that a Ctrl-C in the terminal reaches only the supervisor,
    /// which ends its children in the right order. `lines` gets its output, if given.
    ///
    /// # Errors
    /// The system refuses another process.
    pub(crate) fn start(
        spec: &Spec,
        lines: Option<mpsc::Sender<(String, String)>>,
    ) -> Result<Self> {
        let mut command = Command::new(OWN_EXECUTABLE);
        command
            .arg0("weft")
            .args(parent::following(std::process::id()))
            .args(&spec.args)
            .envs(spec.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut process =
            command.spawn().with_context(|| format!("cannot start the {}", spec.name))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            let (name, tail) = (spec.name.clone(), Arc::clone(&tail));
            readers.spawn(read_lines(stdout, name, tail, lines.clone()));
        }
        if let Some(stderr) = process.stderr.take() {
            readers.spawn(read_lines(stderr, spec.name.clone(), Arc::clone(&tail), lines));
        }
        Ok(Self { process, readers, tail })
    }

    /// Its process id; `None` once it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Ending {
        let ended = self.process.wait().await;
        // Race: its last words may still be in the pipe.
        let words = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_WORDS, words).await;
        let status = match ended {
            Ok(status) => status,
            Err(error) => return Ending { reason: format!("was lost: {error}"), tail: Vec::new() },
        };
        // What somebody else has ended has nothing to say about it.
        let by_others = status.signal().is_some_and(|number| ENDED_BY_OTHERS.contains(&number));
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = if by_others { Vec::new() } else { tail.iter().cloned().collect() };
        Ending { reason: describe(status), tail }
    }

    /// Asks it to end, then makes it, and waits until it has.
    pub(crate) async fn stop(mut self, grace: Duration) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself; `wait` tells.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(grace, self.process.wait()).await.is_err() {
            // Fails only if it has ended by now.
            let _ = self.process.kill().await;
        }
    }
}

/// How a process ended, for people.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// Reads a child's output to its end, keeping the last lines.
async fn read_lines(
    mut output: impl AsyncRead + Unpin,
    name: String,
    tail: Arc<Mutex<VecDeque<String>>>,
    lines: Option<mpsc::Sender<(String, String)>>,
) {
    let mut line = Vec::new();
    let mut chunk = vec![0; 4096];
    while let Ok(length @ 1..) = output.read(&mut chunk).await {
        for &byte in &chunk[..length] {
            if byte != b'\n' {
                if line.len() < MAX_LINE {
                    line.push(byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if let Some(lines) = &lines {
                // Bound: with more lines than anybody reads, some are left out.
                let _ = lines.try_send((name.clone(), text.clone()));
            }
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text);
        }
    }
}

#[cfg(test)]
mod tests;
