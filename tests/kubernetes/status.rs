//! Status and leader election against a real API server: what other controllers write stays, what is there is not
//! written again, one replica leads. The writer runs in this process; whole control planes are tried elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_control_plane::clock::Clock;
use weft_control_plane::finding::{Code, Finding};
use weft_control_plane::model::Mesh;
use weft_control_plane::status::{Inputs, Lease, Objects, StatusWriter};
use weft_control_plane::xds::{Cache, Published, Receipts, Registry};

use crate::harness::kubernetes::ApiServer;
use crate::harness::{Output, eventually, tool, within};

const SOON: Duration = Duration::from_secs(30);
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes";

/// Route `name` with a parent of ours and a Gateway.
fn route(name: &str) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: default}}
spec:
  parentRefs:
  - {{group: gateway.networking.k8s.io, kind: Gateway, name: front}}
  - {{group: '', kind: Service, name: order, port: 8080}}
  rules: [{{backendRefs: [{{name: order, port: 8080}}]}}]
"
    )
}

/// Entry of a controller of Gateways.
fn theirs(message: &str) -> Value {
    json!({
        "controllerName": "example.com/gateways",
        "parentRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front" },
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": message,
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    })
}

/// An API server with the Gateway API.
async fn gateway_api(test: &str) -> Option<ApiServer> {
    let server = ApiServer::start(test).await?;
    server.apply_file(&tool("gateway-api.yaml")).await;
    for kind in ["httproutes", "grpcroutes"] {
        let definition = format!("customresourcedefinition/{kind}.gateway.networking.k8s.io");
        let established = ["wait", "--for=condition=Established", "--timeout=180s", &definition];
        server.kubectl(&established).await;
    }
    Some(server)
}

async fn get(server: &ApiServer, name: &str) -> Value {
    server.get(&format!("{ROUTES}/{name}")).await.expect("the route is there")
}

/// What a source would show of these routes.
async fn objects(server: &ApiServer, names: &[&str]) -> Arc<Objects> {
    let mut objects = BTreeMap::new();
    for name in names {
        let key = ("HTTPRoute".to_owned(), "default".to_owned(), (*name).to_owned());
        objects.insert(key, Arc::new(get(server, name).await));
    }
    Arc::new(objects)
}

/// Another controller writes all of `parents`, as it may.
async fn write_parents(server: &ApiServer, name: &str, parents: &[Value]) -> Result<Value> {
    let body = serde_json::to_vec(&json!({ "status": { "parents": parents } }))?;
    let request = Request::patch(format!("{ROUTES}/{name}/status"))
        .header("content-type", "application/merge-patch+json")
        .body(body)?;
    Ok(server.client().await.request(request).await?)
}

