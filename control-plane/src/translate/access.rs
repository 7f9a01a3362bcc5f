//! Who may do what, as Envoy's role based access control: one filter for each action, before the filters that count.
//! A rule is one of Envoy's policies, called as the rule is.
//!
//! Envoy cannot judge opaque bytes by what it would want of a request, so for them a rule that denies applies whatever it
//! wants, and one that allows only if it wants nothing ([`opaque`]); weft-proxy would do the same by itself.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost::{Message, Name};
use weft_policy::{Access, Condition, HeaderMatch, Rule};
use weft_proto::envoy::core::{CidrRange, TypedExtensionConfig};
use weft_proto::envoy::hcm::{HttpFilter, http_filter};
use weft_proto::envoy::listener::{Filter, filter};
use weft_proto::envoy::matcher::string_matcher::MatchPattern;
use weft_proto::envoy::matcher::{PathMatcher, StringMatcher, path_matcher};
use weft_proto::envoy::rbac::rbac::Action;
use weft_proto::envoy::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use weft_proto::envoy::route::HeaderMatcher;
use weft_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use weft_proto::envoy::uri_template::UriTemplateMatchConfig;
use weft_proto::envoy::{http_rbac, network_rbac};
use weft_proto::google::Any;
use weft_proto::names::access::{HTTP_FILTER, NETWORK_FILTER, TEMPLATE};

use super::value::{any, uint32};

/// What the name of a network filter's statistics begins with; Envoy wants one.
const STAT_PREFIX: &str = "access";

/// The filters of HTTP.
pub(super) fn http(access: &Access) -> Vec<HttpFilter> {
    let filter = |(action, rules): (Action, &Vec<Rule>)| HttpFilter {
        name: HTTP_FILTER.to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(merged(
            action,
            rules,
            &http_rbac::Rbac::default(),
        ))),
        ..Default::default()
    };
    actions(access).map(filter).collect()
}

/// The filters of opaque bytes.
pub(super) fn network(access: &Access) -> Vec<Filter> {
    let filter = |(action, rules): (Action, &Vec<Rule>)| {
        let known = action == Action::Deny;
        let rules: Vec<Rule> =
            rules.iter().map(|rule| Rule { to: opaque(&rule.to, known), ..rule.clone() }).collect();
        let rest = network_rbac::Rbac { stat_prefix: STAT_PREFIX.to_owned(), ..Default::default() };
        let config = merged(action, &rules, &rest);
        Filter {
            name: NETWORK_FILTER.to_owned(),
            config_type: Some(filter::ConfigType::TypedConfig(config)),
        }
    };
    actions(access).map(filter).collect()
}

/// Order: what is told of is told whatever becomes of it.
fn actions(access: &Access) -> impl Iterator<Item = (Action, &Vec<Rule>)> {
    let audit = (!access.audit.is_empty()).then_some((Action::Log, &access.audit));
    let deny = (!access.deny.is_empty()).then_some((Action::Deny, &access.deny));
    let allow = access.allow.as_ref().map(|rules| (Action::Allow, rules));
    [audit, deny, allow].into_iter().flatten()
}

/// Number of the field `rules` of both filters, their first.
const RULES: u32 = 1;

/// The rules of a filter are a map, and prost encodes maps in another order each time, which would be another version of
/// the resource. So each entry is encoded alone, in the order of the rules. `filter`: what else it says.
fn merged<M: Message + Name>(action: Action, rules: &[Rule], filter: &M) -> Any {
    let mut inner = Rbac { action: action.into(), ..Default::default() }.encode_to_vec();
    for rule in rules {
        let policies = [(rule.name.to_string(), policy(rule))].into();
        inner.extend(Rbac { policies, ..Default::default() }.encode_to_vec());
    }
    let mut value = Vec::with_capacity(inner.len() + 8);
    encode_key(RULES, WireType::LengthDelimited, &mut value);
    encode_varint(inner.len() as u64, &mut value);
    value.extend(inner);
    value.extend(filter.encode_to_vec());
    Any { type_url: M::type_url(), value }
}

fn policy(rule: &Rule) -> Policy {
    let alternatives = |condition: &Condition| match condition {
        Condition::Any(parts) if !parts.is_empty() => parts.clone(),
        other => vec![other.clone()],
    };
    Policy {
        permissions: alternatives(&rule.to).iter().map(permission).collect(),
        principals: alternatives(&rule.from).iter().map(principal).collect(),
        ..Default::default()
    }
}

