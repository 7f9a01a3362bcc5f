//! The order of deletion, and what a refusal says.

use super::*;
use crate::golden;

#[test]
fn the_webhook_goes_first_and_the_namespace_last() {
    let plan: Vec<String> =
        plan::plan(&["shop".to_owned()]).unwrap().iter().map(Target::to_string).collect();
    let at = |name: &str| {
        plan.iter().position(|target| target == name).unwrap_or_else(|| panic!("{name}: {plan:?}"))
    };
    let order = [
        "MutatingWebhookConfiguration weft-injector",
        "Deployment weft-system/weft-control-plane",
        "Secret weft-system/weft-ca",
        "ConfigMap shop/weft-trust-bundle",
        "CustomResourceDefinition meshconfigs.weft.dev",
        "Namespace weft-system",
    ];
    assert!(order.is_sorted_by_key(|name| at(name)), "{plan:?}");
    assert_eq!(at(order[0]), 0);
    assert_eq!(at("Namespace weft-system"), plan.len() - 1);
    for made in [
        "Lease weft-system/weft-control-plane",
        "PodDisruptionBudget weft-system/weft-control-plane",
    ] {
        at(made);
    }
}

#[test]
fn a_refusal_names_namespaces_and_counts() {
    let meshed = [("billing".to_owned(), 1), ("shop".to_owned(), 5)].into();
    let shell = Shell::new("weft", None, &crate::args::ClusterArgs::default());
    golden::plain("uninstall", "refused", &refusal(&meshed, &shell));
    let text = anstream::adapter::strip_str(&refusal(&meshed, &shell)).to_string();
    assert!(
        text.starts_with("× 6 pods in 2 namespaces are still meshed: billing (1), shop (5)\n"),
        "{text}"
    );
    let text = refusal(&[("shop".to_owned(), 1)].into(), &shell);
    assert!(text.contains("1 pod in 1 namespace is still meshed"), "{text}");
}