/// A writer that leads, and what it watches. It ends with the value.
struct Writer {
    objects: watch::Sender<Arc<Objects>>,
    findings: watch::Sender<Arc<Vec<Finding>>>,
    _mesh: watch::Sender<Arc<Mesh>>,
    _published: watch::Sender<Option<Published>>,
    _leads: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Writer {
    async fn start(server: &ApiServer, objects: Arc<Objects>) -> Self {
        let mesh = Arc::new(Mesh::default());
        let taken = tokio::time::Instant::now();
        let published = Some(Published { mesh: mesh.clone(), taken });
        let (objects, findings) = (watch::Sender::new(objects), watch::Sender::default());
        let (mesh, published) = (watch::Sender::new(mesh), watch::Sender::new(published));
        let leads = watch::Sender::new(true);
        let inputs = Inputs {
            objects: objects.subscribe(),
            mesh: mesh.subscribe(),
            findings: findings.subscribe(),
            published: published.subscribe(),
            receipts: Receipts::new(Cache::new(), Registry::new()),
        };
        let client = server.client().await;
        let writer = StatusWriter::new(client, inputs, leads.subscribe(), Clock::system());
        let task = tokio::spawn(writer.run());
        Self { objects, findings, _mesh: mesh, _published: published, _leads: leads, task }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for our entry to say this, as `Accepted=True/Accepted`.
async fn says(server: &ApiServer, name: &str, wanted: &str) -> Value {
    eventually(&format!("{name} says {wanted}"), SOON, async || {
        let found = get(server, name).await;
        let parents = found["status"]["parents"].as_array().context("no parents")?;
        let ours = parents.iter().find(|entry| entry["controllerName"] == "weft.dev/mesh");
        let ours = ours.context("no entry of ours")?;
        let conditions = ours["conditions"].as_array().context("no conditions")?;
        let line = |one: &Value| {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            format!("{}={}/{}", text("type"), text("status"), text("reason"))
        };
        let said: Vec<_> = conditions.iter().map(line).collect();
        ensure!(said.iter().any(|line| line == wanted), "{said:?}");
        Ok(found)
    })
    .await
}

#[tokio::test]
async fn entries_of_other_controllers_survive_even_when_both_write_at_once() {
    let Some(server) = gateway_api("status").await else { return };
    server.apply(&route("order")).await;
    let old = objects(&server, &["order"]).await;
    // The writer has seen the route before the other controller wrote: its first attempt is refused by the server.
    write_parents(&server, "order", &[theirs("first")]).await.unwrap();
    let writer = Writer::start(&server, old).await;
    let found = says(&server, "order", "weft.dev/Programmed=True/NoProxiesConcerned").await;
    let parents = found["status"]["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 2);
    assert_eq!(parents[0], theirs("first"));
    assert_eq!(parents[1]["parentRef"], found["spec"]["parentRefs"][1]);
    for condition in parents[1]["conditions"].as_array().unwrap() {
        assert_eq!(condition["observedGeneration"], found["metadata"]["generation"]);
    }

    // They write again, over a copy from before ours was there: ours comes back, and theirs stays.
    write_parents(&server, "order", &[theirs("second")]).await.unwrap();
    writer.objects.send_replace(objects(&server, &["order"]).await);
    let found = says(&server, "order", "Accepted=True/Accepted").await;
    assert_eq!(found["status"]["parents"][0], theirs("second"));
}

#[tokio::test]
async fn a_control_plane_that_starts_anew_writes_what_differs_and_nothing_else() {
    let Some(server) = gateway_api("restart").await else { return };
    server.apply(&route("a")).await;
    server.apply(&route("b")).await;
    let writer = Writer::start(&server, objects(&server, &["a"]).await).await;
    let a = says(&server, "a", "ResolvedRefs=True/ResolvedRefs").await;
    drop(writer);

    let writer = Writer::start(&server, objects(&server, &["a", "b"]).await).await;
    let b = says(&server, "b", "ResolvedRefs=True/ResolvedRefs").await;
    // Both were looked at together.
    let version = |route: &Value| route["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&get(&server, "a").await), version(&a));

    let finding = Finding::new(Code::BackendNotFound, "Service default/order does not exist")
        .about("HTTPRoute default/b")
        .field("spec.rules[0].backendRefs[0].name");
    writer.findings.send_replace(Arc::new(vec![finding]));
    let found = says(&server, "b", "ResolvedRefs=False/BackendNotFound").await;
    assert_ne!(version(&found), version(&b));
    assert_eq!(version(&get(&server, "a").await), version(&a));
}

async fn weft_wait(server: &ApiServer, manifest: &str, timeout: &str) -> Output {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let file_name = file.path().to_string_lossy().into_owned();
    server.weft(&["wait", "-f", &file_name, "--timeout", timeout]).await
}

#[tokio::test]
async fn weft_wait_ends_when_all_do_and_names_who_does_not() {
    let Some(server) = gateway_api("wait").await else { return };
    let manifest = format!(
        "{}---\n{}---\napiVersion: v1\nkind: Service\nmetadata: {{name: order}}",
        route("a"),
        route("b")
    );
    let output = weft_wait(&server, &manifest, "0s").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(
        output.stdout.contains("HTTPRoute default/a  the cluster has no such object"),
        "{output:?}"
    );
    assert!(output.stderr.contains("1 object of another kind is passed over"), "{output:?}");

    server.apply(&route("a")).await;
    server.apply(&route("b")).await;
    let writer = Writer::start(&server, objects(&server, &["a"]).await).await;
    says(&server, "a", "Accepted=True/Accepted").await;
    let output = weft_wait(&server, &manifest, "0s").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("√ HTTPRoute default/a"), "{output:?}");
    let open = "× HTTPRoute default/b  Service order port 8080: the control plane has not written";
    assert!(output.stdout.contains(open), "{output:?}");

    writer.objects.send_replace(objects(&server, &["a", "b"]).await);
    let output = weft_wait(&server, &manifest, "120s").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    server.kill();
    let output = weft_wait(&server, &manifest, "1s").await;
    assert_eq!(output.code, Some(1), "{output:?}");
}

/// A replica, and how it is told to stop.
struct Replica {
    leads: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Replica {
    async fn start(server: &ApiServer, name: &str) -> Self {
        let stop = watch::Sender::new(false);
        let client = server.client().await;
        let (lease, leads) = Lease::new(client, "default", name.to_owned(), stop.subscribe());
        Self { leads, stop, task: tokio::spawn(lease.run()) }
    }

    async fn comes_to_lead(&mut self, limit: Duration) {
        within("a replica leads", limit, self.leads.wait_for(|leads| *leads)).await.unwrap();
    }
}

#[tokio::test]
async fn one_replica_leads_and_another_takes_over() {
    let Some(server) = ApiServer::start("lease").await else { return };
    let mut first = Replica::start(&server, "first").await;
    first.comes_to_lead(SOON).await;
    let mut second = Replica::start(&server, "second").await;

    // One that stops lets go: nobody waits for the Lease to end.
    first.stop.send_replace(true);
    within("the first stops", SOON, &mut first.task).await.unwrap();
    assert!(!*first.leads.borrow());
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/weft-control-plane";
    let spec = server.get(path).await.unwrap()["spec"].clone();
    assert_ne!(spec["holderIdentity"], "first", "it has let go: {spec}");
    second.comes_to_lead(SOON).await;

    // One that is killed is waited for, and not longer than its Lease is good.
    let mut third = Replica::start(&server, "third").await;
    second.task.abort();
    third.comes_to_lead(SOON).await;
    let spec = server.get(path).await.unwrap()["spec"].clone();
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!("third"), &json!(2)));
    assert_eq!(spec["leaseDurationSeconds"], 15);

    // One that cannot renew gives up before anybody else could have it.
    server.kill();
    let lost = third.leads.wait_for(|leads| !leads);
    within("it gives up", SOON, lost).await.unwrap();
    server.start_again().await;
    third.comes_to_lead(SOON).await;
}
