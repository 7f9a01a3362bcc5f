//! `HTTPRoute`, `gateway.networking.k8s.io/v1`. What Weft cannot do yet is read as [`Value`], so that the
//! refusal can name it instead of calling it unknown.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::text::Token;

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpRouteSpec {
    #[serde(default)]
    pub(crate) parent_refs: Vec<ParentRef>,
    #[serde(default)]
    pub(crate) hostnames: Vec<String>,
    /// Absent is one rule that matches everything.
    pub(crate) rules: Option<Vec<Rule>>,
    pub(crate) use_default_gateways: Option<Value>,
}

/// `parentRefs[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ParentRef {
    pub(crate) group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) section_name: Option<String>,
    pub(crate) port: Option<i64>,
}

/// `rules[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) matches: Vec<Match>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
    #[serde(default)]
    pub(crate) backend_refs: Vec<BackendRef>,
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Option<Retry>,
    pub(crate) session_persistence: Option<Value>,
}

/// `rules[].matches[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Match {
    pub(crate) path: Option<PathMatch>,
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<NameMatch>,
    #[serde(default)]
    pub(crate) query_params: Vec<NameMatch>,
}

/// `matches[].path`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PathMatch {
    #[serde(default, rename = "type")]
    pub(crate) kind: PathKind,
    pub(crate) value: Option<String>,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) enum PathKind {
    Exact,
    #[default]
    PathPrefix,
    RegularExpression,
}

/// `matches[].headers[]` and `matches[].queryParams[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NameMatch {
    #[serde(default, rename = "type")]
    pub(crate) kind: ValueKind,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) enum ValueKind {
    #[default]
    Exact,
    RegularExpression,
}

/// `filters[]` of a rule or of a backend: one of its fields is set, the one that `type` names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) request_header_modifier: Option<HeaderModifier>,
    pub(crate) response_header_modifier: Option<HeaderModifier>,
    pub(crate) request_redirect: Option<RequestRedirect>,
    pub(crate) request_mirror: Option<RequestMirror>,
    pub(crate) url_rewrite: Option<UrlRewrite>,
    cors: Option<Value>,
    external_auth: Option<Value>,
    extension_ref: Option<Value>,
}

impl Filter {
    /// The fields that are set beside `type`.
    pub(crate) fn set(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("requestHeaderModifier", self.request_header_modifier.is_some()),
            ("responseHeaderModifier", self.response_header_modifier.is_some()),
            ("requestRedirect", self.request_redirect.is_some()),
            ("requestMirror", self.request_mirror.is_some()),
            ("urlRewrite", self.url_rewrite.is_some()),
            ("cors", self.cors.is_some()),
            ("externalAuth", self.external_auth.is_some()),
            ("extensionRef", self.extension_ref.is_some()),
        ];
        all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)
    }
}

/// `requestHeaderModifier`, `responseHeaderModifier`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeaderModifier {
    #[serde(default)]
    pub(crate) set: Vec<Header>,
    #[serde(default)]
    pub(crate) add: Vec<Header>,
    #[serde(default)]
    pub(crate) remove: Vec<String>,
}

/// One header to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Header {
    /// The header's name.
    #[schemars(with = "Token")]
    pub(crate) name: String,
    /// The header's value.
    pub(crate) value: String,
}

/// `requestRedirect`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequestRedirect {
    pub(crate) scheme: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) path: Option<PathModifier>,
    pub(crate) port: Option<i64>,
    pub(crate) status_code: Option<i64>,
}

/// `requestMirror`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RequestMirror {
    pub(crate) backend_ref: MirrorBackend,
    pub(crate) percent: Option<i64>,
    pub(crate) fraction: Option<Fraction>,
}

/// `requestMirror.backendRef`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MirrorBackend {
    pub(crate) group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<i64>,
}

/// `requestMirror.fraction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fraction {
    pub(crate) numerator: i64,
    pub(crate) denominator: Option<i64>,
}

/// `urlRewrite`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UrlRewrite {
    pub(crate) hostname: Option<String>,
    pub(crate) path: Option<PathModifier>,
}

/// `requestRedirect.path`, `urlRewrite.path`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PathModifier {
    #[serde(rename = "type")]
    pub(crate) kind: PathModifierKind,
    pub(crate) replace_full_path: Option<String>,
    pub(crate) replace_prefix_match: Option<String>,
}

/// What of the path is replaced.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum PathModifierKind {
    ReplaceFullPath,
    ReplacePrefixMatch,
}

/// `backendRefs[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BackendRef {
    pub(crate) group: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) port: Option<i64>,
    pub(crate) weight: Option<i64>,
    #[serde(default)]
    pub(crate) filters: Vec<Filter>,
}

/// `retry`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retry {
    #[serde(default)]
    pub(crate) codes: Vec<i64>,
    pub(crate) attempts: Option<i64>,
    pub(crate) backoff: Option<String>,
}

/// `timeouts`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Timeouts {
    pub(crate) request: Option<String>,
    pub(crate) backend_request: Option<String>,
}