/// What is left where nothing is known of a request; `known` is what its conditions count as.
fn opaque(condition: &Condition, known: bool) -> Condition {
    let inner = |parts: &[Condition]| parts.iter().map(|part| opaque(part, known)).collect();
    match condition {
        Condition::All(parts) => Condition::All(inner(parts)),
        Condition::Any(parts) => Condition::Any(inner(parts)),
        Condition::Method(_)
        | Condition::Path(_)
        | Condition::PathPrefix(_)
        | Condition::PathTemplate(_)
        | Condition::Header(..) => match known {
            true => Condition::All(Vec::new()),
            false => Condition::Any(Vec::new()),
        },
        other => other.clone(),
    }
}

fn permission(condition: &Condition) -> Permission {
    let all =
        |parts: &[Condition]| permission::Set { rules: parts.iter().map(permission).collect() };
    let rule = match condition {
        Condition::All(parts) if parts.is_empty() => permission::Rule::Any(true),
        Condition::Any(parts) if parts.is_empty() => {
            let anything = Permission { rule: Some(permission::Rule::Any(true)) };
            permission::Rule::NotRule(Box::new(anything))
        }
        Condition::All(parts) => permission::Rule::AndRules(all(parts)),
        Condition::Any(parts) => permission::Rule::OrRules(all(parts)),
        Condition::Port(port) => permission::Rule::DestinationPort((*port).into()),
        Condition::Method(method) => {
            permission::Rule::Header(header(":method", &HeaderMatch::Exact(method.clone())))
        }
        Condition::Path(path) => permission::Rule::UrlPath(path_matcher(exact(path))),
        Condition::PathPrefix(prefix) => permission::Rule::UrlPath(path_matcher(begins(prefix))),
        Condition::PathTemplate(template) => {
            let path_template = template.as_str().to_owned();
            permission::Rule::UriTemplate(TypedExtensionConfig {
                name: TEMPLATE.to_owned(),
                typed_config: Some(any(&UriTemplateMatchConfig { path_template })),
            })
        }
        Condition::Header(name, wanted) => permission::Rule::Header(header(name.as_str(), wanted)),
        // Conditions of a caller have no place here; nothing is what they say.
        Condition::Mesh
        | Condition::Identity(_)
        | Condition::IdentityPrefix(_)
        | Condition::Source(_) => return permission(&Condition::Any(Vec::new())),
    };
    Permission { rule: Some(rule) }
}

fn principal(condition: &Condition) -> Principal {
    let all = |parts: &[Condition]| principal::Set { ids: parts.iter().map(principal).collect() };
    let named = |name| {
        principal::Identifier::Authenticated(principal::Authenticated { principal_name: name })
    };
    let identifier = match condition {
        Condition::All(parts) if parts.is_empty() => principal::Identifier::Any(true),
        Condition::Any(parts) if parts.is_empty() => {
            let anybody = Principal { identifier: Some(principal::Identifier::Any(true)) };
            principal::Identifier::NotId(Box::new(anybody))
        }
        Condition::All(parts) => principal::Identifier::AndIds(all(parts)),
        Condition::Any(parts) => principal::Identifier::OrIds(all(parts)),
        Condition::Mesh => named(None),
        Condition::Identity(id) => named(Some(exact(id))),
        Condition::IdentityPrefix(prefix) => named(Some(begins(prefix))),
        Condition::Source(network) => principal::Identifier::DirectRemoteIp(CidrRange {
            address_prefix: network.addr().to_string(),
            prefix_len: Some(uint32(network.prefix_len().into())),
        }),
        Condition::Port(_)
        | Condition::Method(_)
        | Condition::Path(_)
        | Condition::PathPrefix(_)
        | Condition::PathTemplate(_)
        | Condition::Header(..) => return principal(&Condition::Any(Vec::new())),
    };
    Principal { identifier: Some(identifier) }
}

fn exact(text: &str) -> StringMatcher {
    let match_pattern = Some(MatchPattern::Exact(text.to_owned()));
    StringMatcher { match_pattern, ..Default::default() }
}

fn begins(text: &str) -> StringMatcher {
    let match_pattern = Some(MatchPattern::Prefix(text.to_owned()));
    StringMatcher { match_pattern, ..Default::default() }
}

fn path_matcher(matcher: StringMatcher) -> PathMatcher {
    PathMatcher { rule: Some(path_matcher::Rule::Path(matcher)) }
}

fn header(name: &str, wanted: &HeaderMatch) -> HeaderMatcher {
    let specifier = match wanted {
        HeaderMatch::Present => HeaderMatchSpecifier::PresentMatch(true),
        HeaderMatch::Exact(value) => HeaderMatchSpecifier::StringMatch(exact(value)),
        HeaderMatch::Prefix(prefix) => HeaderMatchSpecifier::StringMatch(begins(prefix)),
    };
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
