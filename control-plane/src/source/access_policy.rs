//! `AccessPolicy` to [`model::AccessPolicy`](crate::model::AccessPolicy).
//!
//! One that cannot be read is not left out, and nothing older stands for it: nobody knows what it would have denied, so
//! until it is mended everything is denied to what it selects ([`stand_in::access`](super::stand_in::access)).

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use ipnet::IpNet;
use weft_certs::{SpiffeId, TrustDomain};
use weft_policy::{Condition, HeaderMatch};

use crate::model::{
    AccessAction, AccessPolicy, AccessRule, AccessSource, CallerName, Key, Origin, all, any,
};

use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::access::{
    AccessPolicySpec, AccessRule as RuleSpec, ActionName, HeaderKind, HeaderName as HeaderSpec,
    Operation, PathKind, PathName, Source,
};

/// Bounds, those of the schema.
const MAX_PORTS: usize = 64;
const MAX_RULES: usize = 64;
const MAX_PARTS: usize = 16;
const MAX_VALUES: usize = 64;
const MAX_PATH: usize = 1024;
const MAX_HEADER: usize = 4096;

/// What a request of HTTP/2 does not have, or says elsewhere.
const NOT_IN_HTTP2: [HeaderName; 4] = [HOST, CONNECTION, TRANSFER_ENCODING, UPGRADE];

/// Reads one.
pub(crate) fn read(spec: AccessPolicySpec, id: &Identity, problems: &mut Problems) -> AccessPolicy {
    if spec.selector.match_expressions.is_some() {
        let field = "spec.selector.matchExpressions";
        problems.unsupported(field, "only matchLabels is supported");
    }
    if spec.rules.is_empty() && spec.action != ActionName::Allow {
        let hint = "write rules; `rules: [{}]` is about everything";
        problems.invalid_hint("spec.rules", "without rules the policy does nothing", hint);
    }
    names::at_most(spec.rules.len(), MAX_RULES, "spec.rules", problems);
    let mut rules: Vec<AccessRule> = Vec::new();
    for (index, written) in spec.rules.into_iter().enumerate().take(MAX_RULES) {
        let field = format!("spec.rules[{index}]");
        let read = rule(written, index, &id.key, &field, problems);
        if rules.iter().any(|other| other.name == read.name) {
            let message = format!("another rule is called {:?}", read.name);
            problems.invalid(format!("{field}.name"), message);
        }
        rules.push(read);
    }
    AccessPolicy {
        origin: Origin::default(),
        namespace: id.key.namespace.clone(),
        selector: spec.selector.match_labels,
        ports: ports(&spec.ports, "spec.ports", problems),
        action: match spec.action {
            ActionName::Allow => AccessAction::Allow,
            ActionName::Deny => AccessAction::Deny,
            ActionName::Audit => AccessAction::Audit,
        },
        rules,
    }
}

fn ports(written: &[i64], field: &str, problems: &mut Problems) -> Vec<u16> {
    names::at_most(written.len(), MAX_PORTS, field, problems);
    let numbered = written.iter().enumerate().take(MAX_PORTS);
    let ports = numbered
        .filter_map(|(index, port)| names::port(*port, &format!("{field}[{index}]"), problems));
    ports.collect()
}

fn rule(
    written: RuleSpec,
    index: usize,
    policy: &Key,
    field: &str,
    problems: &mut Problems,
) -> AccessRule {
    if let Some(name) = written.name.as_deref().filter(|name| !names::is_label(name)) {
        let message = format!("{name:?} is no name: lower-case letters, digits and '-'");
        problems.invalid(format!("{field}.name"), message);
    }
    let from = written.from.map(|sources| {
        each(sources, &format!("{field}.from"), MAX_PARTS, problems, |source, field, problems| {
            read_source(source, policy, field, problems)
        })
    });
    let to = written
        .to
        .map(|operations| each(operations, &format!("{field}.to"), MAX_PARTS, problems, operation));
    AccessRule {
        name: written.name.unwrap_or_else(|| index.to_string()),
        from,
        to: to.map_or(Condition::All(Vec::new()), any),
    }
}

/// Reads every element of a list that must not be empty: an empty one would be read as everything by some and as nothing
/// by others.
fn each<W, T>(
    written: Vec<W>,
    field: &str,
    bound: usize,
    problems: &mut Problems,
    mut read: impl FnMut(W, &str, &mut Problems) -> T,
) -> Vec<T> {
    if written.is_empty() {
        problems.invalid_hint(field, "the list is empty", "write something, or leave it out");
    }
    names::at_most(written.len(), bound, field, problems);
    let numbered = written.into_iter().enumerate().take(bound);
    numbered.map(|(index, one)| read(one, &format!("{field}[{index}]"), problems)).collect()
}

