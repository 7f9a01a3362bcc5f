//! `spec.retries` of a TrafficPolicy.

use std::time::Duration;

use crate::model::{Backoff, RetryBudget, RetryOn, RetryPolicy};
use crate::source::duration;
use crate::source::names::{self, within};
use crate::source::problem::Problems;
use crate::source::schema::NumberOrText;
use crate::source::schema::policy::{Backoff as BackoffSpec, Retries};

/// Bounds of Weft.
const MAX_ATTEMPTS: u32 = 10;
const MAX_CONDITIONS: usize = 16;

/// What is retried where a policy asks for retries and does not say when.
const DEFAULT_ON: [RetryOn; 4] =
    [RetryOn::ConnectFailure, RetryOn::RefusedStream, RetryOn::Reset, RetryOn::GatewayError];
/// How often where it does not say how often.
const DEFAULT_ATTEMPTS: u32 = 2;
/// First pause where it has a `backoff` without `base`.
const BASE: Duration = Duration::from_millis(25);

/// Reads `spec.retries`.
pub(super) fn read(spec: &Retries, problems: &mut Problems) -> RetryPolicy {
    let bounds = (0, MAX_ATTEMPTS);
    let attempts = spec.attempts.map_or(Some(DEFAULT_ATTEMPTS), |attempts| {
        within(attempts, bounds, "spec.retries.attempts", problems)
    });
    let mut budget = RetryBudget::default();
    if let Some(spec) = &spec.budget {
        let field = |name: &str| format!("spec.retries.budget.{name}");
        if let Some(percent) = spec.percent {
            budget.percent = within(percent, (0, 100), &field("percent"), problems).unwrap_or(0);
        }
        if let Some(floor) = spec.min_retries_per_second {
            let field = field("minRetriesPerSecond");
            budget.min_per_second = within(floor, (0, 10_000), &field, problems).unwrap_or(0);
        }
    }
    let per_try = spec.per_try_timeout.as_deref();
    RetryPolicy {
        attempts: attempts.unwrap_or(0),
        on: conditions(spec.conditions.as_deref(), problems),
        per_try_timeout: duration::positive(per_try, "spec.retries.perTryTimeout", problems),
        backoff: spec.backoff.as_ref().map(|spec| backoff(spec, problems)),
        budget,
    }
}

fn backoff(spec: &BackoffSpec, problems: &mut Problems) -> Backoff {
    let mut read = |text: &Option<String>, field: &str| {
        let field = format!("spec.retries.backoff.{field}");
        duration::positive(text.as_deref(), &field, problems)
    };
    let base = read(&spec.base, "base").unwrap_or(BASE);
    let maximum = read(&spec.maximum, "maximum").unwrap_or(base * 10);
    if maximum < base {
        problems.invalid("spec.retries.backoff.maximum", "must not be shorter than base");
    }
    Backoff { base, maximum }
}

fn conditions(written: Option<&[NumberOrText]>, problems: &mut Problems) -> Vec<RetryOn> {
    let Some(written) = written else { return DEFAULT_ON.to_vec() };
    names::at_most(written.len(), MAX_CONDITIONS, "spec.retries.conditions", problems);
    let mut conditions = Vec::new();
    for (index, word) in written.iter().enumerate().take(MAX_CONDITIONS) {
        match condition(word) {
            Some(condition) if conditions.contains(&condition) => {}
            Some(condition) => conditions.push(condition),
            None => problems.invalid_hint(
                format!("spec.retries.conditions[{index}]"),
                match word {
                    NumberOrText::Number(number) => format!("{number} is not a status to retry"),
                    NumberOrText::Text(text) => format!("{text:?} is not a condition"),
                },
                "connect-failure, refused-stream, reset, gateway-error, 5xx, a status from 400 to 599, or of gRPC cancelled, deadline-exceeded, internal, resource-exhausted, unavailable",
            ),
        }
    }
    conditions
}

fn condition(word: &NumberOrText) -> Option<RetryOn> {
    let number = match word {
        NumberOrText::Number(number) => Some(*number),
        NumberOrText::Text(text) => text.parse().ok(),
    };
    if let Some(number) = number {
        let status = u16::try_from(number).ok().filter(|status| (400..600).contains(status));
        return status.map(RetryOn::Status);
    }
    match word {
        NumberOrText::Text(text) => match text.as_str() {
            "connect-failure" => Some(RetryOn::ConnectFailure),
            "refused-stream" => Some(RetryOn::RefusedStream),
            "reset" => Some(RetryOn::Reset),
            "gateway-error" => Some(RetryOn::GatewayError),
            "5xx" => Some(RetryOn::ServerError),
            "cancelled" => Some(RetryOn::Cancelled),
            "deadline-exceeded" => Some(RetryOn::DeadlineExceeded),
            "internal" => Some(RetryOn::Internal),
            "resource-exhausted" => Some(RetryOn::ResourceExhausted),
            "unavailable" => Some(RetryOn::Unavailable),
            _ => None,
        },
        NumberOrText::Number(_) => None,
    }
}
