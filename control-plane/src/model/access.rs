//! Access: what `AccessPolicy` and the defaults say of one port, as the one list of rules that a sidecar judges by.

use std::collections::BTreeMap;

use ipnet::IpNet;
use weft_policy::{Access, Condition, Rule};

use super::policy::Selection;
use super::{Key, Mesh, Origin};

/// Rules about who may do what.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPolicy {
    /// Where it was read.
    pub origin: Origin,
    /// Namespace it applies to.
    pub namespace: String,
    /// Labels of the workloads; empty means all of the namespace.
    pub selector: BTreeMap<String, String>,
    /// Ports; empty means all.
    pub ports: Vec<u16>,
    /// What becomes of what its rules apply to.
    pub action: AccessAction,
    /// Any of them.
    pub rules: Vec<AccessRule>,
}

/// What becomes of what a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction {
    /// It is allowed, and what no rule allows is not.
    Allow,
    /// It is denied.
    Deny,
    /// It is told of.
    Audit,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessRule {
    /// Its name, or its place.
    pub name: String,
    /// Any of them; `None` is everybody.
    pub from: Option<Vec<AccessSource>>,
    /// What is asked for.
    pub to: Condition,
}

/// Callers: what is written must all be true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessSource {
    /// Each a list of which any must be true.
    pub identities: Vec<Vec<CallerName>>,
    /// Any of them; empty means from anywhere.
    pub networks: Vec<IpNet>,
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerName {
    /// Anybody of the mesh.
    Mesh,
    /// A SPIFFE id.
    Id(String),
    /// A namespace of the mesh's trust domain.
    Namespace(String),
    /// Namespace and name of a service account of it.
    Account(String, String),
    /// A trust domain.
    TrustDomain(String),
}

/// Where no rule speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultAccess {
    /// Everybody may do everything.
    #[default]
    AllowAll,
    /// Everybody with an identity of the mesh.
    AllowMesh,
    /// Everybody of the workload's own namespace.
    AllowSameNamespace,
    /// Nobody.
    Deny,
}

impl DefaultAccess {
    /// As users write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowAll => "allow-all",
            Self::AllowMesh => "allow-mesh",
            Self::AllowSameNamespace => "allow-same-namespace",
            Self::Deny => "deny",
        }
    }
}

impl AccessPolicy {
    /// Does it speak of this port of this workload?
    #[must_use]
    pub fn applies_to(&self, workload: &Key, labels: &BTreeMap<String, String>, port: u16) -> bool {
        let Self { namespace, selector, ports, .. } = self;
        Selection { namespace, selector, ports }.covers(workload, labels, port)
    }

    /// What stands for one that cannot be read: nobody knows what it would have denied.
    #[must_use]
    pub fn closed(namespace: &str, selector: BTreeMap<String, String>, ports: Vec<u16>) -> Self {
        let to = Condition::All(Vec::new());
        let rule = AccessRule { name: "unreadable".to_owned(), from: None, to };
        Self {
            origin: Origin::default(),
            namespace: namespace.to_owned(),
            selector,
            ports,
            action: AccessAction::Deny,
            rules: vec![rule],
        }
    }
}

impl AccessSource {
    fn condition(&self, trust_domain: &str) -> Condition {
        let lists = self.identities.iter();
        let lists = lists.map(|list| any(list.iter().map(|name| name.condition(trust_domain))));
        let networks = (!self.networks.is_empty())
            .then(|| any(self.networks.iter().copied().map(Condition::source)));
        all(lists.chain(networks))
    }
}

impl CallerName {
    fn condition(&self, trust_domain: &str) -> Condition {
        match self {
            Self::Mesh => Condition::Mesh,
            Self::Id(id) => Condition::Identity(id.clone()),
            Self::Namespace(namespace) => of_namespace(trust_domain, namespace),
            Self::Account(namespace, name) => {
                Condition::Identity(format!("spiffe://{trust_domain}/ns/{namespace}/sa/{name}"))
            }
            Self::TrustDomain(domain) => Condition::IdentityPrefix(format!("spiffe://{domain}/")),
        }
    }
}

fn of_namespace(trust_domain: &str, namespace: &str) -> Condition {
    Condition::IdentityPrefix(format!("spiffe://{trust_domain}/ns/{namespace}/"))
}

/// All of these; one is itself.
pub(crate) fn all(parts: impl IntoIterator<Item = Condition>) -> Condition {
    let mut parts: Vec<Condition> = parts.into_iter().collect();
    match parts.len() {
        1 => parts.remove(0),
        _ => Condition::All(parts),
    }
}

/// Any of these; one is itself.
pub(crate) fn any(parts: impl IntoIterator<Item = Condition>) -> Condition {
    let mut parts: Vec<Condition> = parts.into_iter().collect();
    match parts.len() {
        1 => parts.remove(0),
        _ => Condition::Any(parts),
    }
}

impl Mesh {
    /// What decides about one port of a workload, rules by name.
    #[must_use]
    pub fn access(&self, workload: &Key, labels: &BTreeMap<String, String>, port: u16) -> Access {
        let mut access = Access::default();
        let policies = self.access_policies.iter();
        for policy in policies.filter(|policy| policy.applies_to(workload, labels, port)) {
            let rules = policy.rules.iter().map(|rule| self.rule(&policy.origin, rule));
            match policy.action {
                AccessAction::Allow => access.allow.get_or_insert_default().extend(rules),
                AccessAction::Deny => access.deny.extend(rules),
                AccessAction::Audit => access.audit.extend(rules),
            }
        }
        if access.allow.is_none() {
            access.allow = self.default_rules(workload, labels, port);
        }
        for rules in access.allow.iter_mut().chain([&mut access.deny, &mut access.audit]) {
            rules.sort_by(|one, other| one.name.cmp(&other.name));
        }
        access
    }

    fn rule(&self, origin: &Origin, rule: &AccessRule) -> Rule {
        let origin = Origin { rule: rule.name.clone(), ..origin.clone() };
        let domain = &self.config.trust_domain;
        let from = match &rule.from {
            None => Condition::All(Vec::new()),
            Some(sources) => any(sources.iter().map(|source| source.condition(domain))),
        };
        Rule { name: origin.to_string().into(), from, to: rule.to.clone() }
    }

    /// The default as rules that allow; `None` is `allow-all`.
    fn default_rules(
        &self,
        workload: &Key,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> Option<Vec<Rule>> {
        let policy = self.inbound_policy(workload, labels, port);
        let set = policy.and_then(|policy| Some((policy.default_access?, &policy.origin)));
        let (default, origin) = set.unwrap_or((self.config.default_access, &self.config.origin));
        let from = match default {
            DefaultAccess::AllowAll => return None,
            DefaultAccess::AllowMesh => Condition::Mesh,
            DefaultAccess::AllowSameNamespace => {
                of_namespace(&self.config.trust_domain, &workload.namespace)
            }
            DefaultAccess::Deny => return Some(Vec::new()),
        };
        let origin = Origin { rule: default.name().to_owned(), ..origin.clone() };
        let to = Condition::All(Vec::new());
        Some(vec![Rule { name: origin.to_string().into(), from, to }])
    }
}

#[cfg(test)]
mod tests;
