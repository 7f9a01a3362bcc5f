//! The table of retries.

use http::{Method, StatusCode};
use proptest::prelude::*;

use super::*;

fn policy(on: &[RetryOn]) -> RetryPolicy {
    RetryPolicy { attempts: 2, on: on.to_vec(), ..RetryPolicy::default() }
}

fn facts(method: &Method) -> Facts<'_> {
    Facts { method, grpc: false, retries: 0 }
}

fn answered(status: u16) -> Outcome<'static> {
    Outcome::Answered(StatusCode::from_u16(status).unwrap(), None)
}

fn retries(policy: &RetryPolicy, method: &Method, outcome: &Outcome<'_>) -> bool {
    decide(policy, &facts(method), outcome) == Verdict::Retry
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
    assert!(!retries(&all, &Method::POST, &answered(503)));
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
        let got = retries(&policy(on), &Method::GET, &answered(*status));
        assert_eq!(got, *expected, "{on:?} {status}");
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
    let verdict = |attempts, retries| {
        let policy = RetryPolicy { attempts, ..RetryPolicy::default() };
        let facts = Facts { retries, ..facts(&Method::GET) };
        decide(&policy, &facts, &Outcome::Failed(&unseen))
    };
    assert_eq!([verdict(2, 1), verdict(2, 2)], [Verdict::Retry, Verdict::Exhausted]);
    // Who retries nothing has exhausted nothing.
    assert_eq!(verdict(0, 0), Verdict::Return);
}

#[test]
fn what_was_tried_often_enough_further_on_is_not_tried_again() {
    let all = policy(&[RetryOn::Reset, RetryOn::ServerError]);
    assert_eq!(decide(&all, &facts(&Method::GET), &Outcome::Exhausted), Verdict::Exhausted);
}

#[test]
fn codes_of_grpc_are_retried_for_calls_that_ask_for_them() {
    let unavailable = policy(&[RetryOn::Grpc(14)]);
    let post = Method::POST;
    let call = Facts { grpc: true, ..facts(&post) };
    let ended = |code| Outcome::Answered(StatusCode::OK, Some(code));
    let verdict = |outcome: &Outcome<'_>| decide(&unavailable, &call, outcome);
    assert_eq!(verdict(&ended(14)), Verdict::Retry);
    assert_eq!(verdict(&ended(13)), Verdict::Return);
    assert_eq!(verdict(&answered(503)), Verdict::Return, "no code, and a POST");
    // As this proxy would put it.
    let broken = Error::new(Token::ConnectionTerminated, "x");
    let late = Error::new(Token::ResponseTimeout, "x");
    assert_eq!(verdict(&Outcome::Failed(&broken)), Verdict::Retry);
    assert_eq!(verdict(&Outcome::Broken), Verdict::Retry);
    assert_eq!(verdict(&Outcome::Failed(&late)), Verdict::Return);
    // What only looks like gRPC is a POST like any other.
    assert_eq!(decide(&unavailable, &facts(&post), &ended(14)), Verdict::Return);
}

#[test]
fn no_fault_of_the_client_is_retried() {
    let gone = Error::unprocessed(Token::DownstreamClosed, "x");
    let all = policy(&[RetryOn::Reset, RetryOn::ServerError]);
    assert!(!retries(&all, &Method::GET, &Outcome::Failed(&gone)));
}

fn outcomes() -> impl Strategy<Value = (u8, u16, Option<u16>, usize, bool)> {
    let token = 0..Token::ALL.len();
    (0_u8..5, 200_u16..600, proptest::option::of(0_u16..17), token, any::<bool>())
}

fn conditions() -> impl Strategy<Value = Vec<RetryOn>> {
    let one = (0_u8..5, 400_u16..600, 1_u16..17).prop_map(|(kind, status, code)| match kind {
        0 => RetryOn::Reset,
        1 => RetryOn::GatewayError,
        2 => RetryOn::ServerError,
        3 => RetryOn::Status(StatusCode::from_u16(status).unwrap()),
        _ => RetryOn::Grpc(code),
    });
    proptest::collection::vec(one, 0..6)
}

proptest! {
    /// Whatever the policy and the outcome: the number of attempts is bounded, what an application may have seen goes
    /// again only if it is idempotent or a call that asks for it by code, and what is the client's fault never does.
    #[test]
    fn no_policy_sends_too_often_or_what_must_not_be_sent_twice(
        (kind, status, code, token, unseen) in outcomes(),
        on in conditions(), attempts in 0_u32..5, retries in 0_u32..8,
        method in "GET|PUT|POST|PATCH|X", grpc in any::<bool>(),
    ) {
        let token = Token::ALL[token];
        let error = if unseen { Error::unprocessed(token, "x") } else { Error::new(token, "x") };
        let outcome = match kind {
            0 => Outcome::Answered(StatusCode::from_u16(status).unwrap(), code),
            1 => Outcome::Unprocessed,
            2 => Outcome::Broken,
            3 => Outcome::Exhausted,
            _ => Outcome::Failed(&error),
        };
        let method: Method = method.parse().unwrap();
        let codes = on.iter().any(|on| matches!(on, RetryOn::Grpc(_)));
        let policy = RetryPolicy { attempts, on, ..RetryPolicy::default() };
        let facts = Facts { method: &method, grpc, retries };
        if decide(&policy, &facts, &outcome) != Verdict::Retry {
            return Ok(());
        }
        prop_assert!(retries < attempts);
        let surely_unseen = match outcome {
            Outcome::Unprocessed => true,
            Outcome::Failed(error) => error.replay() == Replay::Safe,
            _ => false,
        };
        prop_assert!(surely_unseen || is_idempotent(&method) || (grpc && codes));
        prop_assert!(!matches!(outcome, Outcome::Exhausted));
        if let Outcome::Failed(error) = outcome {
            prop_assert!(error.replay() != Replay::Never);
        }
    }
}
