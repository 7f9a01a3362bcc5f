//! What the API server's answers mean. That it gives them is shown against a real one (`tests/kubernetes`).

use k8s_openapi::api::authentication::v1::{TokenReviewStatus, UserInfo};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::{AUDIENCE, POD_NAME, POD_UID, ReviewError, is_running, judge};
use crate::testing::trust_domain;

fn vouched(user: &str, audiences: &[&str], bound: bool) -> TokenReviewStatus {
    let one = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
    let extra = bound.then(|| [one(POD_NAME, "web-1"), one(POD_UID, "u-1")].into());
    TokenReviewStatus {
        authenticated: Some(true),
        audiences: Some(audiences.iter().map(|&audience| audience.to_owned()).collect()),
        user: Some(UserInfo { username: Some(user.to_owned()), extra, ..UserInfo::default() }),
        error: None,
    }
}

#[test]
fn a_token_of_a_pod_for_us_is_its_service_accounts_identity() {
    let status = vouched("system:serviceaccount:shop:web", &[AUDIENCE], true);
    let reviewed = judge(&status, &trust_domain()).unwrap();
    assert_eq!(reviewed.identity.as_str(), format!("spiffe://{}/ns/shop/sa/web", trust_domain()));
    assert_eq!(
        (reviewed.pod.to_string(), reviewed.uid),
        ("shop/web-1".to_owned(), "u-1".to_owned())
    );
}

#[test]
fn everything_else_proves_nothing() {
    let account = "system:serviceaccount:shop:web";
    let no = TokenReviewStatus { error: Some("expired".to_owned()), ..Default::default() };
    let cases = [
        (no, ReviewError::NotAuthenticated("expired".to_owned())),
        (vouched(account, &["api"], true), ReviewError::Audience),
        (vouched(account, &[], true), ReviewError::Audience),
        (vouched(account, &[AUDIENCE], false), ReviewError::NotAPod(account.to_owned())),
        (vouched("admin", &[AUDIENCE], true), ReviewError::NotAPod("admin".to_owned())),
    ];
    for (status, error) in cases {
        assert_eq!(judge(&status, &trust_domain()), Err(error), "{status:?}");
    }
}

#[test]
fn a_pod_that_has_ended_or_is_another_is_not_running() {
    let pod = |uid: &str, phase: &str| -> Pod {
        serde_json::from_value(json!({"metadata": {"uid": uid}, "status": {"phase": phase}}))
            .unwrap()
    };
    assert!(is_running(&pod("u-1", "Pending"), "u-1"));
    assert!(is_running(&pod("u-1", "Running"), "u-1"));
    for other in [pod("u-2", "Running"), pod("u-1", "Succeeded"), pod("u-1", "Failed")] {
        assert!(!is_running(&other, "u-1"));
    }
}
