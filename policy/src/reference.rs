//! The decision as the documentation has it, word by word, with nothing prepared. What tests and the fuzzer hold the real
//! one to; nothing else may call it.

use weft_certs::SpiffeId;

use crate::{Access, Caller, Condition, HeaderMatch, Request, Rule, spelled};

/// Is it let in?
pub(crate) fn allows(access: &Access, caller: &Caller<'_>, request: &Request<'_>) -> bool {
    let denied = access.deny.iter().any(|rule| applies(rule, caller, request, false));
    let allowed = match &access.allow {
        None => true,
        Some(rules) => rules.iter().any(|rule| applies(rule, caller, request, true)),
    };
    allowed && !denied
}

/// Does a rule apply? `every`: to each way to read a header.
pub(crate) fn applies(
    rule: &Rule,
    caller: &Caller<'_>,
    request: &Request<'_>,
    every: bool,
) -> bool {
    is(&rule.from, caller, request, every) && is(&rule.to, caller, request, every)
}

fn is(of: &Condition, caller: &Caller<'_>, request: &Request<'_>, every: bool) -> bool {
    let id = caller.identity.map_or("", SpiffeId::as_str);
    let spelling = spelled(request.path);
    let path: Vec<&str> = spelling.split('/').collect();
    match of {
        Condition::All(parts) => !parts.iter().any(|part| !is(part, caller, request, every)),
        Condition::Any(parts) => parts.iter().any(|part| is(part, caller, request, every)),
        Condition::Mesh => !id.is_empty(),
        Condition::Identity(wanted) => !id.is_empty() && id == wanted,
        Condition::IdentityPrefix(wanted) => !id.is_empty() && id.starts_with(wanted),
        Condition::Source(network) => network.contains(&caller.address.to_canonical()),
        Condition::Port(port) => caller.port == *port,
        Condition::Method(method) => request.method == method,
        Condition::Path(wanted) => spelling == wanted.as_str(),
        Condition::PathPrefix(wanted) => spelling.starts_with(wanted),
        Condition::PathTemplate(template) => {
            let wanted: Vec<&str> = template.as_str().split('/').collect();
            wanted.len() == path.len()
                && wanted.iter().zip(path).all(|(wanted, given)| match *wanted {
                    "*" => !given.is_empty(),
                    literal => spelled(literal) == given,
                })
        }
        Condition::Header(name, wanted) => {
            let fits = |value: &str| match wanted {
                HeaderMatch::Present => true,
                HeaderMatch::Exact(exact) => value == exact,
                HeaderMatch::Prefix(prefix) => value.starts_with(prefix),
            };
            // Every way to read every line: whole, and what stands between its commas. `None` is no text.
            let mut readings: Vec<Option<&str>> = Vec::new();
            for value in request.headers.get_all(name) {
                let text = std::str::from_utf8(value.as_bytes()).ok();
                readings.push(text);
                if !(every && matches!(wanted, HeaderMatch::Exact(_))) {
                    readings.extend(
                        text.unwrap_or_default()
                            .split(',')
                            .map(str::trim)
                            .map(Some)
                            .filter(|_| text.is_some()),
                    );
                }
            }
            let fitting = readings.iter().filter(|text| match text {
                Some(text) => fits(text),
                None => !every || *wanted == HeaderMatch::Present,
            });
            let fitting = fitting.count();
            fitting > 0 && (!every || fitting == readings.len())
        }
    }
}
