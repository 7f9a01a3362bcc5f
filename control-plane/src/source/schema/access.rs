//! `AccessPolicy`, `weft.dev/v1alpha1`.
//!
//! The comments on fields are what `kubectl explain` shows; the bounds beside them are those that `access_policy`
//! checks, and `crd` holds both in step.
//!
//! An API server drops fields that it does not know, and a rule without a misspelt `from` is about everybody. So it is
//! told to keep them here; `access_policy` then refuses the object. Nor is an empty field (`from:`) an absent one: a server
//! drops that too, where it may not be null.

use schemars::JsonSchema;
use serde::Deserialize;

use super::policy::Selector;
use super::text::{HttpPath, Token, rule};
use super::written;

/// Who may do what to a workload: enforced by the workload's own sidecar. DENY counts before ALLOW, and where any policy
/// allows, what none of them allows is denied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "x-kubernetes-validations" = [
    rule(
        "self.action == 'ALLOW' || (has(self.rules) && size(self.rules) > 0)",
        "without rules the policy does nothing: write rules",
    ),
]))]
pub(crate) struct AccessPolicySpec {
    /// The workloads of the policy's own namespace that it is for; absent means all.
    #[serde(default)]
    pub(crate) selector: Selector,
    /// Their ports that it is for; absent means all.
    #[serde(default)]
    #[schemars(length(max = 64), inner(range(min = 1, max = 65_535)))]
    pub(crate) ports: Vec<i64>,
    /// ALLOW, DENY, or AUDIT: counted and logged, and nothing else.
    pub(crate) action: ActionName,
    /// What it applies to: what one of them is about. ALLOW without any allows nothing.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub(crate) rules: Vec<AccessRule>,
}

/// `action`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ActionName {
    Allow,
    Deny,
    Audit,
}

/// `rules[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub(crate) struct AccessRule {
    /// What it is called where it decides; absent means by its place.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) name: Option<String>,
    /// Whose calls it is about, any of these; absent means everybody's.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) from: Option<Vec<Source>>,
    /// Which of them, any of these; absent means all, opaque connections included.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) to: Option<Vec<Operation>>,
}

/// `rules[].from[]`: what is written must all be true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "minProperties" = 1))]
pub(crate) struct Source {
    /// SPIFFE ids, any of them; `*` stands for any identity of the mesh.
    #[schemars(
        length(min = 1, max = 64),
        inner(
            length(min = 1, max = 2048),
            regex(pattern = r"^(\*|spiffe://[a-z0-9._-]+/ns/[A-Za-z0-9._-]+/sa/[A-Za-z0-9._-]+)$")
        )
    )]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) identities: Option<Vec<String>>,
    /// Namespaces of the mesh's trust domain.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) namespaces: Option<Vec<String>>,
    /// Service accounts, `namespace/name`, or a name in the policy's own namespace.
    #[schemars(
        length(min = 1, max = 64),
        inner(
            length(min = 1, max = 317),
            regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
        )
    )]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) service_accounts: Option<Vec<String>>,
    /// Trust domains.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 255), regex(pattern = r"^[a-z0-9._-]+$"))
    )]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) trust_domains: Option<Vec<String>>,
    /// Networks that the connection comes from, as `10.0.0.0/8`.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 49)))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) cidrs: Option<Vec<String>>,
}

/// `rules[].to[]`: what is written must all be true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "minProperties" = 1))]
pub(crate) struct Operation {
    /// Methods, in upper case.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 64), regex(pattern = r"^[A-Z0-9!#$%&'*+.^_`|~-]+$"))
    )]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) methods: Option<Vec<String>>,
    /// Paths, without their query.
    #[schemars(length(min = 1, max = 64))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) paths: Option<Vec<PathName>>,
    /// Headers; all of these.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) headers: Option<Vec<HeaderName>>,
    /// Ports of the workload.
    #[schemars(length(min = 1, max = 64), inner(range(min = 1, max = 65_535)))]
    #[schemars(extend("nullable" = true))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) ports: Option<Vec<i64>>,
}

/// `paths[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub(crate) struct PathName {
    /// Exact, PathPrefix (by whole segments) or Template (`/carts/{id}/items`, `/files/**`); absent means PathPrefix.
    #[serde(default, rename = "type", deserialize_with = "written")]
    pub(crate) kind: Option<PathKind>,
    /// What it is compared with.
    #[schemars(with = "HttpPath")]
    pub(crate) value: String,
}

/// `paths[].type`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
pub(crate) enum PathKind {
    Exact,
    #[default]
    PathPrefix,
    Template,
}

/// `headers[]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true, "x-kubernetes-validations" = [
    rule(
        "self.type != 'Present' ? has(self.value) : !has(self.value)",
        "write a value, or type: Present without one",
    ),
]))]
pub(crate) struct HeaderName {
    /// Its name.
    #[schemars(with = "Token")]
    pub(crate) name: String,
    /// Exact, Prefix or Present.
    #[serde(rename = "type")]
    pub(crate) kind: HeaderKind,
    /// What it is compared with. Where it comes several times ALLOW wants each of them so, DENY and AUDIT one.
    #[schemars(length(max = 4096))]
    #[serde(default, deserialize_with = "written")]
    pub(crate) value: Option<String>,
}

/// `headers[].type`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
pub(crate) enum HeaderKind {
    Exact,
    Prefix,
    Present,
}
