//! The nft table, as text. Pure: `nft` runs it. Whatever stands in it is a number or an address of ours.

use std::fmt::{Display, Write as _};

use super::{Cidr, Settings};

/// Our table; `inet` is IPv4 and IPv6 at once.
pub(super) const TABLE: &str = "weft";

/// The whole transaction: whatever was there is replaced, in one step that nothing can come between.
pub(super) fn transaction(settings: &Settings) -> String {
    format!("{}{}", removal(TABLE), table(settings, TABLE, false))
}

/// Removes a table, also one that is not there: `delete` alone would fail.
pub(super) fn removal(name: &str) -> String {
    format!("add table inet {name}\ndelete table inet {name}\n")
}

/// The table under this name. A dormant one has no effect on any packet.
pub(super) fn table(settings: &Settings, name: &str, dormant: bool) -> String {
    let flags = if dormant { "\tflags dormant\n" } else { "" };
    let (sets, inbound, outbound, guard) =
        (sets(settings), inbound(settings), outbound(settings), guard(settings));
    format!("table inet {name} {{\n{flags}{sets}{inbound}{outbound}{guard}}}\n")
}

fn sets(settings: &Settings) -> String {
    let ports = |name, ports: &super::Ports| set(name, "inet_service", ports.ranges());
    let cidrs = |name, kind, v4| {
        let cidrs: Vec<&Cidr> = settings.skip_outbound_cidrs.of_family(v4).collect();
        set(name, kind, &cidrs)
    };
    [
        ports("skip_inbound_ports", &settings.skip_inbound_ports),
        ports("skip_outbound_ports", &settings.skip_outbound_ports),
        cidrs("skip_outbound_v4", "ipv4_addr", true),
        cidrs("skip_outbound_v6", "ipv6_addr", false),
    ]
    .concat()
}

/// A set, also an empty one: the rules then need not know. Its intervals do not overlap, or nft would refuse them.
fn set(name: &str, kind: &str, elements: &[impl Display]) -> String {
    let elements = match list(elements) {
        list if list.is_empty() => String::new(),
        list => format!("\t\telements = {{ {list} }}\n"),
    };
    format!("\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n{elements}\t}}\n")
}

fn inbound(settings: &Settings) -> String {
    let Settings { outbound_port, inbound_port, health_port, .. } = settings;
    let mut rules = vec![
        // A connection over loopback has passed `outbound` and been left alone there.
        "iifname \"lo\" return comment \"loopback\"".to_owned(),
        format!(
            "tcp dport {{ {outbound_port}, {inbound_port}, {health_port} }} return comment \
             \"ports of the sidecar\""
        ),
        "tcp dport @skip_inbound_ports return".to_owned(),
    ];
    // A socket is found, bound to one address or to all: somebody listens.
    let heard =
        if settings.heard_only { &["socket wildcard 0 ", "socket wildcard 1 "][..] } else { &[""] };
    // `redirect to` needs the protocol in the same rule.
    rules.extend(
        heard
            .iter()
            .map(|heard| format!("meta l4proto tcp {heard}counter redirect to :{inbound_port}")),
    );
    chain("inbound", "type nat hook prerouting priority -100; policy accept;", &rules)
}

fn outbound(settings: &Settings) -> String {
    let Settings { outbound_port, proxy_uid, .. } = settings;
    let mut rules = vec![
        format!("meta skuid {proxy_uid} return comment \"the sidecar itself\""),
        // Whatever is the pod's own address, the kernel routes over loopback.
        "oifname \"lo\" return comment \"loopback and the pod itself\"".to_owned(),
    ];
    if !settings.skip_uids.is_empty() {
        rules.push(format!("meta skuid {{ {} }} return", list(&settings.skip_uids)));
    }
    rules.extend([
        "tcp dport @skip_outbound_ports return".to_owned(),
        "ip daddr @skip_outbound_v4 return".to_owned(),
        "ip6 daddr @skip_outbound_v6 return".to_owned(),
        format!("meta l4proto tcp counter redirect to :{outbound_port}"),
    ]);
    chain("outbound", "type nat hook output priority -100; policy accept;", &rules)
}

/// Whoever connects to the sidecar's doors straight, and was not led there by the rules above, is refused: his
/// original destination would be the door itself.
fn guard(settings: &Settings) -> String {
    let Settings { outbound_port, inbound_port, .. } = settings;
    let rule = format!(
        "tcp dport {{ {outbound_port}, {inbound_port} }} ct status & dnat == 0 counter reject \
         with tcp reset"
    );
    chain("guard", "type filter hook input priority 0; policy accept;", &[rule])
}

fn chain(name: &str, hook: &str, rules: &[String]) -> String {
    let mut text = format!("\tchain {name} {{\n\t\t{hook}\n");
    for rule in rules {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\t\t{rule}");
    }
    text + "\t}\n"
}

fn list(elements: &[impl Display]) -> String {
    elements.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
