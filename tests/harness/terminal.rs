//! A terminal with a shell command in it: `script` of util-linux, which every Debian has. What is typed, how large it is, and
//! every byte that was written to it.

use std::fs;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::within;

/// See the module. It goes with the value, and what runs in it with it.
pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    directory: TempDir,
}

impl Terminal {
    /// A terminal of so many rows and columns in which bash runs `command`.
    pub(crate) fn start(
        command: &str,
        (rows, columns): (u16, u16),
        variables: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let line = format!("stty rows {rows} cols {columns}; tty > tty; {command}");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &line, "written"])
            .current_dir(&directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SHELL", "/bin/bash")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("util-linux is there");
        let keys = child.stdin.take().expect("it is piped");
        Self { child, keys, directory }
    }

    /// Types this; `\x03` is Ctrl-C.
    pub(crate) async fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.expect("it is open");
        self.keys.flush().await.expect("it is open");
    }

    /// Another size, as when a window is resized.
    pub(crate) fn resize(&self, (rows, columns): (u16, u16)) {
        let tty = fs::read_to_string(self.directory.path().join("tty")).expect("it has begun");
        let (rows, columns) = (rows.to_string(), columns.to_string());
        let done = std::process::Command::new("stty")
            .args(["-F", tty.trim(), "rows", &rows, "cols", &columns])
            .status();
        assert!(done.expect("coreutils are there").success(), "{tty} takes another size");
    }

    /// Everything that was written to it.
    pub(crate) fn written(&self) -> String {
        let path: PathBuf = self.directory.path().join("written");
        let text = fs::read(path).unwrap_or_default();
        // Before it comes what `script` says itself.
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    /// How the command ended.
    pub(crate) async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        within("the terminal's command ends", deadline, self.child.wait()).await.expect("ours")
    }
}
