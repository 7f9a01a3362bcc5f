//! What holds on one port of a workload, for one caller: the rules about access, and before them what every connection
//! and request has to pass.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use serde::Serialize;
use weft_certs::SpiffeId;
use weft_policy::{
    Access, Asks, Caller, Depends, Headers, Partial, Question, Reach, Reason, Request, Rule,
    ambiguous, nearest, reach,
};

use crate::model::{Key, Mesh, MtlsMode, Origin, Workload};

/// May somebody do something?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// He may.
    Allowed,
    /// He may not.
    Denied,
    /// On what is not known.
    Depends,
}

/// The answer, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    /// The rule or policy that decides; `None` if none does.
    pub(crate) rule: Option<String>,
    /// In words.
    pub(crate) why: String,
    /// On what it depends: `source`, `method`, `path`, `headers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) on: Vec<&'static str>,
}

/// What holds on one port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PortRules {
    access: Access,
    judges_paths: bool,
    pub(crate) mtls: MtlsMode,
    /// Who says so.
    mtls_by: Option<String>,
}

/// The rules of a port, as far as they are about one caller.
#[derive(Debug)]
pub(crate) struct CallerRules<'a> {
    port: &'a PortRules,
    caller: Question<'a>,
    access: Access,
}

impl PortRules {
    /// Of a port, declared or not.
    pub(crate) fn new(mesh: &Mesh, workload: &Workload, port: u16) -> Self {
        let Workload { key, labels, .. } = workload;
        let access = mesh.access(key, labels, port);
        let mtls = mesh.mtls_mode(key, labels, port);
        let judges_paths = access.judges_paths();
        Self { access, judges_paths, mtls, mtls_by: mtls_by(mesh, key, workload, port) }
    }

    /// What is about one caller. `address`: where he connects from, if that is known.
    pub(crate) fn about<'a>(
        &'a self,
        identity: Option<&'a SpiffeId>,
        address: Option<IpAddr>,
        port: u16,
    ) -> CallerRules<'a> {
        // Where only plaintext is taken nobody can say who he is.
        let identity = identity.filter(|_| self.mtls != MtlsMode::Disable);
        let asks = Asks::Request(Partial::default());
        let caller = Question { identity, address, port, asks };
        CallerRules { port: self, caller, access: self.access.about(&caller) }
    }
}

fn mtls_by(mesh: &Mesh, key: &Key, workload: &Workload, port: u16) -> Option<String> {
    let policy = mesh.inbound_policy(key, &workload.labels, port);
    let of_policy = policy.filter(|policy| policy.mtls.is_some()).map(|policy| &policy.origin);
    let origin = of_policy.unwrap_or(&mesh.config.origin);
    (*origin != Origin::default()).then(|| origin.to_string())
}

impl CallerRules<'_> {
    /// May he do this?
    pub(crate) fn judge(&self, asks: Asks<'_>) -> Judgement {
        if self.port.mtls == MtlsMode::Strict && self.caller.identity.is_none() {
            let why = "the port takes mutual TLS only, and the caller has no identity of the mesh";
            return Judgement::new(Verdict::Denied, self.port.mtls_by.clone(), why);
        }
        if let Asks::Request(Partial { path: Some(path), .. }) = asks
            && self.port.judges_paths
            && let Some(odd) = ambiguous(path)
        {
            let why = format!("refused with 400: rules judge the path, and it holds {odd}");
            return Judgement::new(Verdict::Denied, None, why);
        }
        let question = Question { asks, ..self.caller };
        match reach(&self.access, &question) {
            Reach::Always(Reason::Allowed(rule)) => {
                let why = format!("allowed by {}", rule.name);
                Judgement::new(Verdict::Allowed, Some(rule.name.to_string()), why)
            }
            Reach::Always(_) => Judgement::new(Verdict::Allowed, None, "no rule is about it"),
            Reach::Never(Reason::Denied(rule)) => {
                let why = format!("denied by {}", rule.name);
                Judgement::new(Verdict::Denied, Some(rule.name.to_string()), why)
            }
            Reach::Never(_) => Judgement::new(Verdict::Denied, None, self.miss(asks)),
            Reach::Depends(depends) => of(&depends),
        }
    }

    /// What was missing; as a sidecar says it.
    fn miss(&self, asks: Asks<'_>) -> String {
        let Question { identity, address, port, .. } = self.caller;
        let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let caller = Caller { identity, address, port };
        let none = HeaderMap::new();
        let request = match asks {
            Asks::Request(Partial { method: Some(method), path: Some(path), headers }) => {
                let headers = match headers {
                    Headers::Some(headers) | Headers::All(headers) => headers,
                    Headers::Unknown => &none,
                };
                Some(Request { method, path, headers })
            }
            Asks::Request(_) | Asks::Bytes => None,
        };
        match nearest(&self.port.access, &caller, request.as_ref()) {
            Some(miss) => format!("no rule allows it; {miss}"),
            None => "no rule allows it, for there is none".to_owned(),
        }
    }
}

impl Judgement {
    fn new(verdict: Verdict, rule: Option<String>, why: impl Into<String>) -> Self {
        Self { verdict, rule, why: why.into(), on: Vec::new() }
    }
}

fn of(depends: &Depends<'_>) -> Judgement {
    let Depends { deny, allow, otherwise, on } = depends;
    let mut parts = vec![format!("depends on {on}")];
    if !deny.is_empty() {
        parts.push(format!("denied where {} applies", names(deny)));
    }
    if !allow.is_empty() {
        parts.push(format!("allowed where {} applies", names(allow)));
    }
    parts.push(match otherwise {
        Reason::Allowed(rule) => format!("else allowed by {}", rule.name),
        Reason::Open => "else allowed".to_owned(),
        Reason::NoRuleAllows | Reason::Denied(_) => "else denied".to_owned(),
    });
    let rule = match (&deny[..], &allow[..]) {
        ([one], []) | ([], [one]) => Some(one.name.to_string()),
        _ => None,
    };
    let why = parts.join("; ");
    Judgement { verdict: Verdict::Depends, rule, why, on: on.names().collect() }
}

/// Bound: rules that are named.
const MAX_NAMED: usize = 8;

fn names(rules: &[&Rule]) -> String {
    let named: Vec<&str> = rules.iter().take(MAX_NAMED).map(|rule| &*rule.name).collect();
    match rules.len() - named.len() {
        0 => named.join(" or "),
        more => format!("{} or one of {more} others", named.join(" or ")),
    }
}

#[cfg(test)]
mod tests;
