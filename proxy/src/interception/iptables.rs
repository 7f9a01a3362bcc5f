//! Loads our chains with iptables and ip6tables, removes them, compares them.

use std::path::Path;

use super::chains::{self, Family, Present, TABLES};
use super::difference::difference;
use super::tool::{ToolError, run};
use super::{Settings, unique};

/// How the tools may be called, the one that is tried first in front: what the system prefers, then each of the
/// two kinds of it.
const VARIANTS: [&str; 3] = ["", "-nft", "-legacy"];

/// Seconds that a tool waits while another one holds the tables.
const WAIT: &str = "5";

/// There as long as the kernel has IPv6 at all.
const IPV6: &str = "/proc/net/if_inet6";

/// The tools of one kind, which the kernel obeys.
#[derive(Debug)]
pub(super) struct Iptables {
    variant: &'static str,
    families: Vec<Family>,
}

impl Iptables {
    /// The first kind that works.
    ///
    /// # Errors
    /// Why the preferred one does not.
    pub(super) fn find() -> Result<Self, ToolError> {
        let families = if Path::new(IPV6).exists() {
            vec![Family::V4, Family::V6]
        } else {
            tracing::info!("this network namespace has no IPv6: rules for IPv4 only");
            vec![Family::V4]
        };
        let mut first = None;
        for variant in VARIANTS {
            let tools = Self { variant, families: families.clone() };
            let works = tools.families.iter().try_for_each(|family| tools.list(*family).map(drop));
            match works {
                Ok(()) => return Ok(tools),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| ToolError::Missing("iptables".to_owned())))
    }

    /// Brings our chains into force, whatever was there.
    ///
    /// # Errors
    /// A tool fails; then nothing of ours is left.
    pub(super) fn install(&self, settings: &Settings) -> Result<(), ToolError> {
        let install = |family: &Family| {
            let present = self.present(*family)?;
            self.restore(*family, &chains::installation(settings, *family, present))
        };
        let done = self.families.iter().try_for_each(install);
        if done.is_err() {
            // Half of it would let half of the traffic pass the sidecar by. What failed is said, not this.
            let _ = self.remove();
        }
        done
    }

    /// Removes all of ours, if it is there.
    pub(super) fn remove(&self) -> Result<(), ToolError> {
        for family in &self.families {
            let present = self.present(*family)?;
            if present.is_any() {
                self.restore(*family, &chains::removal(present))?;
            }
        }
        Ok(())
    }

    /// Is there anything of ours?
    pub(super) fn is_present(&self) -> Result<bool, ToolError> {
        let mut any = false;
        for family in &self.families {
            any |= self.present(*family)?.is_any();
        }
        Ok(any)
    }

    /// What differs from these settings. The wanted rules are loaded too, in chains that nothing leads to, so that
    /// iptables itself writes down both.
    pub(super) fn findings(&self, settings: &Settings) -> Result<Vec<String>, ToolError> {
        let suffix = format!("_{}", unique());
        let mut findings = Vec::new();
        for family in &self.families {
            self.restore(*family, &chains::trial(settings, *family, &suffix))?;
            let listing = self.list(*family);
            // Order: it goes before anything is said, also if it could not be listed.
            self.restore(*family, &chains::end_of_trial(&suffix))?;
            let listing = listing?;
            let [mut wanted, mut found] = chains::jumps(Present::read(&listing));
            wanted.extend(chains::listed(&listing, &suffix));
            found.extend(chains::listed(&listing, ""));
            let tool = self.tool(*family);
            let all = difference(&wanted, &found).into_iter();
            findings.extend(all.map(|finding| format!("{tool}: {finding}")));
        }
        Ok(findings)
    }

    fn present(&self, family: Family) -> Result<Present, ToolError> {
        Ok(Present::read(&self.list(family)?))
    }

    fn list(&self, family: Family) -> Result<String, ToolError> {
        let list = |table| run(&self.tool(family), &["-w", WAIT, "-t", table, "-S"], "");
        Ok(TABLES.into_iter().map(list).collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn restore(&self, family: Family, script: &str) -> Result<(), ToolError> {
        let tool = format!("{}-restore", self.tool(family));
        run(&tool, &["-w", WAIT, "--noflush"], script).map(drop)
    }

    fn tool(&self, family: Family) -> String {
        let name = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        format!("{name}{}", self.variant)
    }
}
