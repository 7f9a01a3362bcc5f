//! The nearest miss: of the rules that allow, the one that wanted least more than was there. For people, after a denial;
//! it decides nothing.

#[cfg(test)]
mod tests;

use crate::condition::Values;
use crate::{Access, Caller, Condition, Request, Rule, spelled};

/// Bound: rules that are looked at; a denial must not cost more than the request would have.
const MAX_RULES: usize = 64;

/// A rule that nearly allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What was missing, in the order of the rule; alternatives of which none held count as one.
    pub wanted: Vec<&'a Condition>,
}

/// The first of those of which least was missing, of the first 64; `None` without rules.
#[must_use]
pub fn nearest<'a>(
    access: &'a Access,
    caller: &Caller<'_>,
    request: Option<&Request<'_>>,
) -> Option<Miss<'a>> {
    let rules = access.allow.iter().flatten().take(MAX_RULES);
    let path = request.map(|request| spelled(request.path));
    let spelled = request.zip(path.as_deref());
    let spelled = spelled.map(|(request, path)| Request { path, ..*request });
    let request = spelled.as_ref();
    let misses = rules.map(|rule| {
        let mut wanted = Vec::new();
        missing(&rule.from, caller, request, &mut wanted);
        missing(&rule.to, caller, request, &mut wanted);
        Miss { rule, wanted }
    });
    misses.min_by_key(|miss| miss.wanted.len())
}

fn missing<'a>(
    condition: &'a Condition,
    caller: &Caller<'_>,
    request: Option<&Request<'_>>,
    wanted: &mut Vec<&'a Condition>,
) {
    let holds = match request {
        Some(request) => condition.holds(caller, request, Values::Every),
        None => condition.by_caller(caller) == Some(true),
    };
    match condition {
        _ if holds => {}
        Condition::All(parts) => {
            for part in parts {
                missing(part, caller, request, wanted);
            }
        }
        // One alternative is as good as the condition.
        Condition::Any(parts) if parts.len() == 1 => {
            for part in parts {
                missing(part, caller, request, wanted);
            }
        }
        other => wanted.push(other),
    }
}

impl std::fmt::Display for Miss<'_> {
    /// `AccessPolicy/shop/readers#0 wants method GET`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} wants ", self.rule.name)?;
        for (index, condition) in self.wanted.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{condition}")?;
        }
        Ok(())
    }
}
