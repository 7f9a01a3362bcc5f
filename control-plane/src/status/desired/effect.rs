//! What a finding means for the status of the object that it is about. Every code is decided by hand: a new one does
//! not compile until it stands here.

use crate::finding::{Code, Finding};

/// What follows from a finding. Reasons are those of the Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The newest generation cannot be read or is not taken: `Accepted=False`.
    Refused {
        /// Reason on a route.
        route: &'static str,
        /// Reason on a policy.
        policy: &'static str,
    },
    /// It does not count at one of the places that it names: `Accepted=False` there.
    Place {
        /// Reason on a route.
        route: &'static str,
        /// Reason on a policy.
        policy: &'static str,
    },
    /// One of its backends is not there: `ResolvedRefs=False`.
    Reference(&'static str),
    /// In force, with a word on it in the message.
    Note,
    /// It is not about an object with a status, or nobody has to act.
    Nothing,
}

/// Of routes.
const UNSUPPORTED: &str = "UnsupportedValue";
const NO_PARENT: &str = "NoMatchingParent";
/// Of policies.
const INVALID: &str = "Invalid";
const NO_TARGET: &str = "TargetNotFound";
/// Of both.
const CONFLICTED: &str = "Conflicted";

/// The table.
pub(super) fn effect(code: Code) -> Effect {
    match code {
        Code::InvalidObject | Code::UnsupportedValue => {
            Effect::Refused { route: UNSUPPORTED, policy: INVALID }
        }
        // The bound may be met later.
        Code::TooMany => Effect::Refused { route: "Pending", policy: INVALID },
        Code::DuplicateObject | Code::ConfigIgnored | Code::AddressShared => {
            Effect::Refused { route: CONFLICTED, policy: CONFLICTED }
        }
        Code::ParentNotFound | Code::ParentPortNotFound | Code::TargetNotFound => {
            Effect::Place { route: NO_PARENT, policy: NO_TARGET }
        }
        Code::Conflicted | Code::RouteConflicted => {
            Effect::Place { route: CONFLICTED, policy: CONFLICTED }
        }
        Code::BackendNotFound | Code::BackendPortNotFound => Effect::Reference("BackendNotFound"),
        Code::InvalidKind => Effect::Reference("InvalidKind"),
        Code::FieldIgnored
        | Code::RouteOnTcpPort
        | Code::UnreachableRule
        | Code::NoTraffic
        | Code::PolicyWithoutEffect
        | Code::RateLimitOnTcpPort
        | Code::PolicyNotEnforced
        | Code::RequestRuleOnTcpPort => Effect::Note,
        // Of files.
        Code::FileUnreadable | Code::FileTooLarge | Code::InvalidYaml => Effect::Nothing,
        // Of Services, which have no conditions of ours.
        Code::NoEndpoints
        | Code::TargetPortNotFound
        | Code::ServiceIncomplete
        | Code::ProtocolMismatch => Effect::Nothing,
        // Of others' objects, and of workloads that only call.
        Code::KindIgnored | Code::WorkloadNotSelected | Code::IssuerUnusable => Effect::Nothing,
    }
}

/// The findings that refuse the newest generation.
pub(super) fn refused(findings: &[Finding]) -> Vec<(Effect, &Finding)> {
    let all = findings.iter().map(|finding| (effect(finding.code), finding));
    all.filter(|(effect, _)| matches!(effect, Effect::Refused { .. })).collect()
}

/// Those that only have something to say.
pub(super) fn notes(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| effect(finding.code) == Effect::Note)
}
