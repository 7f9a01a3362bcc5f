//! The decision: DENY before ALLOW before the default.

#[cfg(test)]
mod tests;

use crate::{Access, Caller, Narrowed, Request, Rule};

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Why.
    pub reason: Reason<'a>,
    /// Rules that want to be told of.
    pub audit: Vec<&'a Rule>,
}

/// Why something is allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// This rule denies it.
    Denied(&'a Rule),
    /// There are rules that allow, and none of them allows this: [`nearest`](crate::nearest) finds what was missing.
    NoRuleAllows,
    /// This rule allows it.
    Allowed(&'a Rule),
    /// No rule is about it.
    Open,
}

impl Verdict<'_> {
    /// May it go on?
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self.reason, Reason::Allowed(_) | Reason::Open)
    }
}

/// Judges a request, or, without one, a connection whose bytes are opaque: what a rule wants of a request is then not
/// known, so a rule that denies applies whatever it wants, and one that allows only if it wants nothing of it.
#[must_use]
pub fn decide<'a>(
    access: &'a Access,
    caller: &Caller<'_>,
    request: Option<&Request<'_>>,
) -> Verdict<'a> {
    Narrowed::new(access, caller).decide(access, caller, request)
}
