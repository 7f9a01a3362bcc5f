//! When a rule applies. There is no negation: with more facts a condition can only become true, so what is not known
//! yet has two safe readings, and a denial can be explained by what is missing.

#[cfg(test)]
mod tests;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::template::Template;
use crate::{Caller, Question, Request};

/// One condition, or several. Built by whoever reads configuration; depth and size are bounded there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All hold; true if there are none.
    All(Vec<Condition>),
    /// One holds; false if there are none.
    Any(Vec<Condition>),
    /// The caller has proved any identity of the mesh.
    Mesh,
    /// The caller's SPIFFE id, to the letter.
    Identity(String),
    /// How the caller's SPIFFE id begins. A prefix that ends a segment ends in `/`.
    IdentityPrefix(String),
    /// The caller's address.
    Source(IpNet),
    /// The workload's port.
    Port(u16),
    /// The method, to the letter.
    Method(String),
    /// The path, to the letter.
    Path(String),
    /// How the path begins.
    PathPrefix(String),
    /// The form of the path.
    PathTemplate(Template),
    /// A header.
    Header(HeaderName, HeaderMatch),
}

/// What a header must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderMatch {
    /// There is one.
    Present,
    /// Its value, to the letter.
    Exact(String),
    /// How its value begins.
    Prefix(String),
}

/// How a header with several values is read. Two readers may see different ones of them, so each list of rules takes
/// the reading that lets less through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// One value is enough, and one that cannot be read: rules that deny or tell.
    One,
    /// Every value must match, and be text: rules that allow.
    Every,
}

impl Condition {
    /// Of callers in this network. One of IPv4 that is written as IPv6 (`::ffff:10.0.0.0/104`) is that of IPv4: so
    /// callers' addresses are read too, and it would be about nobody.
    #[must_use]
    pub fn source(network: IpNet) -> Self {
        let mapped = match network {
            IpNet::V6(six) => six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96)),
            IpNet::V4(_) => None,
        };
        let four = mapped.and_then(|(address, length)| IpNet::new(address.into(), length).ok());
        Self::Source(four.unwrap_or(network))
    }

    /// Does it look at the path?
    pub(crate) fn is_about_paths(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::is_about_paths),
            Self::Path(_) | Self::PathPrefix(_) | Self::PathTemplate(_) => true,
            _ => false,
        }
    }

    /// By the caller alone: `None` if it depends on what is asked for.
    pub(crate) fn by_caller(&self, caller: &Caller<'_>) -> Option<bool> {
        self.known(&Question::of(caller), Values::One)
    }

    /// By everything.
    pub(crate) fn holds(&self, caller: &Caller<'_>, request: &Request<'_>, values: Values) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(caller, request, values)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(caller, request, values)),
            Self::Method(method) => request.method == method,
            Self::Path(path) => request.path == path,
            Self::PathPrefix(prefix) => request.path.starts_with(prefix.as_str()),
            Self::PathTemplate(template) => template.matches(request.path),
            Self::Header(name, wanted) => wanted.holds(request.headers, name, values),
            Self::Mesh
            | Self::Identity(_)
            | Self::IdentityPrefix(_)
            | Self::Source(_)
            | Self::Port(_) => self.by_caller(caller) == Some(true),
        }
    }
}

impl HeaderMatch {
    pub(crate) fn holds(&self, headers: &HeaderMap, name: &HeaderName, values: Values) -> bool {
        let mut found = headers.get_all(name).iter();
        match values {
            Values::One => found.any(|value| self.may_hold(value)),
            Values::Every => {
                let Some(first) = found.next() else { return false };
                self.surely_holds(first) && found.all(|value| self.surely_holds(value))
            }
        }
    }

    /// For whoever reads the value: as one, as a list (RFC 9110 §5.3: a list with commas is the same as several lines), or,
    /// where it is no text, as nobody knows what.
    fn may_hold(&self, value: &HeaderValue) -> bool {
        match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => self.is(text) || elements(text).any(|element| self.is(element)),
            Err(_) => true,
        }
    }

    /// However it is read.
    fn surely_holds(&self, value: &HeaderValue) -> bool {
        match (self, std::str::from_utf8(value.as_bytes())) {
            (Self::Present, _) => true,
            (Self::Exact(_), Ok(text)) => self.is(text),
            (Self::Prefix(prefix), Ok(text)) => {
                let is_list = !prefix.contains(',');
                self.is(text) && (!is_list || elements(text).all(|element| self.is(element)))
            }
            (_, Err(_)) => false,
        }
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(wanted) => text == wanted,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
        }
    }
}

fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|element| element.trim_matches([' ', '\t']))
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All(parts) => join(f, parts, " and "),
            Self::Any(parts) => join(f, parts, " or "),
            Self::Mesh => f.write_str("an identity of the mesh"),
            Self::Identity(id) => write!(f, "identity {id}"),
            Self::IdentityPrefix(prefix) => write!(f, "identity {prefix}*"),
            Self::Source(network) => write!(f, "source {network}"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Method(method) => write!(f, "method {method}"),
            Self::Path(path) => write!(f, "path {path}"),
            Self::PathPrefix(prefix) => write!(f, "path {prefix}*"),
            Self::PathTemplate(template) => write!(f, "path {template}"),
            Self::Header(name, HeaderMatch::Present) => write!(f, "header {name}"),
            Self::Header(name, HeaderMatch::Exact(value)) => write!(f, "header {name}: {value}"),
            Self::Header(name, HeaderMatch::Prefix(value)) => write!(f, "header {name}: {value}*"),
        }
    }
}

fn join(f: &mut std::fmt::Formatter<'_>, parts: &[Condition], between: &str) -> std::fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        match part {
            Condition::All(inner) | Condition::Any(inner) if inner.len() > 1 => {
                write!(f, "({part})")?
            }
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}
