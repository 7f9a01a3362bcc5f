//! Who may call the application: `inbound` asks for every request, once it is canonical, and for every connection whose
//! bytes are opaque. The decision itself is [`weft_policy`]'s; here it meets the proxy's callers and errors, and is
//! counted and told. It must never say more of the rules to a caller without an identity than that he may not.

mod guests;
mod told;
mod traffic;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::Request;
use weft_certs::SpiffeId;
use weft_policy::{Access, Caller, Narrowed, Reason, Verdict, ambiguous, nearest};
use weft_proto::origin::Origin;

use crate::error::{Error, Token};
use crate::model::PortAccess;

pub use guests::{Asked, Guests, Kind, Now};
pub use told::Told;
pub use traffic::{Notes, Traffic};

/// What of a port's rules is about the caller of one connection; made anew when the rules change.
#[derive(Debug, Default)]
pub struct Concern(ArcSwapOption<Known>);

#[derive(Debug)]
struct Known {
    access: Arc<PortAccess>,
    narrowed: Narrowed,
    judges_paths: bool,
}

impl Concern {
    fn of(&self, access: &Arc<PortAccess>, caller: &Caller<'_>) -> Arc<Known> {
        if let Some(known) = &*self.0.load()
            && Arc::ptr_eq(&known.access, access)
        {
            return Arc::clone(known);
        }
        let narrowed = Narrowed::new(&access.http, caller);
        let judges_paths = access.http.judges_paths();
        let known = Arc::new(Known { access: Arc::clone(access), narrowed, judges_paths });
        self.0.store(Some(Arc::clone(&known)));
        known
    }
}

/// A caller as the rules see him.
#[must_use]
pub fn caller(identity: Option<&SpiffeId>, address: SocketAddr, port: u16) -> Caller<'_> {
    Caller { identity, address: address.ip(), port }
}

/// Judges a canonical request.
///
/// # Errors
/// [`Token::RequestDenied`] with the rule, or the one that nearly allowed it; [`Token::RequestError`] where rules judge
/// paths and this one is spelled in a way that applications read differently.
pub fn authorize_request<B>(
    access: &Arc<PortAccess>,
    caller: &Caller<'_>,
    concern: &Concern,
    request: &Request<B>,
    told: &Told,
) -> Result<(), Error> {
    let request = weft_policy::Request {
        method: request.method().as_str(),
        path: request.uri().path(),
        headers: request.headers(),
    };
    let known = concern.of(access, caller);
    if known.judges_paths
        && let Some(odd) = ambiguous(request.path)
    {
        let message = format!("rules judge the path, and it holds {odd}");
        return Err(Error::new(Token::RequestError, message));
    }
    let verdict = known.narrowed.decide(&access.http, caller, Some(&request));
    conclude(&access.http, &verdict, caller, Some(&request), told)
}

/// Judges a connection whose bytes are opaque.
///
/// # Errors
/// As [`authorize_request`].
pub fn authorize_connection(
    access: &PortAccess,
    caller: &Caller<'_>,
    told: &Told,
) -> Result<(), Error> {
    let verdict = weft_policy::decide(&access.tcp, caller, None);
    conclude(&access.tcp, &verdict, caller, None, told)
}

fn conclude(
    access: &Access,
    verdict: &Verdict<'_>,
    caller: &Caller<'_>,
    request: Option<&weft_policy::Request<'_>>,
    told: &Told,
) -> Result<(), Error> {
    for rule in &verdict.audit {
        told.audited(&rule.name, caller, request);
    }
    match verdict.reason {
        Reason::Allowed(_) | Reason::Open => Ok(()),
        Reason::Denied(rule) => {
            let message = format!("denied by {}", rule.name);
            told.denied(&rule.name, &message, caller, request);
            let error = Error::new(Token::RequestDenied, message).denied_by(&rule.name);
            Err(match Origin::from_text(&rule.name) {
                Some(origin) => error.caused_by(&origin),
                None => error,
            })
        }
        Reason::NoRuleAllows => {
            let message = match nearest(access, caller, request) {
                Some(miss) => format!("no rule allows it; {miss}"),
                None => "no rule allows it, for there is none".to_owned(),
            };
            told.denied(told::NO_RULE, &message, caller, request);
            Err(Error::new(Token::RequestDenied, message).denied_by(told::NO_RULE))
        }
    }
}

/// What a caller without an identity is told.
#[must_use]
pub fn without_reason() -> Error {
    Error::new(Token::RequestDenied, "access denied")
}

#[cfg(test)]
mod tests;
