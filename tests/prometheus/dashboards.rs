//! A mesh under load, a real Prometheus that scrapes it, and every query of every dashboard: each is valid, and each shows
//! something, but for those that say here what they wait for.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::harness::manifests::{backend, grpc_route, http_route, traffic_policy};
use crate::harness::{
    Act, Answer, Grpc, Load, Mesh, Prometheus, TcpApp, eventually, get, http1, promtool_on,
    request, shipped,
};

/// Until the windows of all queries are filled, on a busy machine.
const FILLED: Duration = Duration::from_secs(300);
/// Between two things that the company of the load does.
const PACE: Duration = Duration::from_millis(50);
/// In place of Grafana's `$__rate_interval`.
const WINDOW: &str = "10s";

/// Dashboard, panel and reference of queries that show nothing in a mesh that is well, and what they wait for.
const EMPTY: [(&str, &str, &str, &str); 5] = [
    ("proxy", "Memory", "B", "a limit of memory"),
    ("proxy", "Memory", "C", "a limit of memory"),
    ("service", "Callers refused for their certificates", "A", "a caller with a bad certificate"),
    (
        "service",
        "Retries, and answers of a fallback",
        "B",
        "a policy with a fallback that was needed",
    ),
    ("service", "Ejections", "A", "an endpoint that keeps failing"),
];

/// Outlier detection is on, and ejects nobody here. What the control plane measures is its changes: `retries` is one.
fn policy(retries: u32) -> String {
    let spec = format!(
        "  loadBalancer: {{policy: RoundRobin}}
  retries: {{attempts: 1, conditions: [gateway-error]}}
  limits: {{requests: 5000, connections: 1000, retries: {retries}}}
  outlierDetection: {{consecutiveFailures: 1000}}
  healthCheck: {{http: {{path: /healthz}}, interval: 1s}}
"
    );
    traffic_policy("product", &spec)
}

const ACCESS: &str = "apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: no-admin, namespace: shop}
spec:
  selector: {matchLabels: {app: product}}
  action: DENY
  rules:
  - name: admin
    to: [{paths: [{type: PathPrefix, value: /load/admin}]}]
";

async fn mesh() -> Mesh {
    let to = |service: &str| format!("    backendRefs: [{}]\n", backend(service, 1));
    let load = "  - matches:\n    - path: {type: PathPrefix, value: /load}\n".to_owned();
    let add = "  - matches:\n    - method: {service: shop.v1.Cart, method: Add}\n".to_owned();
    Mesh::builder()
        .service("product", &["v1", "v2"])
        .service("cart", &["v1"])
        .without_app("db", "tcp")
        .caller("gateway")
        .scraped()
        .proxy_args(&["--access-log", "errors"])
        .file("policy.yaml", &policy(50))
        .file("access.yaml", ACCESS)
        .file("load.yaml", &http_route("load", "product", &(load + &to("product"))))
        .file("carts.yaml", &grpc_route("carts", "cart", &(add + &to("cart"))))
        .start()
        .await
}

/// Who is scraped, in the form of `local-targets.yaml`.
fn targets(mesh: &Mesh) -> String {
    let sidecar = |service: &str, workload: &str| {
        let health = mesh.proxy(workload).health();
        format!(
            "- targets: ['{health}']\n  labels: {{job: weft-proxy, namespace: shop, service: {service}}}\n"
        )
    };
    let control_plane = mesh.control_plane_health();
    [
        sidecar("product", "product-v1"),
        sidecar("product", "product-v2"),
        sidecar("cart", "cart-v1"),
        sidecar("db", "db-v1"),
        sidecar("gateway", "gateway"),
        format!("- targets: ['{control_plane}']\n  labels: {{job: weft-control-plane}}\n"),
    ]
    .concat()
}

/// Beside [`Load`]: calls of gRPC, opaque bytes, and a few requests that fail. Ends with the value.
fn company(mesh: &Mesh) -> JoinSet<()> {
    let mut company = JoinSet::new();
    let [product, cart, db] = ["product", "cart", "db"].map(|name| mesh.entry("gateway", name));
    company.spawn(async move {
        let mut client = Grpc::connect(cart).await;
        let mut pace = interval(PACE);
        loop {
            pace.tick().await;
            client.call("/shop.v1.Cart/Add", &[], "x").await.unwrap();
        }
    });
    company.spawn(async move { chat(db).await.unwrap() });
    company.spawn(async move {
        let mut pace = interval(PACE * 4);
        loop {
            pace.tick().await;
            for path in ["/load/admin", "/nowhere", "/load/broken"] {
                let asked = request(Method::POST, path, &[], "");
                http1(product, asked).await.unwrap();
            }
            // An idempotent one is tried again.
            get(product, "/load/broken").await.unwrap();
        }
    });
    company
}

async fn chat(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.read_exact(&mut vec![0; TcpApp::GREETING.len()]).await?;
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        stream.write_all(b"ping").await?;
        stream.read_exact(&mut [0; 4]).await?;
    }
}

/// One query of a dashboard.
#[derive(Debug)]
struct Query {
    board: &'static str,
    panel: String,
    reference: String,
    expression: String,
}

impl Query {
    /// What it waits for, if it shows nothing in this mesh.
    fn waits_for(&self) -> Option<&'static str> {
        let own = (self.board, &*self.panel, &*self.reference);
        let found = EMPTY.iter().find(|(board, panel, letter, _)| (*board, *panel, *letter) == own);
        found.map(|(.., what)| *what)
    }
}