fn read_source(
    written: Source,
    policy: &Key,
    field: &str,
    problems: &mut Problems,
) -> AccessSource {
    let Source { identities, namespaces, service_accounts, trust_domains, cidrs } = written;
    let is_empty = [&identities, &namespaces, &service_accounts, &trust_domains, &cidrs]
        .into_iter()
        .all(Option::is_none);
    if is_empty {
        problems.invalid_hint(field, "nothing is written", "leave `from` out to mean everybody");
    }
    let mut source = AccessSource::default();
    let mut names = |list: Option<Vec<String>>,
                     name: &str,
                     read: &dyn Fn(&str) -> Result<CallerName, String>,
                     problems: &mut Problems| {
        let Some(list) = list else { return };
        let field = format!("{field}.{name}");
        let list = each(list, &field, MAX_VALUES, problems, |text, field, problems| {
            read(&text).map_err(|problem| problems.invalid(field, problem)).ok()
        });
        source.identities.push(list.into_iter().flatten().collect());
    };
    names(identities, "identities", &identity, problems);
    names(namespaces, "namespaces", &namespace, problems);
    names(service_accounts, "serviceAccounts", &|text| account(text, policy), problems);
    names(trust_domains, "trustDomains", &trust_domain, problems);
    if let Some(cidrs) = cidrs {
        let field = format!("{field}.cidrs");
        let networks = each(cidrs, &field, MAX_VALUES, problems, |text, field, problems| {
            network(&text).map_err(|problem| problems.invalid(field, problem)).ok()
        });
        source.networks = networks.into_iter().flatten().collect();
    }
    source
}

fn identity(text: &str) -> Result<CallerName, String> {
    if text == "*" {
        return Ok(CallerName::Mesh);
    }
    match SpiffeId::parse(text) {
        Ok(id) => Ok(CallerName::Id(id.to_string())),
        Err(_) if text.contains('*') => Err(format!(
            "{text:?} is no SPIFFE id: for many write namespaces, serviceAccounts or trustDomains, for any \"*\""
        )),
        Err(error) => Err(format!(
            "{text:?} is no SPIFFE id: {error}; write spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
        )),
    }
}

fn namespace(text: &str) -> Result<CallerName, String> {
    match names::is_label(text) {
        true => Ok(CallerName::Namespace(text.to_owned())),
        false => Err(format!("{text:?} is not a namespace")),
    }
}

fn account(text: &str, policy: &Key) -> Result<CallerName, String> {
    let (namespace, name) = text.split_once('/').unwrap_or((&policy.namespace, text));
    match names::is_label(namespace) && names::is_subdomain(name) {
        true => Ok(CallerName::Account(namespace.to_owned(), name.to_owned())),
        false => Err(format!(
            "{text:?} is no service account: write namespace/name; all of a namespace are `namespaces`"
        )),
    }
}

fn trust_domain(text: &str) -> Result<CallerName, String> {
    let domain: Result<TrustDomain, _> = text.parse();
    let domain = domain.map_err(|error| format!("{text:?} is no trust domain: {error}"))?;
    Ok(CallerName::TrustDomain(domain.as_str().to_owned()))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(address) => format!("{text:?} is an address: write {}", IpNet::from(address)),
        Err(_) => format!("{text:?} is no network: write it like 10.0.0.0/8"),
    })?;
    match network.trunc() == network {
        true => Ok(network),
        false => Err(format!("{text} has bits beyond its prefix: write {}", network.trunc())),
    }
}

fn operation(written: Operation, field: &str, problems: &mut Problems) -> Condition {
    let Operation { methods, paths, headers, ports: numbers } = written;
    if methods.is_none() && paths.is_none() && headers.is_none() && numbers.is_none() {
        problems.invalid_hint(field, "nothing is written", "leave `to` out to mean everything");
    }
    let mut parts = Vec::new();
    if let Some(methods) = methods {
        let field = format!("{field}.methods");
        parts.push(any(each(methods, &field, MAX_PARTS, problems, method)));
    }
    if let Some(paths) = paths {
        parts.push(any(each(paths, &format!("{field}.paths"), MAX_VALUES, problems, path)));
    }
    if let Some(headers) = headers {
        parts.extend(each(headers, &format!("{field}.headers"), MAX_PARTS, problems, header));
    }
    if let Some(numbers) = numbers {
        let field = format!("{field}.ports");
        if numbers.is_empty() {
            problems.invalid_hint(&field, "the list is empty", "write something, or leave it out");
        }
        parts.push(any(ports(&numbers, &field, problems).into_iter().map(Condition::Port)));
    }
    all(parts)
}

