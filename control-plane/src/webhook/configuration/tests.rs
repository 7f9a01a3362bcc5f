//! What is written into the configuration, and when the certificate may be shown.

use std::time::SystemTime;

use super::super::certificate::{Verdict, judge};
use super::*;

fn held() -> Arc<Held> {
    let names = super::super::service_names("weft-system");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
    let Ok(Verdict::Replace(data, _)) = judge(None, &names, now) else { panic!("nothing made") };
    let Ok(Verdict::Keep(held)) = judge(Some(&data), &names, now) else { panic!("not kept") };
    held
}

fn configuration(bundles: &[Option<&str>]) -> MutatingWebhookConfiguration {
    let webhooks = bundles.iter().enumerate().map(|(index, bundle)| {
        let bundle = bundle.map(|bundle| ByteString(bundle.as_bytes().to_vec()));
        json!({
            "name": format!("{index}.inject.weft.dev"),
            "admissionReviewVersions": ["v1"],
            "sideEffects": "NoneOnDryRun",
            "clientConfig": {"caBundle": bundle},
        })
    });
    serde_json::from_value(json!({"webhooks": webhooks.collect::<Vec<_>>()})).unwrap()
}

#[test]
fn only_what_differs_is_written_and_only_where_it_was_seen() {
    assert_eq!(patch(&configuration(&[]), "new"), None);
    assert_eq!(patch(&configuration(&[Some("new"), Some("new")]), "new"), None);
    let patch = patch(&configuration(&[Some("new"), Some("old"), None]), "new");
    let expected = json!([
        {"op": "test", "path": "/webhooks/1/name", "value": "1.inject.weft.dev"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "bmV3"},
        {"op": "test", "path": "/webhooks/2/name", "value": "2.inject.weft.dev"},
        {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": "bmV3"},
    ]);
    assert_eq!(serde_json::to_value(patch).unwrap(), expected);
}

#[test]
fn a_certificate_may_be_shown_once_all_webhooks_name_its_authority() {
    let (ours, other) = (held(), held());
    let both = format!("{}{}", other.bundle, ours.bundle);
    for (bundles, believed) in [
        (&[][..], false),
        (&[None], false),
        (&[Some("nonsense")], false),
        (&[Some(&*other.bundle)], false),
        (&[Some(&*ours.bundle), None], false),
        (&[Some(&*ours.bundle), Some(&*both)], true),
    ] {
        assert_eq!(believes(&configuration(bundles), &ours), believed, "{bundles:?}");
    }
}
