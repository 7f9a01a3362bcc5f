//! The Gateway API comes and goes while a control plane runs.

use anyhow::{Context, Result, ensure};
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::names::type_url;

use super::proxy::Proxy;
use super::scene::{SOON, Scene};
use crate::harness::{eventually, tool};

const DEFINITION: &str = "customresourcedefinition/httproutes.gateway.networking.k8s.io";
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/order";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: order, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: order}, ports: [{name: http, port: 8080, appProtocol: http}]}
";

const HTTP_ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: order, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: order, port: 8080}]
  rules: [{matches: [{path: {value: /only-here}}], backendRefs: [{name: order, port: 8080}]}]
";

/// Route configurations of a Service port mention the route's match, or not.
fn is_routed(proxy: &Proxy) -> Result<bool> {
    let found: RouteConfiguration = proxy.resource(type_url::ROUTE, "order.shop:8080")?;
    Ok(format!("{found:?}").contains("/only-here"))
}

#[tokio::test]
async fn they_are_noticed_when_they_come_go_and_come_again() {
    let Some(scene) = Scene::start("gateway-api").await else { return };
    scene.server.apply(SERVICE).await;
    scene.running("web-1", "web", "10.1.0.6").await;
    let replica = scene.replica("one").await;
    let authority = scene.authority().await;
    // Without any of it the mesh runs by Service alone.
    let names = ["order.shop:8080"];
    let whose = ("web-1", "web");
    // A pod that a replica has seen is told to proxies a little later.
    let connect = async || {
        let connected = Proxy::connect(&replica, &authority, whose, &names, Default::default());
        Box::pin(connected).await?.let_in().await
    };
    let mut proxy = eventually("it is let in", SOON, connect).await;
    proxy.subscribe(type_url::ROUTE, &names).await;
    let routed = proxy.until("a route to the Service", is_routed).await;
    assert!(!routed);

    for _ in 0..2 {
        scene.server.apply_file(&tool("gateway-api.yaml")).await;
        let established = ["wait", "--for=condition=Established", "--timeout=180s", DEFINITION];
        scene.server.kubectl(&established).await;
        scene.server.apply(HTTP_ROUTE).await;
        eventually("the route has its status", SOON, async || {
            let found = scene.server.get(ROUTE).await?;
            let parents = found["status"]["parents"].as_array().context("no parents")?;
            let ours = parents.iter().find(|entry| entry["controllerName"] == "weft.dev/mesh");
            let ours = ours.context("no entry of ours")?.to_string();
            ensure!(ours.contains("Accepted") && ours.contains("ResolvedRefs"), "{ours}");
            Ok(())
        })
        .await;
        proxy
            .until("the route is in force", |proxy| {
                ensure!(is_routed(proxy)?, "not yet");
                Ok(())
            })
            .await;
        replica.has("HTTPRoute", 1).await;

        scene.server.kubectl(&["delete", DEFINITION, "--timeout=180s"]).await;
        proxy
            .until("the route is gone with its definition", |proxy| {
                ensure!(!is_routed(proxy)?, "not yet");
                Ok(())
            })
            .await;
        replica.has("HTTPRoute", 0).await;
    }
    let removed = proxy.told.iter().find(|name| name.starts_with('-'));
    assert!(removed.is_none(), "the Service was there all the time: {:?}", proxy.told);
    replica.process().pid().unwrap();
    scene.assert_nothing_was_forbidden(&[&replica]);
}