fn method(text: String, field: &str, problems: &mut Problems) -> Condition {
    if text == "*" {
        let hint = "leave methods out to mean all of them";
        problems.invalid_hint(field, "\"*\" is no method", hint);
    } else if !names::is_token(&text)
        || text.len() > 64
        || text.bytes().any(|b| b.is_ascii_lowercase())
    {
        problems.invalid(field, format!("{text:?} is no method: write it in upper case"));
    }
    Condition::Method(text)
}

fn path(written: PathName, field: &str, problems: &mut Problems) -> Condition {
    let field = format!("{field}.value");
    let text = written.value;
    let kind = written.kind.unwrap_or_default();
    if text.len() > MAX_PATH {
        problems.invalid(&field, format!("longer than {MAX_PATH} characters"));
    }
    match kind {
        // It would be taken to the letter, and be about nothing.
        PathKind::Exact | PathKind::PathPrefix if text.contains('*') => problems.invalid_hint(
            &field,
            format!("{text:?} holds a *, which stands for something in templates only"),
            "leave it out of a PathPrefix, or write type: Template; for the letter itself write %2A",
        ),
        PathKind::Exact | PathKind::PathPrefix => names::path(&text, &field, problems),
        PathKind::Template => names::path(&text.replace(['{', '}'], ""), &field, problems),
    }
    if let Some(odd) = odd_spelling(&text) {
        let message = format!("{text:?} holds {odd}: requests come in one spelling, without it");
        problems.invalid(&field, message);
    }
    match kind {
        PathKind::Exact => Condition::Path(weft_policy::spelled(&text).into_owned()),
        PathKind::PathPrefix => {
            let whole = weft_policy::spelled(text.trim_end_matches('/')).into_owned();
            let below = Condition::PathPrefix(format!("{whole}/"));
            match whole.is_empty() {
                true => below,
                false => Condition::Any(vec![Condition::Path(whole), below]),
            }
        }
        PathKind::Template => match text.parse() {
            Ok(template) => Condition::PathTemplate(template),
            Err(error) => {
                problems.invalid(field, format!("{text:?} is no template: {error}"));
                Condition::Any(Vec::new())
            }
        },
    }
}

/// What no path holds that a sidecar judges: it would be a rule that never applies.
fn odd_spelling(text: &str) -> Option<String> {
    if let Some(odd) = weft_policy::ambiguous(text) {
        return Some(odd.to_owned());
    }
    let mut escapes = text.match_indices('%').filter_map(|(at, _)| text.get(at..at + 3));
    let is_odd = |escape: &&str| {
        let value = u8::from_str_radix(&escape[1..], 16).unwrap_or_default();
        value.is_ascii_alphanumeric() || b"-._~".contains(&value)
    };
    escapes.find(is_odd).map(str::to_owned)
}

fn header(written: HeaderSpec, field: &str, problems: &mut Problems) -> Condition {
    let HeaderSpec { name, kind, value } = written;
    if value.is_some() == (kind == HeaderKind::Present) {
        let message = "write a value, or type: Present without one";
        problems.invalid(format!("{field}.value"), message);
    }
    let value = value.unwrap_or_default();
    if value.len() > MAX_HEADER || http::HeaderValue::from_str(&value).is_err() {
        let message = format!("must be a header's value of at most {MAX_HEADER} letters");
        problems.invalid(format!("{field}.value"), message);
    }
    let wanted = match kind {
        HeaderKind::Exact => HeaderMatch::Exact(value),
        HeaderKind::Prefix => HeaderMatch::Prefix(value),
        HeaderKind::Present => HeaderMatch::Present,
    };
    match HeaderName::try_from(&name) {
        // A rule about it would look at requests of HTTP/1.1 and let those of HTTP/2 pass by.
        Ok(name) if NOT_IN_HTTP2.contains(&name) => {
            let message = format!("{name} is no header of HTTP/2: rules cannot be about it");
            problems.invalid(format!("{field}.name"), message);
            Condition::Any(Vec::new())
        }
        Ok(name) if names::is_token(name.as_str()) => Condition::Header(name, wanted),
        _ => {
            problems.invalid(format!("{field}.name"), format!("{name:?} is not a header name"));
            Condition::Any(Vec::new())
        }
    }
}
