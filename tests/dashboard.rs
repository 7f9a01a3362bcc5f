//! `weft dashboard` in a real browser: what it shows is what `weft stat -o json` says and what the objects in force are, it is
//! worked by keyboard, its links lead to traces that are there (`open`, `traces`), it lives through restarts (`lives`), and it answers
//! and trusts nobody but itself (`guards`).

mod guards;
mod lives;
mod open;
mod shows;
mod traces;

pub(crate) use open::open;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Method;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::kubernetes::Jaeger;
use crate::harness::manifests::{backend, http_route, traffic_policy};
use crate::harness::{
    Act, Browser, Mesh, Network, Process, Program, binary, eventually, http1, loud, own_port,
    request,
};

const SOON: Duration = Duration::from_secs(20);
/// Requests, of which a tenth fails and one is slow.
const REQUESTS: usize = 40;
const SLOW: Duration = Duration::from_millis(300);
/// What a page must never take for markup. In a path it is written so that it is one.
const MARKUP: &str = "<img src=x onerror=document.title='owned'>";
const MARKUP_PATH: &str = "/%3Cimg%20src=x%20onerror=document.title='owned'%3E";
/// Nobody samples this one.
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A running `weft dashboard`, and where it is.
pub(crate) struct Dashboard {
    process: Process,
    url: String,
}

impl Dashboard {
    /// Of this mesh, on a port that it can be started on again.
    pub(crate) async fn start(mesh: &Mesh, more: &[&str]) -> Self {
        Self::start_on(mesh, &own_port().to_string(), more).await
    }

    async fn start_on(mesh: &Mesh, port: &str, more: &[&str]) -> Self {
        let args = [&["dashboard", "--port", port, "-o", "json"], more].concat();
        // Each has a log of its own: one that is started again on the same port says where it is in the same words.
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Relaxed);
        let log = mesh.config_dir().with_file_name(format!("dashboard-{number}.log"));
        let process = Process::start(Program {
            name: "weft dashboard".to_owned(),
            path: binary("weft"),
            args: args.iter().map(Into::into).collect(),
            variables: vec![("XDG_RUNTIME_DIR".to_owned(), mesh.run_root())],
            log,
        })
        .unwrap();
        let url = eventually("it says where it is", SOON, async || {
            process.pid()?;
            let said: Value = serde_json::from_str(&process.log())?;
            Ok(said["url"].as_str().context("a URL")?.to_owned())
        })
        .await;
        Self { process, url }
    }

    /// With the figures of all time, which do not change when nothing happens.
    pub(crate) fn of_all_time(&self) -> String {
        format!("{}/?window=all", self.url)
    }

    fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }
}

/// Every kind of policy, and a route.
fn policies() -> [(&'static str, String); 5] {
    let own = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{selector: {{matchLabels: {{app: product}}}}, {spec}}}\n"
        )
    };
    let rules = format!("  - name: all\n    backendRefs: [{}]\n", backend("product", 1));
    let callers = "action: ALLOW, rules: [{name: gateway, from: [{serviceAccounts: [gateway]}]}]";
    [
        ("web.yaml", http_route("web", "product", &rules)),
        ("calls.yaml", traffic_policy("product", "  loadBalancer: {policy: RoundRobin}\n")),
        ("callers.yaml", own("AccessPolicy", "callers", callers)),
        ("strict.yaml", own("InboundPolicy", "strict", "mtls: STRICT")),
        ("tell.yaml", own("TelemetryPolicy", "tell", "tracing: {sampling: 1}")),
    ]
}

/// A mesh whose requests have been made and counted: figures of all time do not change any more. Its spans go to the collector at
/// this address.
async fn quiet(collector: SocketAddr) -> (Mesh, Value) {
    let mut builder = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .setting(&format!("tracing: {{endpoint: 'http://{collector}', sampling: 1}}"))
        .proxy_variable("OTEL_BSP_SCHEDULE_DELAY", "50");
    for (name, text) in policies() {
        builder = builder.file(name, &text);
    }
    let mesh = builder.start().await;
    for version in ["product-v1", "product-v2"] {
        mesh.app(version).script(|seen| match seen.path.as_str() {
            "/good" => Act::Echo,
            "/slow" => Act::Delay(SLOW),
            _ => Act::Status(503),
        });
    }
    for number in 0..REQUESTS {
        let (path, headers): (_, &[_]) = match number {
            0 | 20 => ("/bad", &[]),
            10 => (MARKUP_PATH, &[]),
            30 => ("/unsampled", &[("traceparent", UNSAMPLED)]),
            5 => ("/slow", &[]),
            _ => ("/good", &[]),
        };
        let asked = request(Method::GET, path, headers, "");
        http1(mesh.entry("gateway", "product"), asked).await.unwrap();
    }
    let stat = eventually("all are counted", SOON, async || {
        let stat = mesh.weft(&["stat", "-t", "all", "-o", "json"]).await.json();
        let edges = stat["edges"].as_array().into_iter().flatten();
        let counted: u64 = edges.filter_map(|edge| edge["requests"].as_u64()).sum();
        let workloads = stat["workloads"].as_array().into_iter().flatten();
        let served: u64 = workloads.filter_map(|row| row["requests"].as_u64()).sum();
        ensure!((counted, served) == (REQUESTS as u64, REQUESTS as u64), "{stat}");
        Ok(stat)
    })
    .await;
    (mesh, stat)
}

/// The whole page as a file, for people.
pub(crate) async fn keep_picture(browser: &mut Browser, name: &str) {
    let directory = binary("weft").with_file_name("pictures");
    std::fs::create_dir_all(&directory).unwrap();
    let path: PathBuf = directory.join(format!("dashboard-{name}.png"));
    std::fs::write(&path, browser.picture().await).unwrap();
    eprintln!("picture: {}", path.display());
}

/// The page has its first figures.
pub(crate) async fn is_up(browser: &mut Browser) {
    browser.until("it shows figures", "document.body.dataset.shown === 'true'").await;
}

async fn assert_no_complaints(browser: &mut Browser) {
    browser.eval("0").await.unwrap();
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

/// One scene, for a mesh and a browser cost more than what is done with them.
#[tokio::test]
async fn the_page_of_a_mesh_that_has_been_through_something() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let jaeger = Jaeger::start(&network, directory.path().join("jaeger.log")).await;
    let ui = format!("http://{}", network.at(3, 16686));
    let (mesh, stat) = quiet(network.at(3, 4317)).await;
    let dashboard = Dashboard::start(&mesh, &["--jaeger", &ui]).await;
    let Some(mut browser) = Browser::open(&dashboard.of_all_time()).await else { return };
    is_up(&mut browser).await;
    shows::what_stat_says_at_every_width(&mut browser, &stat).await;
    browser.resize(1280, 900).await;
    open::nodes_and_edges_by_keyboard(&mut browser).await;
    open::back_and_forward(&mut browser).await;
    match jaeger {
        Some(_) => traces::links_lead_to_traces(&mut browser, &network, &ui).await,
        None => loud("dashboard: no Jaeger to follow links to: TEST_TOOLS"),
    }
    shows::focus_stays_where_it_is(&mut browser).await;
    assert_no_complaints(&mut browser).await;
    lives::through_restarts(&mesh, dashboard, &mut browser).await;
}
