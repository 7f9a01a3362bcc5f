//! What is proposed is read as what is in force.

use super::{Proposed, read};
use crate::finding::Severity;

fn file(text: &str) -> Vec<(String, String)> {
    vec![("p.yaml".to_owned(), text.to_owned())]
}

#[test]
fn policies_are_read_under_their_own_names_and_others_are_passed_over() {
    let text = "
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: readers}
spec: {action: ALLOW}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: List
items:
- apiVersion: weft.dev/v1alpha1
  kind: InboundPolicy
  metadata: {name: closed, namespace: bank}
  spec: {defaultAccess: deny}
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {ports: [{port: 80}], selector: {app: web}}
";
    let proposal = read(&file(text), "shop");
    assert!(proposal.findings.is_empty(), "{:?}", proposal.findings);
    let names: Vec<String> = proposal
        .objects
        .iter()
        .map(|proposed| match proposed {
            Proposed::Access(policy) => policy.origin.to_string(),
            Proposed::Inbound(policy) => policy.origin.to_string(),
            Proposed::Config(config) => config.origin.to_string(),
        })
        .collect();
    assert_eq!(names, ["AccessPolicy/shop/readers", "InboundPolicy/bank/closed"]);
    assert_eq!(proposal.ignored, ["Deployment shop/web", "Service shop/web"]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, line, field) in [
        ("kind: [", 1, ""),
        ("apiVersion: weft.dev/v1alpha1\nkind: AccesPolicy\nmetadata: {name: a}\n", 2, "kind"),
        (
            "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: a}\nspec:\n  action: ALLOW\n  rules:\n  - from: [{namespace: shop}]\n",
            7,
            "spec.rules[0].from[0].namespace",
        ),
        (
            "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\nmetadata: {name: other}\nspec: {}\n",
            3,
            "metadata",
        ),
    ] {
        let findings = read(&file(text), "shop").findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        let found = &findings[0];
        assert_eq!((&*found.file, found.line, &*found.field), ("p.yaml", line, field), "{found}");
        assert!(!found.hint.is_empty() && found.severity() < Severity::Info, "{found:?}");
    }
}
