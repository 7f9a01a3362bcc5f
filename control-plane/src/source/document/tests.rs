//! Documents: what is Weft's, what is not, and what can be said of anything at all.

use proptest::prelude::*;

use crate::source::analyze;
use crate::source::testing::{SHOP, beside_shop, object};

use super::*;

/// `code line object field` of every finding of one file.
fn findings(text: &str) -> Vec<String> {
    let (_, findings) = analyze(&[("f.yaml", text)]);
    let one = |finding: &Finding| {
        format!("{} {} {} {}", finding.code, finding.line, finding.object, finding.field)
    };
    findings.iter().map(one).collect()
}

#[test]
fn the_shop_has_no_findings() {
    assert_eq!(findings(SHOP), Vec::<String>::new());
}

#[test]
fn kinds_of_others_are_passed_over_and_what_weft_lacks_is_not() {
    for (version, kind, expected) in [
        ("apps/v1", "Deployment", "WEFT0208 2 Deployment default/x "),
        ("v1", "Namespace", "WEFT0208 2 Namespace default/x "),
        ("serving.knative.dev/v1", "Service", "WEFT0208 2 Service default/x "),
        ("gateway.networking.k8s.io/v1", "Gateway", "WEFT0208 2 Gateway default/x "),
        ("gateway.networking.k8s.io/v1", "TLSRoute", "WEFT0206 2 TLSRoute default/x "),
        (
            "gateway.networking.k8s.io/v1beta1",
            "HTTPRoute",
            "WEFT0206 2 HTTPRoute default/x apiVersion",
        ),
        ("weft.dev/v1alpha1", "TraficPolicy", "WEFT0205 3  kind"),
        ("weft.dev/v2", "MeshConfig", "WEFT0206 2 MeshConfig default/x apiVersion"),
    ] {
        let text =
            format!("# c\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: x\nspec: {{}}\n");
        assert_eq!(findings(&text), [expected], "{version} {kind}");
    }
}

#[test]
fn what_cannot_be_named_is_told_where_it_stands() {
    for (text, expected) in [
        ("a: 1\n", "WEFT0205 1  kind"),
        ("- a\n", "WEFT0205 1  kind"),
        ("just text\n", "WEFT0205 1  kind"),
        ("kind: Service\n", "WEFT0205 1  apiVersion"),
        ("apiVersion: v1\nkind: Service\n", "WEFT0205 1  metadata.name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: A_b}\n", "WEFT0205 3  metadata.name"),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  namespace: a.b\n  name: x\n",
            "WEFT0205 4  metadata.namespace",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a.b}\nspec: {ports: [{port: 1}], selector: {a: b}}",
            "WEFT0205 3 Service default/a.b metadata.name",
        ),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", "WEFT0205 1 Service default/x "),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {}\nsepc: {}\n",
            "WEFT0205 5 Service default/x sepc",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x, lables: {}}\nspec: {}\n",
            "WEFT0205 3 Service default/x metadata.lables",
        ),
        ("a: [\n", "WEFT0204 1  "),
    ] {
        assert_eq!(findings(text), [expected], "{text}");
    }
}

#[test]
fn labels_and_times_are_checked() {
    let with = |metadata: &str| {
        let text = format!(
            "apiVersion: weft.dev/v1alpha1\nkind: InboundPolicy\n\
             metadata: {{name: p, namespace: shop, {metadata}}}\nspec: {{mtls: STRICT}}\n"
        );
        beside_shop(&text).1
    };
    for good in [
        "labels: {a: b}",
        "labels: {app.kubernetes.io/name: 'A_b.c'}",
        "labels: {a: ''}",
        "creationTimestamp: '2026-01-31T12:00:00Z'",
        "creationTimestamp: '2026-01-31T12:00:00.5+02:00'",
    ] {
        assert_eq!(with(good), Vec::<String>::new(), "{good}");
    }
    for bad in ["labels: {a: 'b c'}", "labels: {-a: b}", "labels: {'a/b/c': d}", "labels: {a: '-'}"]
    {
        assert_eq!(with(bad), ["WEFT0205 metadata.labels"], "{bad}");
    }
    assert_eq!(with("creationTimestamp: yesterday"), ["WEFT0205 metadata.creationTimestamp"]);
}

#[test]
fn a_list_holds_objects_of_its_own() {
    let text = "apiVersion: v1\nkind: List\nitems:\n\
                - apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: {selector: {a: b}, ports: [{port: 1}]}\n\
                - apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n  spec: {prots: []}\n";
    let (mesh, _) = analyze(&[("f.yaml", text)]);
    assert_eq!(mesh.services.len(), 1);
    assert_eq!(
        findings(text),
        ["WEFT0401 7 Service default/a spec.selector", "WEFT0205 11 Service default/b spec.prots",]
    );
}

#[test]
fn all_that_is_wrong_with_an_object_is_told_at_once() {
    let (_, all) = beside_shop(&object(
        "MeshWorkload",
        "w",
        "{address: x, serviceAccount: '', ports: [{port: 0}]}",
    ));
    assert_eq!(
        all,
        ["WEFT0205 spec.address", "WEFT0205 spec.ports[0].port", "WEFT0205 spec.serviceAccount"]
    );
}

#[test]
fn documents_beyond_the_bound_are_not_read_and_that_is_told() {
    let text = "a: 1\n---\n".repeat(MAX_DOCUMENTS + 5);
    let entries = read_file("f.yaml", &text);
    assert_eq!(entries.len(), MAX_DOCUMENTS + 1);
    assert_eq!(entries[MAX_DOCUMENTS].findings[0].code, Code::TooMany);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = analyze(&[("f.yaml", String::from_utf8_lossy(&bytes))]);
    }

    /// Whatever one cuts out of a configuration or puts into it, reading it tells and never panics, and a
    /// document that was not touched is read as before.
    #[test]
    fn no_damage_panics_or_reaches_another_document(
        at in 0usize..200, cut in 0usize..40, put in "[-a-z:{}\\[\\]#&*!|>'\" \n0-9]{0,20}",
    ) {
        let (first, rest) = SHOP.split_once("---\n").unwrap();
        let at = at.min(first.len());
        let end = (at + cut).min(first.len());
        let damaged = format!("{}{put}{}\n---\n{rest}", &first[..at], &first[end..]);
        let (mesh, _) = analyze(&[("f.yaml", damaged.as_str())]);
        prop_assert!(mesh.services.contains_key(&Key::new("shop", "web-v2")), "{damaged}");
        prop_assert_eq!(mesh.workloads.len(), 2, "{}", damaged);
    }
}
