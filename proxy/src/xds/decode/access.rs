//! RBAC filters → [`Access`]: what Envoy calls policies are our rules. The subset is what [`weft_policy`] has words for,
//! without negation; a filter that says more is refused, and what was in force stays.

use std::mem::take;

use http::header::HeaderName;
use ipnet::IpNet;
use prost::Message;
use weft_policy::{Access, Condition, HeaderMatch, Rule, spelled};
use weft_proto::envoy::core::{CidrRange, TypedExtensionConfig};
use weft_proto::envoy::matcher::string_matcher::MatchPattern;
use weft_proto::envoy::matcher::{PathMatcher, StringMatcher, path_matcher};
use weft_proto::envoy::rbac::rbac::Action;
use weft_proto::envoy::rbac::{Permission, Policy, Principal, Rbac, permission, principal};
use weft_proto::envoy::route::HeaderMatcher;
use weft_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use weft_proto::envoy::uri_template::UriTemplateMatchConfig;
use weft_proto::envoy::{http_rbac, network_rbac};
use weft_proto::google::Any;
use weft_proto::names::access::MAX_DEPTH;

use super::reject::{At, Reject, each, nothing_else};
use super::value::{required, unpack};

/// Takes the HTTP filter in.
pub(super) fn http(config: Option<Any>, access: &mut Access) -> Result<(), Reject> {
    let mut filter: http_rbac::Rbac = unpack("typed_config", config)?;
    filter.rules_stat_prefix = String::new();
    let rules = required("rules", &mut filter.rules);
    let rules = rules.and_then(|rules| nothing_else(&filter).map(|()| rules));
    rules.and_then(|rules| add(rules, access).at("rules")).at("typed_config")
}

/// Takes the filter of opaque connections in. What they are judged by is judged again when it changes, whatever the
/// filter says of that.
pub(super) fn network(config: Any, access: &mut Access) -> Result<(), Reject> {
    let mut filter: network_rbac::Rbac = unpack("typed_config", Some(config))?;
    filter.stat_prefix = String::new();
    filter.enforcement_type = 0;
    let rules = required("rules", &mut filter.rules);
    let rules = rules.and_then(|rules| nothing_else(&filter).map(|()| rules));
    rules.and_then(|rules| add(rules, access).at("rules")).at("typed_config")
}

/// Envoy asks its filters one after the other. Of those that allow each would have to, so there can be one only.
fn add(mut rbac: Rbac, access: &mut Access) -> Result<(), Reject> {
    let action = Action::try_from(take(&mut rbac.action));
    let mut policies: Vec<(String, Policy)> = take(&mut rbac.policies).into_iter().collect();
    nothing_else(&rbac)?;
    // Order: a map has none of its own.
    policies.sort_by(|one, other| one.0.cmp(&other.0));
    let rules = policies
        .into_iter()
        .map(|(name, policy)| rule(&name, policy).at(format_args!("policies[{name}]")));
    let rules = rules.collect::<Result<Vec<Rule>, Reject>>()?;
    match action {
        Ok(Action::Deny) => access.deny.extend(rules),
        Ok(Action::Log) => access.audit.extend(rules),
        Ok(Action::Allow) if access.allow.is_none() => access.allow = Some(rules),
        Ok(Action::Allow) => return Err(Reject::new("action", "one filter that allows is enough")),
        Err(_) => return Err(Reject::new("action", "only ALLOW, DENY and LOG are supported")),
    }
    Ok(())
}

fn rule(name: &str, mut policy: Policy) -> Result<Rule, Reject> {
    let to = each("permissions", take(&mut policy.permissions), |one| permission(one, 0))?;
    let from = each("principals", take(&mut policy.principals), |one| principal(one, 0))?;
    nothing_else(&policy)?;
    Ok(Rule { name: name.into(), from: one_of(from), to: one_of(to) })
}

fn one_of(mut parts: Vec<Condition>) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            Condition::Any(parts)
        }
    }
}

fn deeper(depth: usize) -> Result<usize, Reject> {
    match depth < MAX_DEPTH {
        true => Ok(depth + 1),
        false => Err(Reject::new("", format!("lies more than {MAX_DEPTH} deep"))),
    }
}

fn permission(of: Permission, depth: usize) -> Result<Condition, Reject> {
    let depth = deeper(depth)?;
    let inner = |field, rules| each(field, rules, |one| permission(one, depth));
    match of.rule {
        Some(permission::Rule::Any(true)) => Ok(Condition::All(Vec::new())),
        Some(permission::Rule::AndRules(set)) => inner("and_rules", set.rules).map(Condition::All),
        Some(permission::Rule::OrRules(set)) => inner("or_rules", set.rules).map(Condition::Any),
        Some(permission::Rule::DestinationPort(port)) => u16::try_from(port)
            .map(Condition::Port)
            .map_err(|_| Reject::new("destination_port", "not a port")),
        Some(permission::Rule::Header(matcher)) => header(matcher).at("header"),
        Some(permission::Rule::UrlPath(matcher)) => path(matcher).at("url_path"),
        Some(permission::Rule::UriTemplate(matcher)) => template(matcher).at("uri_template"),
        // `not any` is how nothing is said.
        Some(permission::Rule::NotRule(not)) if not.rule == Some(permission::Rule::Any(true)) => {
            Ok(Condition::Any(Vec::new()))
        }
        _ => Err(Reject::new("rule", "this kind of rule is not supported")),
    }
}

