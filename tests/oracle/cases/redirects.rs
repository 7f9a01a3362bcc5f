//! `RequestRedirect`: scheme, host, port, path and status, in all combinations.

use crate::oracle::case::{Case, Group, Step};

const SCHEMES: [&str; 3] = ["", "scheme: https", "scheme: http"];
const HOSTS: [&str; 2] = ["", "hostname: new.test"];
const PORTS: [&str; 3] = ["", "port: 8443", "port: 443"];
const PATHS: [&str; 5] = [
    "",
    "path: {type: ReplaceFullPath, replaceFullPath: /full}",
    "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}",
    "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}",
    "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}",
];
/// Why a port is missing.
const OWN_PORT: &str = "Gateway API: no port in Location that is the scheme's own; Envoy can only change the one asked for";
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    let mut rules = String::new();
    let mut cases = Vec::new();
    let mut number = 0;
    for scheme in SCHEMES {
        for host in HOSTS {
            for port in PORTS {
                for path in PATHS {
                    // A redirect to the very same place is refused.
                    if [scheme, host, port, path].iter().all(|part| part.is_empty()) {
                        continue;
                    }
                    let status = STATUSES[number % STATUSES.len()];
                    let code = format!("statusCode: {status}");
                    let parts: Vec<&str> = [scheme, host, port, path, &code]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .collect();
                    rules += &rule(&format!("/r{number}"), &parts.join(", "));
                    let own_port = port.is_empty() || (scheme, port) == (SCHEMES[1], PORTS[2]);
                    let cases_of = asked(number, &parts.join(" "), status);
                    cases.extend(cases_of.into_iter().map(|case| {
                        if !scheme.is_empty() && host.is_empty() && own_port {
                            return case.differs_in(&["header location"], OWN_PORT);
                        }
                        case
                    }));
                    number += 1;
                }
            }
        }
    }
    split(&rules, &cases)
}

/// A route may have 16 rules.
fn split(rules: &str, cases: &[Case]) -> Vec<Group> {
    let rules: Vec<&str> = rules.split_inclusive("\n\n").collect();
    let per_rule = cases.len() / rules.len();
    let groups = rules.chunks(16).zip(cases.chunks(16 * per_rule)).enumerate();
    groups
        .map(|(index, (rules, cases))| {
            Group::new(format!("redirects-{index}"), "a")
                .rules(&rules.concat())
                .cases(cases.to_vec())
        })
        .collect()
}

fn rule(prefix: &str, redirect: &str) -> String {
    format!(
        "  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{{redirect}}}}}]\n\n"
    )
}

fn asked(number: usize, name: &str, status: u16) -> Vec<Case> {
    let prefix = format!("/r{number}");
    vec![
        Case::new(
            format!("{name}: below"),
            Step::get(&format!("{prefix}/x/y?q=1")).host("old.test:8080").answers(status),
        ),
        Case::new(
            format!("{name}: at the prefix"),
            Step::get(&prefix).host("old.test").http2().answers(status),
        ),
    ]
}
