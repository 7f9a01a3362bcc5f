//! `weft-proxy init`: the rules of the kernel that lead a pod's TCP through its sidecar. An init container runs it
//! once, before the sidecar and the application; `main_with_args` calls [`run`].
//!
//! Pure parts say what the rules are (`ruleset` for nft, `chains` for iptables) and how they differ from what is there
//! (`difference`); the others run the tools. Reference: `docs/reference/interception.md`.
//!
//! Never: anything but our own table or chains is changed; nothing is left half done that would let traffic pass the
//! sidecar by unseen; no text of a user reaches a tool, only numbers and addresses that were read from it.

mod chains;
mod cidr;
mod difference;
mod iptables;
mod nft;
mod ports;
mod ruleset;
mod settings;
mod tool;

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

pub use cidr::{Cidr, Cidrs};
pub use ports::{PortRange, Ports};
pub use settings::{HEALTH_PORT, INBOUND_PORT, OUTBOUND_PORT, PROXY_UID, Settings, uid, uids};

use chains::{Family, Present};
use iptables::Iptables;
use tool::ToolError;

/// Entries of one list. Each is a rule that every new connection passes, with iptables.
pub const MAX_ENTRIES: usize = 256;

/// What `weft-proxy init` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// What the rules are to say.
    pub settings: Settings,
    /// Who is to keep them.
    pub backend: Backend,
    /// What is to be done.
    pub action: Action,
}

/// Who keeps the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// nft if it is there and the kernel takes the rules, else iptables.
    #[default]
    Auto,
    /// One `inet` table.
    Nft,
    /// Chains of iptables and ip6tables.
    Iptables,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Bring the rules into force, whatever was there.
    #[default]
    Install,
    /// Remove them.
    Cleanup,
    /// Say what is missing or differs.
    Check,
    /// Write the rules down, and do nothing.
    DryRun,
}

/// Does what is asked for; `out` gets what `Check` and `DryRun` say.
///
/// # Errors
/// No tool, no right, or a kernel that refuses; for `Check` also any difference.
pub fn run(init: &Init, out: &mut impl Write) -> Result<()> {
    match init.action {
        Action::Install => install(init),
        Action::Cleanup => cleanup(init.backend),
        Action::Check => check(init, out),
        Action::DryRun => Ok(out.write_all(dry_run(init).as_bytes())?),
    }
}

fn install(init: &Init) -> Result<()> {
    let settings = &init.settings;
    // Order: what another backend may have left goes last, so that there is never nothing.
    if takes_nft(init)? {
        nft::install(settings)?;
        if let Ok(iptables) = Iptables::find() {
            iptables.remove().context("rules of iptables are there too and cannot be removed")?;
        }
        tracing::info!(backend = "nft", "interception is in force");
    } else {
        Iptables::find()?.install(settings)?;
        if nft::is_present().unwrap_or(false) {
            nft::remove().context("a table of nft is there too and cannot be removed")?;
        }
        tracing::info!(backend = "iptables", "interception is in force");
    }
    Ok(())
}

/// Is nft to keep the rules? Otherwise iptables can.
fn takes_nft(init: &Init) -> Result<bool> {
    match init.backend {
        Backend::Nft => Ok(true),
        Backend::Iptables => Ok(false),
        Backend::Auto => match (nft::within_reach(&init.settings), Iptables::find()) {
            (Ok(_), _) => Ok(true),
            (Err(nft), Ok(_)) => {
                tracing::warn!(reason = %nft, "not with nft; taking iptables");
                Ok(false)
            }
            (Err(nft), Err(iptables)) => Err(neither(nft, &iptables)),
        },
    }
}

/// A tool that is not there has left nothing, unless it was asked for by name.
fn cleanup(backend: Backend) -> Result<()> {
    match backend {
        Backend::Nft => Ok(nft::remove()?),
        Backend::Iptables => Ok(Iptables::find()?.remove()?),
        Backend::Auto => match (nft::remove(), Iptables::find()) {
            (Err(nft), Err(iptables)) => Err(neither(nft, &iptables)),
            (nft, Ok(iptables)) => {
                if let Err(reason @ ToolError::Failed { .. }) = nft {
                    // Where the kernel knows nothing of nft there is nothing to remove either.
                    tracing::warn!(%reason, "removed what iptables had; nft could not be asked");
                }
                Ok(iptables.remove()?)
            }
            (Ok(()), Err(_)) => Ok(()),
        },
    }
}

fn check(init: &Init, out: &mut impl Write) -> Result<()> {
    let settings = &init.settings;
    let findings = match init.backend {
        Backend::Nft => nft::findings(settings)?,
        Backend::Iptables => Iptables::find()?.findings(settings)?,
        Backend::Auto => check_both(settings)?,
    };
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => Ok(writeln!(out, "interception is in force")?),
        count => bail!("interception is not as wanted, {count} findings: run `weft-proxy init`"),
    }
}

/// Whoever has rules of ours is asked; nobody should, besides one.
fn check_both(settings: &Settings) -> Result<Vec<String>> {
    let (nft, iptables) = (nft::is_present(), Iptables::find());
    let left = iptables.as_ref().is_ok_and(|tools| tools.is_present().unwrap_or(false));
    match (nft, iptables) {
        (Ok(true), _) => {
            let mut findings = nft::findings(settings)?;
            if left {
                findings.push("iptables has rules of ours beside nft's".to_owned());
            }
            Ok(findings)
        }
        (_, Ok(iptables)) if left => Ok(iptables.findings(settings)?),
        (Err(nft), Err(iptables)) => Err(neither(nft, &iptables)),
        _ => Ok(vec!["there is no table and no chain of ours".to_owned()]),
    }
}

fn neither(nft: ToolError, iptables: &ToolError) -> anyhow::Error {
    match nft {
        // The other one lacks the same right: once is enough.
        ToolError::NotAllowed(_) => nft.into(),
        _ => anyhow::anyhow!("neither tool works: {nft}; {iptables}"),
    }
}

fn dry_run(init: &Init) -> String {
    let settings = &init.settings;
    match init.backend {
        Backend::Auto | Backend::Nft => ruleset::transaction(settings),
        Backend::Iptables => [("iptables", Family::V4), ("ip6tables", Family::V6)]
            .map(|(tool, family)| {
                let script = chains::installation(settings, family, Present::default());
                format!("# {tool}-restore --noflush\n{script}")
            })
            .concat(),
    }
}

/// A name part that nobody else uses at this moment: 8 hexadecimal digits.
fn unique() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", now.subsec_nanos() ^ std::process::id().rotate_left(16))
}

/// Entries of a list with commas; none if it is blank.
fn entries(text: &str) -> Result<Vec<&str>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    if entries.iter().any(|entry| entry.is_empty()) {
        return Err(format!("`{text}` has an empty entry: a comma too many"));
    }
    if entries.len() > MAX_ENTRIES {
        return Err(format!("{} entries, at most {MAX_ENTRIES}: use ranges", entries.len()));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
