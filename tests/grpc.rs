//! GRPCRoute: a real gRPC client's calls go by service, method and metadata, and what fails is told in gRPC's codes.

use std::time::Duration;

use anyhow::ensure;
use http::Method;
use tonic::Code;

use crate::harness::manifests::{backend, grpc_route};
use crate::harness::{Act, Grpc, Mesh, assert_share, eventually, get, http2, request};

/// Two rules that are as specific as can be, one that takes what is left of a service.
fn carts() -> String {
    let to = |service: &str| format!("    backendRefs: [{}]\n", backend(service, 1));
    let rules = [
        "  - name: canary\n    matches:\n    - method: {service: shop.v1.Cart, method: Add}\n      headers: [{name: x-canary, value: please}]\n".to_owned() + &to("product-v2"),
        "  - name: adding\n    matches:\n    - method: {service: shop.v1.Cart, method: Add}\n".to_owned() + &to("product-v1"),
        "  - name: carts\n    matches:\n    - method: {service: shop.v1.Cart}\n".to_owned() + &to("product-v2"),
        "  - name: pattern\n    matches:\n    - method: {type: RegularExpression, service: 'audit\\..*', method: 'Read|Write'}\n".to_owned() + &to("product-v1"),
        "  - name: anywhere\n    matches:\n    - method: {method: Watch}\n".to_owned() + &to("product-v2"),
    ];
    grpc_route("carts", "product", &rules.concat())
}

fn product() -> crate::harness::Builder {
    Mesh::builder().service("product", &["v1", "v2"]).caller("gateway")
}

#[tokio::test]
async fn calls_go_by_service_method_and_metadata() {
    let mesh = product().file("route.yaml", &carts()).start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let canary: &[(&'static str, &str)] = &[("x-canary", "please")];
    for (method, metadata, expected) in [
        ("/shop.v1.Cart/Add", canary, "product-v2"),
        ("/shop.v1.Cart/Add", &[], "product-v1"),
        ("/shop.v1.Cart/Remove", &[], "product-v2"),
        ("/audit.v2.Log/Read", &[], "product-v1"),
        ("/else.Where/Watch", &[], "product-v2"),
    ] {
        let before = mesh.app(expected).count();
        let (message, _) = client.call(method, metadata, "hello").await.unwrap();
        assert_eq!(message, "hello", "{method}");
        assert_eq!(mesh.app(expected).count(), before + 1, "{method} {metadata:?} to {expected}");
    }
    for method in ["/shop.v1.Carts/Add", "/shop.v1.Cart.More/Add", "/audit.v2.Log/Delete"] {
        let status = client.call(method, &[], "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
        let why = status.metadata().get("proxy-status").unwrap().to_str().unwrap();
        assert!(why.contains("route_not_found"), "{why}");
    }
    // A GRPCRoute is for gRPC: to others there is no route.
    let plain = get(mesh.entry("gateway", "product"), "/shop.v1.Cart/Add").await.unwrap();
    assert_eq!(plain.status, 404);
}

#[tokio::test]
async fn an_edit_is_live_and_the_names_of_rules_are_in_the_metrics() {
    let mesh = product().file("route.yaml", &carts()).start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    client.call("/shop.v1.Cart/Add", &[], "").await.unwrap();
    eventually("the rule is in the metrics", Duration::from_secs(5), async || {
        let metrics = mesh.proxy("gateway").metrics().await?;
        ensure!(metrics.contains("route=\"GRPCRoute/shop/carts#adding\""), "{metrics}");
        Ok(())
    })
    .await;

    mesh.write("route.yaml", &carts().replace("method: Watch", "method: Listen"));
    eventually("the edit is live", Duration::from_secs(1), async || {
        let (old, new) =
            (client.call("/a.B/Watch", &[], "").await, client.call("/a.B/Listen", &[], "").await);
        ensure!(old.is_err_and(|status| status.code() == Code::Unimplemented) && new.is_ok());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn headers_are_changed_by_rules_and_by_backends() {
    let change = |kind: &str, field: &str, name: &str| {
        format!("{{type: {kind}, {field}: {{set: [{{name: {name}, value: by-route}}]}}}}")
    };
    let request = change("RequestHeaderModifier", "requestHeaderModifier", "x-rule");
    let response = change("ResponseHeaderModifier", "responseHeaderModifier", "x-answer");
    let of_backend = change("RequestHeaderModifier", "requestHeaderModifier", "x-backend");
    let rules = format!(
        "  - filters: [{request}, {response}]\n    backendRefs: [{}]\n",
        backend("product-v1", 1).replace('}', &format!(", filters: [{of_backend}]}}"))
    );
    let mesh = product().file("route.yaml", &grpc_route("r", "product", &rules)).start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let (_, metadata) = client.call("/a.B/Get", &[], "").await.unwrap();
    assert_eq!(metadata.get("x-answer").unwrap(), "by-route");
    let seen = mesh.app("product-v1").seen().remove(0);
    for name in ["x-rule", "x-backend"] {
        assert_eq!(seen.headers.get(name).unwrap(), "by-route", "{name}");
    }
}

#[tokio::test]
async fn an_invalid_backend_costs_its_share_as_unavailable() {
    let rules = format!(
        "  - name: half\n    backendRefs: [{}, {}]\n",
        backend("product-v1", 1),
        backend("nothing", 1)
    );
    let mesh = product().file("route.yaml", &grpc_route("r", "product", &rules)).start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let mut unavailable = 0;
    for _ in 0..400 {
        if let Err(status) = client.call("/a.B/Get", &[], "").await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            let why = status.metadata().get("proxy-status").unwrap().to_str().unwrap();
            assert!(why.contains("backend_invalid"), "{why}");
            assert!(why.contains("GRPCRoute/shop/r#half"), "{why}");
            unavailable += 1;
        }
    }
    assert_share("calls to the invalid backend", unavailable, 400, 0.5);
    assert_eq!(mesh.app("product-v1").count(), 400 - unavailable, "none is tried twice");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_deadline_exceeded() {
    let policy = crate::harness::manifests::traffic_policy(
        "product",
        "  retries: {attempts: 0, perTryTimeout: 100ms}\n",
    );
    let mesh = product().file("route.yaml", &carts()).file("policy.yaml", &policy).start().await;
    mesh.app("product-v1").script(|_| Act::Hang);
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let status = client.call("/shop.v1.Cart/Add", &[], "").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn grpc_that_is_sent_by_an_http_route_is_told_in_its_own_codes_too() {
    let rules = format!(
        "  - matches: [{{path: {{type: PathPrefix, value: /a.B}}}}]\n    backendRefs: [{}]\n",
        backend("nothing", 1)
    );
    let route = crate::harness::manifests::http_route("r", "product", &rules);
    let mesh = product().file("route.yaml", &route).start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let code =
        async |client: &mut Grpc, method| client.call(method, &[], "").await.unwrap_err().code();
    assert_eq!(code(&mut client, "/a.B/Get").await, Code::Unavailable);
    assert_eq!(code(&mut client, "/c.D/Get").await, Code::Unimplemented);
    let plain = request(Method::GET, "/a.B/Get", &[], "");
    assert_eq!(http2(mesh.entry("gateway", "product"), plain).await.unwrap().status, 500);
}
