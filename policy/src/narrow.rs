//! What of a decision a connection's caller settles: most rules are about others. Made once for a connection and each
//! configuration, so that the cost of a request follows the rules that are about its caller.

use crate::condition::Values;
use crate::{Access, Caller, Reason, Request, Rule, Verdict, spelled};

/// The rules of one [`Access`] that are about one caller. It belongs to that value and to no other.
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    deny: Rules,
    allow: Option<Rules>,
    audit: Rules,
}

/// By their place in the list.
#[derive(Clone, Debug, Default)]
struct Rules {
    /// They apply, whatever is asked for.
    settled: Vec<u32>,
    /// It depends.
    open: Vec<Open>,
}

/// One that depends on what is asked for.
#[derive(Clone, Copy, Debug)]
struct Open {
    place: u32,
    /// Whom it is about is settled; as it should be, for `from` holds conditions of a caller.
    is_from_settled: bool,
}

impl Rules {
    fn of(rules: &[Rule], caller: &Caller<'_>) -> Self {
        let mut found = Self::default();
        for (place, rule) in (0..).zip(rules) {
            match rule.by_caller(caller) {
                (Some(false), _) | (_, Some(false)) => {}
                (Some(true), Some(true)) => found.settled.push(place),
                (from, _) => found.open.push(Open { place, is_from_settled: from.is_some() }),
            }
        }
        found
    }

    fn settled<'a>(&self, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> {
        self.settled.iter().filter_map(|&place| rules.get(place as usize))
    }

    /// The first of those that apply to bytes that nobody looks into: of what they would want nothing is known.
    fn first<'a>(&self, rules: &'a [Rule]) -> Option<&'a Rule> {
        let open = self.open.first().map(|open| open.place);
        let place = self.settled.first().copied().into_iter().chain(open).min()?;
        rules.get(place as usize)
    }

    /// Those of the open ones that apply.
    fn applying<'a, 'b>(
        &'b self,
        rules: &'a [Rule],
        caller: &'b Caller<'_>,
        request: &'b Request<'_>,
        values: Values,
    ) -> impl Iterator<Item = &'a Rule> {
        self.open.iter().filter_map(move |open| {
            let rule = rules.get(open.place as usize)?;
            let is_theirs = || open.is_from_settled || rule.from.holds(caller, request, values);
            (rule.to.holds(caller, request, values) && is_theirs()).then_some(rule)
        })
    }
}

impl Narrowed {
    /// Those of `access` that are about `caller`.
    #[must_use]
    pub fn new(access: &Access, caller: &Caller<'_>) -> Self {
        Self {
            deny: Rules::of(&access.deny, caller),
            allow: access.allow.as_deref().map(|rules| Rules::of(rules, caller)),
            audit: Rules::of(&access.audit, caller),
        }
    }

    /// Is everything denied, whatever the caller asks for?
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let allows = |rules: &Rules| !rules.settled.is_empty() || !rules.open.is_empty();
        !self.deny.settled.is_empty() || self.allow.as_ref().is_some_and(|rules| !allows(rules))
    }

    /// As [`decide`](crate::decide()), for the `access` and the `caller` that this was made of.
    #[must_use]
    pub fn decide<'a>(
        &self,
        access: &'a Access,
        caller: &Caller<'_>,
        request: Option<&Request<'_>>,
    ) -> Verdict<'a> {
        let mut audit: Vec<&Rule> = self.audit.settled(&access.audit).collect();
        let Some(request) = request else {
            return Verdict { reason: self.reason(access, caller, None), audit };
        };
        let path = spelled(request.path);
        let request = Request { path: &path, ..*request };
        audit.extend(self.audit.applying(&access.audit, caller, &request, Values::One));
        Verdict { reason: self.reason(access, caller, Some(&request)), audit }
    }

    fn reason<'a>(
        &self,
        access: &'a Access,
        caller: &Caller<'_>,
        request: Option<&Request<'_>>,
    ) -> Reason<'a> {
        let denial = match request {
            Some(request) => {
                let open = || self.deny.applying(&access.deny, caller, request, Values::One).next();
                self.deny.settled(&access.deny).next().or_else(open)
            }
            None => self.deny.first(&access.deny),
        };
        if let Some(rule) = denial {
            return Reason::Denied(rule);
        }
        let (Some(rules), Some(allow)) = (&access.allow, &self.allow) else {
            // Either there is no list, or this was made of another value: that allows nothing.
            return if access.allow.is_none() { Reason::Open } else { Reason::NoRuleAllows };
        };
        let open_permit = || {
            let request = request?;
            allow.applying(rules, caller, request, Values::Every).next()
        };
        match allow.settled(rules).next().or_else(open_permit) {
            Some(rule) => Reason::Allowed(rule),
            None => Reason::NoRuleAllows,
        }
    }
}
