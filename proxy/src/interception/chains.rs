//! The same rules for iptables and ip6tables, as input of their `-restore`. Pure: `iptables` runs it, and reads what
//! is there beforehand.
//!
//! Each table is one transaction. Our rules stand in chains of our own; of the built-in chains only one jump to each
//! is ours, at the head.

use std::fmt::Write as _;

use super::{Ports, Settings};

/// A chain of ours, and the built-in one that jumps to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    table: &'static str,
    hook: &'static str,
    name: &'static str,
}

/// All of them. Order: the guard first, so that a door that is open is never unguarded.
pub(super) const CHAINS: [Chain; 3] = [
    Chain { table: "filter", hook: "INPUT", name: "WEFT_GUARD" },
    Chain { table: "nat", hook: "PREROUTING", name: "WEFT_INBOUND" },
    Chain { table: "nat", hook: "OUTPUT", name: "WEFT_OUTBOUND" },
];

/// Tables that we have chains in.
pub(super) const TABLES: [&str; 2] = ["filter", "nat"];

/// Which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `iptables`.
    V4,
    /// `ip6tables`.
    V6,
}

/// What there is of ours, as `-S` lists it: for each of [`CHAINS`] whether it exists, and how many jumps lead to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    chains: [bool; 3],
    jumps: [usize; 3],
}

impl Present {
    /// Reads the `-S` listings of all [`TABLES`].
    pub(super) fn read(listing: &str) -> Self {
        let count = |line: String| listing.lines().filter(|found| found.trim() == line).count();
        Self {
            chains: CHAINS.map(|chain| count(format!("-N {}", chain.name)) > 0),
            jumps: CHAINS.map(|chain| count(format!("-A {}", chain.jump()))),
        }
    }

    /// Is there anything?
    pub(super) fn is_any(&self) -> bool {
        self.chains.contains(&true) || self.jumps.iter().any(|jumps| *jumps > 0)
    }
}

impl Chain {
    /// The rule that leads here, without its `-A`.
    fn jump(&self) -> String {
        format!("{} -p tcp -j {}", self.hook, self.name)
    }
}

/// Brings all of it into force, whatever was there.
pub(super) fn installation(settings: &Settings, family: Family, present: Present) -> String {
    script(|chain, index| {
        let mut lines = vec![format!(":{} - [0:0]", chain.name)];
        lines.extend(vec![format!("-D {}", chain.jump()); present.jumps[index]]);
        let rules = rules(settings, family, chain);
        lines.extend(rules.into_iter().map(|rule| format!("-A {} {rule}", chain.name)));
        // At the head: what stands before it could lead a connection past the sidecar.
        lines.push(format!("-I {}", chain.jump()));
        lines
    })
}

/// Takes away what there is of ours.
pub(super) fn removal(present: Present) -> String {
    script(|chain, index| {
        let mut lines = vec![format!("-D {}", chain.jump()); present.jumps[index]];
        if present.chains[index] {
            lines.extend([format!("-F {}", chain.name), format!("-X {}", chain.name)]);
        }
        lines
    })
}

/// The rules in chains that nothing leads to, named with this suffix: to see how iptables writes them.
pub(super) fn trial(settings: &Settings, family: Family, suffix: &str) -> String {
    script(|chain, _| {
        let name = format!("{}{suffix}", chain.name);
        let rules = rules(settings, family, chain).into_iter();
        let head = format!(":{name} - [0:0]");
        std::iter::once(head).chain(rules.map(|rule| format!("-A {name} {rule}"))).collect()
    })
}

/// Takes them away.
pub(super) fn end_of_trial(suffix: &str) -> String {
    script(|chain, _| {
        let name = format!("{}{suffix}", chain.name);
        vec![format!("-F {name}"), format!("-X {name}")]
    })
}

/// Rules of our chains as (chain, rule), from `-S` listings; those of chains with a suffix under the plain name.
/// The jumps count as rules of the built-in chains.
pub(super) fn listed(listing: &str, suffix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for chain in CHAINS {
        let head = format!("-A {}{suffix} ", chain.name);
        let rules = listing.lines().filter_map(|line| line.strip_prefix(&head));
        found.extend(rules.map(|rule| (chain.name.to_owned(), rule.trim().to_owned())));
    }
    found
}

/// The jumps that there must be, and those that there are.
pub(super) fn jumps(present: Present) -> [Vec<(String, String)>; 2] {
    let line = |chain: Chain| (chain.hook.to_owned(), format!("-p tcp -j {}", chain.name));
    let there = CHAINS.iter().zip(present.jumps);
    [CHAINS.map(line).into(), there.flat_map(|(chain, jumps)| vec![line(*chain); jumps]).collect()]
}

fn script(lines: impl Fn(&Chain, usize) -> Vec<String>) -> String {
    let mut text = String::new();
    for table in TABLES {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "*{table}");
        let chains = CHAINS.iter().enumerate().filter(|(_, chain)| chain.table == table);
        for line in chains.flat_map(|(index, chain)| lines(chain, index)) {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "COMMIT");
    }
    text
}

fn rules(settings: &Settings, family: Family, chain: &Chain) -> Vec<String> {
    match chain.name {
        "WEFT_GUARD" => guard(settings),
        "WEFT_INBOUND" => inbound(settings),
        _ => outbound(settings, family),
    }
}

fn inbound(settings: &Settings) -> Vec<String> {
    let Settings { outbound_port, inbound_port, health_port, .. } = settings;
    let mut rules = vec!["-i lo -j RETURN".to_owned()];
    let own = [outbound_port, inbound_port, health_port];
    rules.extend(own.map(|port| format!("-p tcp --dport {port} -j RETURN")));
    rules.extend(ports(&settings.skip_inbound_ports));
    rules.push(format!("-p tcp -j REDIRECT --to-ports {inbound_port}"));
    rules
}

fn outbound(settings: &Settings, family: Family) -> Vec<String> {
    let Settings { outbound_port, proxy_uid, .. } = settings;
    let user = |uid: &u32| format!("-m owner --uid-owner {uid} -j RETURN");
    let mut rules = vec![user(proxy_uid), "-o lo -j RETURN".to_owned()];
    rules.extend(settings.skip_uids.iter().map(user));
    rules.extend(ports(&settings.skip_outbound_ports));
    let cidrs = settings.skip_outbound_cidrs.of_family(family == Family::V4);
    rules.extend(cidrs.map(|cidr| format!("-d {cidr} -j RETURN")));
    rules.push(format!("-p tcp -j REDIRECT --to-ports {outbound_port}"));
    rules
}

fn guard(settings: &Settings) -> Vec<String> {
    let door = |port| {
        format!(
            "-p tcp --dport {port} -m conntrack ! --ctstate DNAT -j REJECT --reject-with tcp-reset"
        )
    };
    [settings.outbound_port, settings.inbound_port].map(door).into()
}

fn ports(ports: &Ports) -> impl Iterator<Item = String> {
    let rule = |range: &super::PortRange| {
        format!("-p tcp --dport {}:{} -j RETURN", range.first, range.last)
    };
    ports.ranges().iter().map(rule)
}

#[cfg(test)]
mod tests;
