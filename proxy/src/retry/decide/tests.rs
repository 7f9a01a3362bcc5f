//! The table of retries.

use http::{Method, StatusCode};

use super::{Outcome, Verdict, decide};
use crate::error::{Error, Token};
use crate::model::{RetryOn, RetryPolicy};

fn policy(on: &[RetryOn]) -> RetryPolicy {
    RetryPolicy { attempts: 2, on: on.to_vec(), per_try_timeout: None }
}

fn retries(policy: &RetryPolicy, method: &Method, outcome: &Outcome<'_>) -> bool {
    decide(policy, method, 0, outcome) == Verdict::Retry
}

#[test]
fn what_the_application_never_saw_goes_again_with_any_method() {
    let unseen = Error::unprocessed(Token::ConnectionRefused, "x");
    for method in [Method::GET, Method::POST, Method::PATCH] {
        assert!(retries(&policy(&[]), &method, &Outcome::Failed(&unseen)));
        assert!(retries(&policy(&[]), &method, &Outcome::Unprocessed));
    }
}

#[test]
fn a_post_that_may_have_arrived_never_goes_again() {
    let seen = Error::new(Token::ConnectionTerminated, "x");
    let all = policy(&[RetryOn::Reset, RetryOn::ServerError, RetryOn::GatewayError]);
    assert!(!retries(&all, &Method::POST, &Outcome::Failed(&seen)));
    assert!(!retries(&all, &Method::POST, &Outcome::Status(StatusCode::SERVICE_UNAVAILABLE)));
}

#[test]
fn idempotent_methods_follow_the_policy() {
    let cases: &[(&[RetryOn], u16, bool)] = &[
        (&[], 503, false),
        (&[RetryOn::GatewayError], 503, true),
        (&[RetryOn::GatewayError], 500, false),
        (&[RetryOn::ServerError], 500, true),
        (&[RetryOn::Status(StatusCode::TOO_MANY_REQUESTS)], 429, true),
        (&[RetryOn::ServerError], 404, false),
    ];
    for (on, status, expected) in cases {
        let outcome = Outcome::Status(StatusCode::from_u16(*status).unwrap());
        assert_eq!(retries(&policy(on), &Method::GET, &outcome), *expected, "{on:?} {status}");
    }
}

#[test]
fn a_broken_connection_is_retried_unasked_a_timeout_is_not() {
    let broken = Error::new(Token::ConnectionTerminated, "x");
    let late = Error::new(Token::ResponseTimeout, "x");
    assert!(retries(&policy(&[]), &Method::GET, &Outcome::Failed(&broken)));
    assert!(!retries(&policy(&[]), &Method::GET, &Outcome::Failed(&late)));
    assert!(retries(&policy(&[RetryOn::Reset]), &Method::GET, &Outcome::Failed(&late)));
}

#[test]
fn attempts_end() {
    let unseen = Error::unprocessed(Token::ConnectionRefused, "x");
    let verdict = |retries| decide(&policy(&[]), &Method::GET, retries, &Outcome::Failed(&unseen));
    assert_eq!([verdict(1), verdict(2)], [Verdict::Retry, Verdict::Return]);
}

#[test]
fn no_fault_of_the_client_is_retried() {
    let gone = Error::unprocessed(Token::DownstreamClosed, "x");
    let all = policy(&[RetryOn::Reset, RetryOn::ServerError]);
    assert!(!retries(&all, &Method::GET, &Outcome::Failed(&gone)));
}