fn principal(of: Principal, depth: usize) -> Result<Condition, Reject> {
    let depth = deeper(depth)?;
    let inner = |field, ids| each(field, ids, |one| principal(one, depth));
    match of.identifier {
        Some(principal::Identifier::Any(true)) => Ok(Condition::All(Vec::new())),
        Some(principal::Identifier::AndIds(set)) => inner("and_ids", set.ids).map(Condition::All),
        Some(principal::Identifier::OrIds(set)) => inner("or_ids", set.ids).map(Condition::Any),
        Some(principal::Identifier::Authenticated(who)) => match who.principal_name {
            None => Ok(Condition::Mesh),
            Some(name) => match text(name).at("authenticated.principal_name")? {
                Text::Exact(id) => Ok(Condition::Identity(id)),
                Text::Prefix(prefix) => Ok(Condition::IdentityPrefix(prefix)),
            },
        },
        Some(principal::Identifier::DirectRemoteIp(range)) => {
            network_of(range).map(Condition::source).at("direct_remote_ip")
        }
        Some(principal::Identifier::NotId(not))
            if not.identifier == Some(principal::Identifier::Any(true)) =>
        {
            Ok(Condition::Any(Vec::new()))
        }
        _ => Err(Reject::new("identifier", "this kind of principal is not supported")),
    }
}

enum Text {
    Exact(String),
    Prefix(String),
}

fn text(mut of: StringMatcher) -> Result<Text, Reject> {
    let pattern = of.match_pattern.take();
    nothing_else(&of)?;
    match pattern {
        Some(MatchPattern::Exact(text)) => Ok(Text::Exact(text)),
        Some(MatchPattern::Prefix(text)) => Ok(Text::Prefix(text)),
        _ => Err(Reject::new("match_pattern", "only `exact` and `prefix` are supported")),
    }
}

fn network_of(mut range: CidrRange) -> Result<IpNet, Reject> {
    let address = take(&mut range.address_prefix);
    let address = address.parse().map_err(|_| Reject::new("address_prefix", "not an address"))?;
    let length = range.prefix_len.take().map_or(0, |length| length.value);
    nothing_else(&range)?;
    let network = u8::try_from(length).ok().and_then(|length| IpNet::new(address, length).ok());
    network.map(|network| network.trunc()).ok_or_else(|| Reject::new("prefix_len", "too long"))
}

fn path(of: PathMatcher) -> Result<Condition, Reject> {
    match of.rule {
        Some(path_matcher::Rule::Path(matcher)) => Ok(match text(matcher).at("path")? {
            Text::Exact(path) => Condition::Path(spelled(&path).into_owned()),
            Text::Prefix(prefix) => Condition::PathPrefix(spelled(&prefix).into_owned()),
        }),
        None => Err(Reject::new("rule", "missing")),
    }
}

fn template(of: TypedExtensionConfig) -> Result<Condition, Reject> {
    let mut config: UriTemplateMatchConfig = unpack("typed_config", of.typed_config)?;
    let template = take(&mut config.path_template);
    debug_assert!(config.encoded_len() == 0, "it has one field");
    let template = template.parse().map_err(|error: weft_policy::TemplateError| {
        Reject::new("typed_config.path_template", error.to_string())
    });
    template.map(Condition::PathTemplate)
}

fn header(mut of: HeaderMatcher) -> Result<Condition, Reject> {
    let name = take(&mut of.name);
    let specifier = of.header_match_specifier.take();
    nothing_else(&of)?;
    let wanted = match specifier {
        Some(HeaderMatchSpecifier::PresentMatch(true)) => HeaderMatch::Present,
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => {
            match text(matcher).at("string_match")? {
                Text::Exact(value) => HeaderMatch::Exact(value),
                Text::Prefix(prefix) => HeaderMatch::Prefix(prefix),
            }
        }
        _ => return Err(Reject::new("header_match_specifier", "this kind is not supported")),
    };
    match (name.as_str(), wanted) {
        (":method", HeaderMatch::Exact(method)) => Ok(Condition::Method(method)),
        (name, wanted) => HeaderName::from_bytes(name.as_bytes())
            .map(|name| Condition::Header(name, wanted))
            .map_err(|_| Reject::new("name", "not a header name")),
    }
}
