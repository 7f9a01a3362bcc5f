//! Who may do what: one decision, made the same way by the sidecar that enforces it, by the command line that explains
//! it and by the tests that hold both to it.
//!
//! [`Access`] is what holds for one port of a workload, [`decide()`] judges a caller and a request by it, [`Narrowed`]
//! does what it can of that once for a connection, and [`reach()`] says what can be said when not everything is known.
//! Paths are judged in the one form that [`normalise()`] makes.
//! Pure: no clock, no socket, no configuration format. What cannot be
//! read must never come here as something that allows more; whoever reads it makes it deny.

mod condition;
mod decide;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod miss;
mod narrow;
mod path;
mod reach;
#[cfg(any(test, fuzzing))]
mod reference;
mod spelling;
mod template;
#[cfg(test)]
mod testing;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use weft_certs::SpiffeId;

pub use condition::{Condition, HeaderMatch};
pub use decide::{Reason, Verdict, decide};
pub use miss::{Miss, nearest};
pub use narrow::Narrowed;
pub use path::normalise;
pub use reach::{Asks, Depends, Headers, Partial, Question, Reach, Unknown, reach};
pub use spelling::{ambiguous, spelled};
pub use template::{Template, TemplateError};

/// Who calls, as far as a connection says it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// From its certificate; `None` in plaintext.
    pub identity: Option<&'a SpiffeId>,
    /// Where the connection comes from.
    pub address: IpAddr,
    /// The workload's port that it came to.
    pub port: u16,
}

/// What is asked for: the canonical request, the very one that is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Upper case.
    pub method: &'a str,
    /// Without query. Rules compare it as [`spelled()`].
    pub path: &'a str,
    /// All of them.
    pub headers: &'a HeaderMap,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people find it by: `AccessPolicy/shop/readers#0`.
    pub name: Arc<str>,
    /// Whose calls it is about; conditions of a caller.
    pub from: Condition,
    /// Which of them; conditions of a request or a port.
    pub to: Condition,
}

impl Rule {
    /// By the caller alone, both parts: `None` if one depends on what is asked for.
    fn by_caller(&self, caller: &Caller<'_>) -> (Option<bool>, Option<bool>) {
        (self.from.by_caller(caller), self.to.by_caller(caller))
    }
}

impl Access {
    /// Does it judge by paths?
    #[must_use]
    pub fn judges_paths(&self) -> bool {
        let rules = self.deny.iter().chain(self.allow.iter().flatten()).chain(&self.audit);
        rules.into_iter().any(|rule| rule.to.is_about_paths())
    }
}

/// Everything that decides about one port. The bounds are those of who makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// What one of these applies to is denied, whatever the others say.
    pub deny: Vec<Rule>,
    /// What none of these applies to is denied; without a list everything else is allowed. A default that is not
    /// `allow-all` stands here as a rule.
    pub allow: Option<Vec<Rule>>,
    /// What one of these applies to is told of. They decide nothing.
    pub audit: Vec<Rule>,
}
