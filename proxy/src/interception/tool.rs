//! Runs `nft` and `iptables`, and says in plain words why they could not.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

/// Bit of CAP_NET_ADMIN in a set of capabilities.
const NET_ADMIN: u32 = 12;

/// Why a tool did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    /// It is not installed.
    #[error("`{0}` is not on the PATH: install nftables, or iptables")]
    Missing(String),
    /// We may not.
    #[error(
        "`{0}` was refused: changing rules needs CAP_NET_ADMIN in this network namespace. Run as root; in a \
         container as user 0 with `capabilities: {{add: [NET_ADMIN]}}` (a capability added for another user has no \
         effect)"
    )]
    NotAllowed(String),
    /// It, or the kernel, did not want to.
    #[error("`{command}`: {message}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        message: String,
    },
}

/// Runs a tool with this input to its end; what it has written.
///
/// # Errors
/// See [`ToolError`].
pub(super) fn run(program: &str, args: &[&str], input: &str) -> Result<String, ToolError> {
    let command = format!("{program} {}", args.join(" "));
    let failed = |message: String| ToolError::Failed { command: command.clone(), message };
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ToolError::Missing(program.to_owned()));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended without reading says why itself. All of them read to the end before they write.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    if !may_administer() {
        return Err(ToolError::NotAllowed(command));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim())))
}

/// Have we CAP_NET_ADMIN? If nobody can tell, yes: then the tool's own words are shown.
fn may_administer() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    capabilities(&status).is_none_or(|set| set & (1 << NET_ADMIN) != 0)
}

/// The effective ones.
fn capabilities(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

#[cfg(test)]
mod tests;
