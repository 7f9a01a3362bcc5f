//! What can be said of a caller when not everything is known: may he always, may he never, or does it depend, and on
//! what. For people who ask before anybody calls, and for what was seen of calls; it decides nothing.
//!
//! Three-valued, and careful: *always* and *never* are so whatever the unknown turns out to be. *Depends* may be said of
//! what rules together leave no way for, as where one allows GET only and another denies GET.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;
use weft_certs::SpiffeId;

use crate::condition::Values;
use crate::{Access, Caller, Condition, Reason, Rule, spelled};

/// What is known of a caller and of what he asks for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who he is; `None` is somebody without an identity.
    pub identity: Option<&'a SpiffeId>,
    /// Where he connects from, if it is known.
    pub address: Option<IpAddr>,
    /// The workload's port.
    pub port: u16,
    /// What he wants there.
    pub asks: Asks<'a>,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub enum Asks<'a> {
    /// To send bytes that nobody looks into.
    Bytes,
    /// A request, as far as it is known.
    Request(Partial<'a>),
}

/// What is known of a request; nothing by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Partial<'a> {
    /// Upper case.
    pub method: Option<&'a str>,
    /// Canonical, without query.
    pub path: Option<&'a str>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// What is known of headers.
#[derive(Clone, Copy, Debug, Default)]
pub enum Headers<'a> {
    /// Nothing.
    #[default]
    Unknown,
    /// All values of these names, and nothing of others.
    Some(&'a HeaderMap),
    /// There are these and no others.
    All(&'a HeaderMap),
}

/// What can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach<'a> {
    /// He may, whatever is not known: [`Reason::Allowed`] or [`Reason::Open`].
    Always(Reason<'a>),
    /// He may not: [`Reason::Denied`] or [`Reason::NoRuleAllows`].
    Never(Reason<'a>),
    /// It depends.
    Depends(Depends<'a>),
}

/// On what it depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depends<'a> {
    /// These deny some of it.
    pub deny: Vec<&'a Rule>,
    /// These allow some of it.
    pub allow: Vec<&'a Rule>,
    /// What holds where none of these applies.
    pub otherwise: Reason<'a>,
    /// What they look at that is not known.
    pub on: Unknown,
}

/// What is not known, and matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Where the caller connects from.
    pub source: bool,
    /// The method.
    pub method: bool,
    /// The path.
    pub path: bool,
    /// Headers.
    pub headers: bool,
}

impl Unknown {
    /// In words: `source`, `method`, `path`, `headers`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.source, "source"),
            (self.method, "method"),
            (self.path, "path"),
            (self.headers, "headers"),
        ];
        all.into_iter().filter_map(|(matters, name)| matters.then_some(name))
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl<'a> Question<'a> {
    /// Of somebody who is known, and asks for something that is not.
    pub(crate) fn of(caller: &Caller<'a>) -> Self {
        let asks = Asks::Request(Partial::default());
        Self { identity: caller.identity, address: Some(caller.address), port: caller.port, asks }
    }

    fn with_path(self, path: &'a str) -> Self {
        let asks = match self.asks {
            Asks::Bytes => Asks::Bytes,
            Asks::Request(partial) => Asks::Request(Partial { path: Some(path), ..partial }),
        };
        Self { asks, ..self }
    }

    fn by_caller(self) -> Self {
        Self { asks: Asks::Request(Partial::default()), ..self }
    }
}

/// Says what can be said.
#[must_use]
pub fn reach<'a>(access: &'a Access, question: &Question<'_>) -> Reach<'a> {
    let Asks::Request(Partial { path: Some(path), .. }) = question.asks else {
        return reach_spelled(access, question);
    };
    let path = spelled(path);
    reach_spelled(access, &question.with_path(&path))
}

fn reach_spelled<'a>(access: &'a Access, question: &Question<'_>) -> Reach<'a> {
    let deny = Judged::new(&access.deny, question, Values::One);
    if let Some(rule) = deny.applies {
        return Reach::Never(Reason::Denied(rule));
    }
    let (allow, otherwise) = match &access.allow {
        None => (Judged::default(), Reason::Open),
        Some(rules) => {
            let allow = Judged::new(rules, question, Values::Every);
            let otherwise = allow.applies.map_or(Reason::NoRuleAllows, Reason::Allowed);
            (allow, otherwise)
        }
    };
    let may = !matches!(otherwise, Reason::NoRuleAllows);
    if may && deny.open.is_empty() {
        return Reach::Always(otherwise);
    }
    if !may && allow.open.is_empty() {
        return Reach::Never(otherwise);
    }
    // Where he may anyway, what else would allow it matters not.
    let allow = if may { Vec::new() } else { allow.open };
    let mut on = Unknown::default();
    for (rules, values) in [(&deny.open, Values::One), (&allow, Values::Every)] {
        for rule in rules {
            rule.from.unknown(question, values, &mut on);
            rule.to.unknown(question, values, &mut on);
        }
    }
    Reach::Depends(Depends { deny: deny.open, allow, otherwise, on })
}

/// One list of rules, as far as can be said.
#[derive(Default)]
struct Judged<'a> {
    /// The one that is named of those that surely apply.
    applies: Option<&'a Rule>,
    /// Those of which it is not known.
    open: Vec<&'a Rule>,
}

impl<'a> Judged<'a> {
    /// Order: as [`crate::Narrowed`], what the caller settles is named before what the request does.
    fn new(rules: &'a [Rule], question: &Question<'_>, values: Values) -> Self {
        let (mut open, mut settled, mut asked) = (Vec::new(), None, None);
        let is_opaque = matches!(question.asks, Asks::Bytes);
        for rule in rules {
            match rule.known(question, values) {
                Some(false) => {}
                None => open.push(rule),
                Some(true) => {
                    asked = asked.or(Some(rule));
                    let by_caller = || rule.known(&question.by_caller(), values) == Some(true);
                    if is_opaque || by_caller() {
                        settled = Some(rule);
                        break;
                    }
                }
            }
        }
        let applies = if is_opaque { asked } else { settled.or(asked) };
        Self { applies, open }
    }
}

impl Rule {
    fn known(&self, question: &Question<'_>, values: Values) -> Option<bool> {
        match (self.from.known(question, values), self.to.known(question, values)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

impl Access {
    /// The rules that can be about this caller, whatever he asks for: it decides of him as the whole does.
    #[must_use]
    pub fn about(&self, question: &Question<'_>) -> Self {
        let question = question.by_caller();
        let of = |rules: &[Rule]| {
            let concern = |rule: &&Rule| rule.known(&question, Values::One) != Some(false);
            rules.iter().filter(concern).cloned().collect()
        };
        Self { deny: of(&self.deny), allow: self.allow.as_deref().map(of), audit: of(&self.audit) }
    }
}

impl Condition {
    /// Does it hold? `None` if that depends on what is not known. Of opaque bytes a rule that denies wants nothing, and
    /// one that allows is wanting.
    pub(crate) fn known(&self, question: &Question<'_>, values: Values) -> Option<bool> {
        let request = match question.asks {
            Asks::Bytes => Partial::default(),
            Asks::Request(partial) => partial,
        };
        match self {
            Self::All(parts) => all(parts.iter().map(|part| part.known(question, values))),
            // Not one of them, by De Morgan.
            Self::Any(parts) => {
                let nots = parts.iter().map(|part| part.known(question, values).map(|is| !is));
                all(nots).map(|none| !none)
            }
            Self::Mesh => Some(question.identity.is_some()),
            Self::Identity(id) => Some(question.identity.is_some_and(|own| own.as_str() == id)),
            Self::IdentityPrefix(prefix) => {
                Some(question.identity.is_some_and(|own| own.as_str().starts_with(&**prefix)))
            }
            Self::Source(network) => {
                question.address.map(|address| network.contains(&address.to_canonical()))
            }
            Self::Port(port) => Some(question.port == *port),
            _ if matches!(question.asks, Asks::Bytes) => Some(values == Values::One),
            Self::Method(method) => request.method.map(|asked| asked == method),
            Self::Path(path) => request.path.map(|asked| asked == path),
            Self::PathPrefix(prefix) => match request.path {
                Some(asked) => Some(asked.starts_with(&**prefix)),
                // Every path does, but the `*` of OPTIONS.
                None if prefix == "/" && request.method.is_some_and(|m| m != "OPTIONS") => {
                    Some(true)
                }
                None => None,
            },
            Self::PathTemplate(template) => request.path.map(|asked| template.matches(asked)),
            Self::Header(name, wanted) => match request.headers {
                Headers::All(headers) => Some(wanted.holds(headers, name, values)),
                Headers::Some(headers) if headers.contains_key(name) => {
                    Some(wanted.holds(headers, name, values))
                }
                Headers::Some(_) | Headers::Unknown => None,
            },
        }
    }

    /// Adds what it looks at that is not known, where that is why nothing can be said of it.
    fn unknown(&self, question: &Question<'_>, values: Values, on: &mut Unknown) {
        if self.known(question, values).is_some() {
            return;
        }
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.unknown(question, values, on));
            }
            Self::Source(_) => on.source = true,
            Self::Method(_) => on.method = true,
            Self::Path(_) | Self::PathPrefix(_) | Self::PathTemplate(_) => on.path = true,
            Self::Header(..) => on.headers = true,
            Self::Mesh | Self::Identity(_) | Self::IdentityPrefix(_) | Self::Port(_) => {}
        }
    }
}

/// Kleene's conjunction: false if one is false, unknown if one is unknown.
fn all(mut parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut whole = Some(true);
    loop {
        match parts.next() {
            None => return whole,
            Some(Some(false)) => return Some(false),
            Some(Some(true)) => {}
            Some(None) => whole = None,
        }
    }
}
