//! Runs `ip`, and says why there can be no namespaces here.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// Programs that a network of pods needs, and Debian's packages of them.
const NEEDED: [(&str, &str); 4] =
    [("ip", "iproute2"), ("nft", "nftables"), ("iptables", "iptables"), ("nsenter", "util-linux")];

/// Capabilities without which nothing here works: NET_ADMIN and SYS_ADMIN.
const CAPABILITIES: u64 = 1 << 12 | 1 << 21;

/// Why there can be no network of pods on this machine; `None` if there can.
pub(super) fn obstacle() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    let set = u64::from_str_radix(set.trim(), 16).unwrap_or(0);
    if set & CAPABILITIES != CAPABILITIES {
        return Some("network namespaces need root (CAP_NET_ADMIN and CAP_SYS_ADMIN)".to_owned());
    }
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"];
    let has = |program: &str| directories.iter().any(|dir| Path::new(dir).join(program).exists());
    let missing = NEEDED.iter().find(|(program, _)| !has(program));
    missing.map(|(program, package)| {
        format!("there is no `{program}`: install {package}, or use tests/run")
    })
}

/// `ip` with these arguments.
pub(super) fn ip(args: &str) -> Result<String> {
    let output = Command::new("ip").args(args.split(' ')).stdin(Stdio::null()).output();
    checked(&format!("ip {args}"), &output.context("`ip` cannot be started")?)
}

/// Several commands of `ip`, in a namespace: one process for all.
pub(super) fn batch(namespace: Option<&str>, commands: &[String]) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("it was piped")?;
    stdin.write_all((commands.join("\n") + "\n").as_bytes())?;
    drop(stdin);
    checked(&commands.join("; "), &child.wait_with_output()?).map(drop)
}

fn checked(command: &str, output: &Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
