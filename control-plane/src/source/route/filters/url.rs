//! Filters that change a URL: `requestRedirect` and `urlRewrite`.

use crate::model::{PathModifier, Redirect, Rewrite};
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{
    PathModifier as PathSpec, PathModifierKind, RequestRedirect, UrlRewrite,
};

const REDIRECT_STATUS: [i64; 5] = [301, 302, 303, 307, 308];

/// Reads `requestRedirect`.
pub(super) fn redirect(spec: &RequestRedirect, field: &str, problems: &mut Problems) -> Redirect {
    if let Some(scheme) = spec.scheme.as_deref().filter(|text| !matches!(*text, "http" | "https")) {
        let hint = "http or https";
        problems.invalid_hint(format!("{field}.scheme"), format!("{scheme:?} is no scheme"), hint);
    }
    hostname(spec.hostname.as_deref(), field, problems);
    let written = spec.status_code.unwrap_or(302);
    if !REDIRECT_STATUS.contains(&written) {
        problems.invalid_hint(
            format!("{field}.statusCode"),
            format!("{written} is not the status of a redirect"),
            "one of 301, 302, 303, 307, 308",
        );
    }
    Redirect {
        scheme: spec.scheme.clone(),
        hostname: spec.hostname.clone(),
        port: spec.port.and_then(|port| names::port(port, &format!("{field}.port"), problems)),
        path: path(spec.path.as_ref(), &format!("{field}.path"), problems),
        status: u16::try_from(written).unwrap_or(302),
    }
}

/// Reads `urlRewrite`.
pub(super) fn rewrite(spec: &UrlRewrite, field: &str, problems: &mut Problems) -> Rewrite {
    hostname(spec.hostname.as_deref(), field, problems);
    Rewrite {
        hostname: spec.hostname.clone(),
        path: path(spec.path.as_ref(), &format!("{field}.path"), problems),
    }
}

fn hostname(written: Option<&str>, field: &str, problems: &mut Problems) {
    if let Some(hostname) = written.filter(|text| !names::is_hostname(text, false)) {
        problems.invalid(format!("{field}.hostname"), format!("{hostname:?} is not a host name"));
    }
}

fn path(spec: Option<&PathSpec>, field: &str, problems: &mut Problems) -> Option<PathModifier> {
    let spec = spec?;
    let (value, other, name) = match spec.kind {
        PathModifierKind::ReplaceFullPath => {
            (&spec.replace_full_path, &spec.replace_prefix_match, "replaceFullPath")
        }
        PathModifierKind::ReplacePrefixMatch => {
            (&spec.replace_prefix_match, &spec.replace_full_path, "replacePrefixMatch")
        }
    };
    if value.is_none() || other.is_some() {
        problems.invalid(field, format!("must have {name} and nothing else beside its type"));
    }
    let usable = |path: &str| {
        let well_formed = || path.parse::<http::uri::PathAndQuery>().is_ok();
        path.is_empty()
            || path.len() <= 1024
                && path.starts_with('/')
                && !path.contains(['?', '#'])
                && well_formed()
    };
    if let Some(path) = value.as_deref().filter(|path| !usable(path)) {
        problems.invalid(format!("{field}.{name}"), format!("{path:?} is not a path"));
    }
    let value = value.clone()?;
    Some(match spec.kind {
        PathModifierKind::ReplaceFullPath => PathModifier::Full(value),
        PathModifierKind::ReplacePrefixMatch => PathModifier::Prefix(value),
    })
}
