//! What a client sees and what may be retried, token by token.

use super::{Error, Fault, Replay, Token};
use weft_proto::origin::Origin;

#[test]
fn tokens_are_unique_words() {
    let mut words: Vec<_> = Token::ALL.iter().map(|token| token.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Token::ALL.len());
    assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
}

#[test]
fn only_what_the_application_never_saw_is_safe_to_repeat() {
    for &token in Token::ALL {
        let seen = Error::new(token, "x").replay();
        let unseen = Error::unprocessed(token, "x").replay();
        if matches!(token, Token::RequestLimitReached | Token::PendingLimitReached) {
            assert_eq!((seen, unseen), (Replay::Never, Replay::Never), "shed is shed");
            continue;
        }
        match token.fault() {
            Fault::Downstream => assert_eq!((seen, unseen), (Replay::Never, Replay::Never)),
            Fault::Local => assert_eq!((seen, unseen), (Replay::Never, Replay::Safe)),
            Fault::Upstream => assert_eq!((seen, unseen), (Replay::IfIdempotent, Replay::Safe)),
        }
    }
}

#[test]
fn proxy_status_names_token_and_object_and_cannot_be_broken_out_of() {
    let origin = Origin {
        kind: "HTTPRoute".into(),
        namespace: "shop".into(),
        name: "web".into(),
        generation: 3,
        rule: "1".into(),
    };
    let error = Error::new(Token::ConnectionRefused, "say \"no\"\r\nx: y").caused_by(&origin);
    assert_eq!(
        error.proxy_status(),
        r#"weft; error=connection_refused; details="HTTPRoute/shop/web#1: say \"no\"??x: y""#
    );
}
