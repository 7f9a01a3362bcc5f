//! The steps over a real CA in a directory, with sidecars that report what they are told to.

use std::time::Duration;

use tokio::sync::watch;

use super::{IssuerView, Own, Step, StepError, Trust};
use crate::telemetry::TelemetryService;
use crate::testing::TestCa;
use crate::xds::Registry;

/// Of a mesh with one workload, which is not connected.
fn trust(ca: &TestCa, issuer: IssuerView) -> Trust {
    let stopping = watch::Sender::new(false).subscribe();
    let telemetry = TelemetryService::new(
        ca.mesh.subscribe(),
        watch::Sender::default(),
        stopping,
        ca.clock.clock(),
    );
    let registry = Registry::new();
    let own = Own { ca: ca.ca.clone(), registry, telemetry, clock: ca.clock.clock() };
    Trust::new(own, ca.mesh.subscribe(), watch::Sender::new(issuer).subscribe(), None)
}

#[tokio::test]
async fn a_step_is_refused_by_name_until_it_is_forced_or_time_has_passed() {
    let ca = TestCa::new(&["product"]);
    ca.ca.record_leaf_life().await;
    let trust = trust(&ca, IssuerView::default());
    assert!(!trust.step(Step::Issue, false).await.unwrap(), "nothing is staged");
    assert!(trust.step(Step::Stage, false).await.unwrap());
    assert!(!trust.step(Step::Stage, false).await.unwrap());
    let refused = trust.step(Step::Issue, false).await.unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("the staged root cannot issue yet: product.shop is not connected"),
        "{text}"
    );
    assert!(text.contains("(until 20"), "{text}");

    let before = ca.ca.issuing_root();
    assert!(trust.step(Step::Issue, true).await.unwrap());
    assert_ne!(ca.ca.issuing_root(), before);
    let refused = trust.step(Step::Retire, false).await.unwrap_err();
    assert!(matches!(refused, StepError::NotReady(Step::Retire, _)), "{refused}");
    // The last leaf of a day is over.
    ca.clock.advance(Duration::from_secs(24 * 3600 + 1));
    assert!(trust.step(Step::Retire, false).await.unwrap());
    assert_eq!(ca.ca.bundle().fingerprints(), [ca.ca.issuing_root()]);
    assert_eq!(trust.look().await.next, Step::Stage);
}

#[tokio::test]
async fn nobody_stages_a_root_beside_an_issuer_from_outside() {
    let ca = TestCa::new(&[]);
    let issuer = IssuerView {
        source: "Secret weft-system/weft-issuer".to_owned(),
        present: true,
        ..IssuerView::default()
    };
    let error = trust(&ca, issuer).step(Step::Stage, false).await.unwrap_err();
    assert!(error.to_string().contains("Secret weft-system/weft-issuer"), "{error}");
}

#[tokio::test]
async fn a_sidecar_is_asked_to_renew_when_its_certificate_is_of_yesterday() {
    let ca = TestCa::new(&[]);
    let trust = trust(&ca, IssuerView::default());
    let wants = |leaf: &str, roots: &[String]| ca.ca.wants_renewal(leaf, roots);
    let (old, alone) = (ca.ca.issuing_root(), ca.ca.bundle().fingerprints());
    assert!(!wants(&old, &alone));
    assert!(!wants("", &[]), "one of an earlier version says nothing");
    trust.step(Step::Stage, false).await.unwrap();
    assert!(!wants(&old, &alone), "it will hear of the new root");
    ca.clock.advance(Duration::from_secs(6));
    assert!(wants(&old, &alone), "it has not");
    let both = ca.ca.bundle().fingerprints();
    assert!(!wants(&old, &both));
    trust.step(Step::Issue, true).await.unwrap();
    assert!(wants(&old, &both), "at once");
    assert!(!wants(&ca.ca.issuing_root(), &both));
}
