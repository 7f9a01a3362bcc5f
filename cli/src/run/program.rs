//! The user's program: started in the foreground, signals passed on, its exit code kept.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::process::parent;
use crate::signals::Asked;

/// The program, running. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    from_terminal: bool,
}

impl Program {
    /// Starts it with this process's terminal, environment and process group. It goes through `weft exec`, which
    /// makes it die with this process.
    ///
    /// # Errors
    /// The system refuses another process.
    pub(super) fn start(words: &[OsString]) -> Result<Self> {
        let child = Command::new("/proc/self/exe")
            .args(parent::following(std::process::id()))
            .arg("exec")
            .args(words)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the program")?;
        Ok(Self { child, from_terminal: std::io::stdin().is_terminal() })
    }

    /// Waits for its end; the exit code as a shell would tell it.
    ///
    /// # Errors
    /// It was lost.
    pub(super) async fn ended(&mut self) -> Result<u8> {
        let status = self.child.wait().await.context("the program was lost")?;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }

    /// Passes a signal on. A terminal sends Ctrl-C to the program itself: twice would be once too often.
    pub(super) fn pass_on(&self, asked: Asked) {
        let signal = match asked {
            Asked::Interrupt if self.from_terminal => return,
            Asked::Interrupt => Signal::SIGINT,
            Asked::Terminate => Signal::SIGTERM,
            Asked::HangUp => Signal::SIGHUP,
        };
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself; `ended` tells.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