/// The values of a dashboard's variables, each found as Grafana finds them.
async fn variables(prometheus: &Prometheus, board: &Value) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::from([("__rate_interval".to_owned(), WINDOW.to_owned())]);
    for variable in board["templating"]["list"].as_array().into_iter().flatten() {
        let text = |key: &str| variable[key].as_str().unwrap_or_default();
        if text("type") != "query" {
            continue;
        }
        let query = filled(text("query"), &found);
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (selector, label) =
            inner.and_then(|rest| rest.rsplit_once(", ")).expect("label_values");
        let samples = prometheus.query(&format!("group by ({label}) ({selector})")).await?;
        let values: Vec<_> =
            samples.iter().filter_map(|sample| sample.labels.get(label).cloned()).collect();
        ensure!(!values.is_empty(), "${} has no values: {query}", text("name"));
        found.insert(text("name").to_owned(), values.join("|"));
    }
    Ok(found)
}

fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let replace =
        |text: String, (name, value): (&String, &String)| text.replace(&format!("${name}"), value);
    variables.iter().fold(text.to_owned(), replace)
}

/// Every query of a dashboard with its variables filled in.
async fn queries(prometheus: &Prometheus, name: &'static str) -> Result<Vec<Query>> {
    let text = fs::read_to_string(shipped("grafana").join(format!("{name}.json")))?;
    let board: Value = serde_json::from_str(&text)?;
    let variables = variables(prometheus, &board).await?;
    let mut queries = Vec::new();
    for panel in board["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let expression = filled(&text(&target["expr"]), &variables);
            assert!(!expression.contains('$'), "a variable that nobody fills: {expression}");
            let (panel, reference) = (text(&panel["title"]), text(&target["refId"]));
            queries.push(Query { board: name, panel, reference, expression });
        }
    }
    ensure!(queries.len() >= 10, "{name} has only {} queries", queries.len());
    Ok(queries)
}

/// Those that show nothing though they should.
async fn silent(prometheus: &Prometheus) -> Result<(usize, Vec<Query>)> {
    let (mut count, mut silent) = (0, Vec::new());
    for name in ["mesh", "service", "proxy"] {
        for query in queries(prometheus, name).await? {
            let shown = prometheus.query(&query.expression).await?;
            count += 1;
            let is_number = shown.iter().any(|sample| sample.value.is_finite());
            if !is_number && query.waits_for().is_none() {
                silent.push(query);
            }
        }
    }
    Ok((count, silent))
}

#[tokio::test]
async fn a_mesh_under_load_is_scraped_and_every_query_of_the_dashboards_shows_it() {
    let mesh = mesh().await;
    let _db = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    for app in ["product-v1", "product-v2"] {
        mesh.app(app).script(|seen| match seen.path.as_str() {
            "/load/broken" => Act::Status(503),
            _ => Act::Echo,
        });
    }
    let address = mesh.spare_address(9090);
    let Some(prometheus) = Prometheus::local(address, &targets(&mesh)).await else { return };
    let mut company = company(&mesh);
    let load = Load::start(mesh.entry("gateway", "product"), 40);
    let mut retries = 50;
    let count = eventually("every query shows something", FILLED, async || {
        let ended = company.try_join_next();
        assert!(ended.is_none(), "the load's company has ended: {ended:?}");
        retries += 1;
        mesh.write("policy.yaml", &policy(retries));
        let (count, silent) = silent(&prometheus).await?;
        ensure!(silent.is_empty(), "{silent:#?}");
        Ok(count)
    })
    .await;
    println!("{count} queries of 3 dashboards, of which {} wait for a fault", EMPTY.len());
    eventually("all rules are well, and have results", FILLED, async || rules(&prometheus).await)
        .await;
    company.shutdown().await;
    load.stop().await.assert_no_failures();
    agrees(&mesh, &prometheus).await;
    for address in [mesh.proxy("gateway").health(), mesh.control_plane_health()] {
        linted(&get(address, "/metrics").await.unwrap()).await;
    }
}

/// Every rule has been evaluated without an error, and those of a service have a result.
async fn rules(prometheus: &Prometheus) -> Result<()> {
    let told = prometheus.ask("/api/v1/rules").await?;
    let groups = told["groups"].as_array().into_iter().flatten();
    let rules: Vec<_> =
        groups.flat_map(|group| group["rules"].as_array().into_iter().flatten()).collect();
    ensure!(rules.len() > 20, "{rules:?}");
    let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    ensure!(ill.is_empty(), "{ill:#?}");
    for record in [
        "weft:service_success:ratio5m",
        "weft:mtls:ratio5m",
        "weft:service_duration_seconds:p99_5m",
    ] {
        let samples = prometheus.query(&format!("{record}{{service=\"product\"}}")).await?;
        ensure!(samples.len() == 1, "{record}: {samples:?}");
    }
    Ok(())
}

/// `promtool check metrics` finds nothing: names, units, help, types.
async fn linted(metrics: &Answer) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &metrics.body).unwrap();
    let Some(output) = promtool_on(file.path(), &["check", "metrics"]).await else { return };
    assert!(output.code == Some(0) && output.stderr.is_empty(), "{output:?}");
}

/// At rest Prometheus has what the sidecars have, and both sides of the hop agree.
async fn agrees(mesh: &Mesh, prometheus: &Prometheus) {
    let gateway = mesh.proxy("gateway");
    eventually("Prometheus has what the sidecar has", Duration::from_secs(20), async || {
        let own = gateway.metric("weft_requests_total", &["peer=\"product.shop:8080\""]).await?;
        let stored = "sum(weft_requests_total{service=\"gateway\",peer=\"product.shop:8080\"})";
        let stored = prometheus.sum(stored).await?;
        let durations = "sum(http_client_request_duration_seconds_count{service=\"gateway\",server_address=\"product.shop\"})";
        let durations = prometheus.sum(durations).await?;
        ensure!(own > 50.0 && own == stored && own == durations, "{own} {stored} {durations}");
        Ok(())
    })
    .await;
}
