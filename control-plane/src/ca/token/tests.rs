//! The table of join tokens: one showing each, one life each, and a bound.

use std::time::{Duration, SystemTime};

use super::{JoinTokens, LIFE, MAX_OUTSTANDING, TooMany, Unknown};
use crate::model::Key;
use weft_certs::SpiffeId;

const START: SystemTime = SystemTime::UNIX_EPOCH;

fn product() -> (Key, SpiffeId) {
    let id = "spiffe://demo.local/ns/shop/sa/product".parse().unwrap();
    (Key::new("shop", "product-v1"), id)
}

fn mint(tokens: &mut JoinTokens, number: u32, now: SystemTime) -> Result<String, TooMany> {
    let mut secret = [0; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    let (workload, identity) = product();
    tokens.mint(workload, identity, secret, now)
}

#[test]
fn a_token_stands_for_what_it_was_minted_for_once() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, 1, START).unwrap();
    let grant = tokens.take(&token, START + Duration::from_secs(1)).unwrap();
    assert_eq!((grant.workload, grant.identity), product());
    assert_eq!(tokens.take(&token, START + Duration::from_secs(1)), Err(Unknown));
}

#[test]
fn a_token_is_43_characters_of_base64url() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, u32::MAX, START).unwrap();
    assert_eq!(token.len(), 43);
    assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{token}");
}

#[test]
fn the_table_holds_no_token() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, 7, START).unwrap();
    assert!(!format!("{tokens:?}").contains(&token));
}

#[test]
fn a_token_lives_to_the_last_instant_before_its_end() {
    for (after, alive) in [
        (LIFE - Duration::from_nanos(1), true),
        (LIFE, false),
        (LIFE + Duration::from_secs(1), false),
    ] {
        let mut tokens = JoinTokens::default();
        let token = mint(&mut tokens, 1, START).unwrap();
        assert_eq!(tokens.take(&token, START + after).is_ok(), alive, "{after:?}");
    }
}

#[test]
fn nonsense_is_unknown() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, 1, START).unwrap();
    for wrong in ["", "x", &token[1..], &format!("{token}="), &token.to_lowercase()] {
        assert_eq!(tokens.take(wrong, START), Err(Unknown), "{wrong:?}");
    }
    assert!(tokens.take(&token, START).is_ok());
}

#[test]
fn a_restored_token_works_again_and_still_once() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, 1, START).unwrap();
    let grant = tokens.take(&token, START).unwrap();
    tokens.restore(&token, grant);
    assert!(tokens.take(&token, START).is_ok());
    assert_eq!(tokens.take(&token, START), Err(Unknown));
}

#[test]
fn a_restored_token_lives_no_longer() {
    let mut tokens = JoinTokens::default();
    let token = mint(&mut tokens, 1, START).unwrap();
    let grant = tokens.take(&token, START).unwrap();
    tokens.restore(&token, grant);
    assert_eq!(tokens.outstanding(START + LIFE), 0);
    assert_eq!(tokens.take(&token, START + LIFE), Err(Unknown));
}

#[test]
fn the_table_is_full_until_tokens_are_used_or_expire() {
    let mut tokens = JoinTokens::default();
    let mut all: Vec<_> =
        (0..10_000).map(|number| mint(&mut tokens, number, START).unwrap()).collect();
    assert_eq!(all.len(), MAX_OUTSTANDING);
    assert_eq!(mint(&mut tokens, 10_000, START), Err(TooMany));

    tokens.take(&all.pop().unwrap(), START).unwrap();
    mint(&mut tokens, 10_001, START).unwrap();
    assert_eq!(mint(&mut tokens, 10_002, START), Err(TooMany));

    mint(&mut tokens, 10_003, START + LIFE).unwrap();
    assert_eq!(tokens.outstanding(START + LIFE), 1);
}

#[test]
fn used_tokens_leave_nothing_behind() {
    let mut tokens = JoinTokens::default();
    for number in 0..30_000 {
        let token = mint(&mut tokens, number, START).unwrap();
        tokens.take(&token, START).unwrap();
    }
    assert!(tokens.order.len() <= MAX_OUTSTANDING);
    assert_eq!(tokens.outstanding(START), 0);
}
