//! Who is given trace context and calls on without it is named, by `weft check` and on the dashboard; nobody else is.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::dashboard::{Dashboard, is_up, keep_picture, open};
use crate::harness::{Act, Browser, Collector, Load, Mesh, eventually, get, http1, request};

/// A minute, as the issue has it, of a machine that does not stand still; how long it took is printed.
const MINUTE: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(180);

/// Names of those that are named.
async fn named(mesh: &Mesh) -> Result<Vec<String>> {
    let all = mesh.control_plane().admin().get("/v1/traces/broken").await?;
    let all = all.as_array().cloned().unwrap_or_default();
    Ok(all.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect())
}

/// Nodes that the page names for it.
const NAMED: &str = "[...document.querySelectorAll('#notices li')].filter(one => one.textContent.includes('traceparent'))
    .flatMap(one => [...one.querySelectorAll('button')].map(button => button.dataset.node))";

/// Waits until the page names these; nothing where there is no browser.
async fn the_page_names(browser: &mut Option<Browser>, nodes: &[&str]) {
    let Some(browser) = browser else { return };
    let same = format!("JSON.stringify({NAMED}) === '{}'", json!(nodes));
    browser.until(&format!("the page names {nodes:?}"), &same).await;
}

/// Its node is marked, and the node's panel says what mends it.
async fn the_page_says_how_to_mend_it(browser: &mut Option<Browser>) {
    let Some(browser) = browser else { return };
    let marked = "[...document.querySelectorAll('#graph .node')].filter(node => !node.querySelector('.sign.none'))
        .map(node => [node.dataset.id, /warning: is given traceparent/.test(node.getAttribute('aria-label'))])";
    let same = format!("JSON.stringify({marked}) === '{}'", json!([["payment.shop", true]]));
    browser.until("its node is marked, by shape and by word", &same).await;
    open(browser, "payment.shop").await;
    let says = "document.getElementById('panel').textContent.includes('have it copy traceparent and tracestate')";
    browser.until("the panel says how to mend it", says).await;
    keep_picture(browser, "broken-traces").await;
    browser.press("Escape", 27).await;
}

async fn check_names_payment(mesh: &Mesh) {
    let check = mesh.weft(&["check", "-o", "json"]).await.json();
    let checks = |category: &str| -> Vec<Value> {
        let all = check["categories"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|one| one["categoryName"] == category).cloned();
        found.and_then(|one| one["checks"].as_array().cloned()).unwrap_or_default()
    };
    let [warning] = &checks("traces")[..] else { panic!("{check}") };
    assert_eq!(
        (&warning["result"], &warning["description"]),
        (&"warning".into(), &"payment in shop hands trace context on".into())
    );
}

/// Calls that follow from nothing, every few milliseconds.
fn timer(to: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(37));
        loop {
            tick.tick().await;
            let _ = get(to, "/refill").await;
        }
    })
}

#[tokio::test]
async fn whoever_hands_nothing_on_is_named_within_a_minute_and_nobody_else() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mesh = Mesh::builder()
        .serving_caller("payment")
        .serving_caller("order")
        .serving_caller("clock")
        .serving_caller("both")
        .service("ledger", &["v1"])
        .caller("gateway")
        .setting(&format!("tracing: {{endpoint: 'http://{}', sampling: 0.1}}", collector.address()))
        .start()
        .await;
    let ledger = |caller: &str| mesh.entry(&format!("{caller}-v1"), "ledger");
    let acts = [
        ("payment", Act::CallAlone(ledger("payment"))),
        ("order", Act::Call(ledger("order"))),
        ("both", Act::Call(ledger("both"))),
        ("clock", Act::Delay(Duration::from_millis(10))),
    ];
    for (name, act) in acts {
        mesh.app(&format!("{name}-v1")).script(move |_| act);
    }
    // These two call on their own besides; the one hands everything on that comes of its requests, the other has
    // nothing to hand on.
    let timers = [timer(ledger("clock")), timer(ledger("both"))];
    let start = Instant::now();
    let mut loads = acts.map(|(name, _)| Load::start_at(mesh.entry("gateway", name), 20, "/"));
    let dashboard = Dashboard::start(&mesh, &[]).await;
    let mut browser = Browser::open(&dashboard.of_all_time()).await;
    if let Some(browser) = &mut browser {
        is_up(browser).await;
    }
    eventually("it is named", MINUTE, async || {
        let named = named(&mesh).await?;
        ensure!(named.iter().any(|name| name == "payment"), "{named:?}");
        Ok(())
    })
    .await;
    println!("broken traces: named after {:?}", start.elapsed());
    the_page_names(&mut browser, &["payment.shop"]).await;
    println!("broken traces: on the page after {:?}", start.elapsed());
    check_names_payment(&mesh).await;
    the_page_says_how_to_mend_it(&mut browser).await;
    // As long again and more; who has been named stays so.
    futures_util::future::join_all(loads.iter_mut().map(|load| load.passes(400))).await;
    assert_eq!(named(&mesh).await.unwrap(), ["payment"]);
    the_page_names(&mut browser, &["payment.shop"]).await;
    // It is mended, as by a new version behind the same sidecar.
    let mended = Act::Call(ledger("payment"));
    mesh.app("payment-v1").script(move |_| mended);
    eventually("it is cleared", SOON, async || {
        let named = named(&mesh).await?;
        ensure!(named.is_empty(), "{named:?}");
        Ok(())
    })
    .await;
    the_page_names(&mut browser, &[]).await;
    timers.iter().for_each(JoinHandle::abort);
    for load in loads {
        assert_eq!(load.stop().await.failures(), [""; 0]);
    }
}

/// Who traces is somebody outside: the mesh itself has no collector.
#[tokio::test]
async fn whoever_breaks_the_traces_of_others_is_named_without_a_collector() {
    let services = ["payment", "order"];
    let mesh = Mesh::builder().serving_caller("payment").serving_caller("order");
    let mesh = mesh.service("ledger", &["v1"]).caller("gateway").start().await;
    let ledger = |caller: &str| mesh.entry(&format!("{caller}-v1"), "ledger");
    let acts = [Act::CallAlone(ledger("payment")), Act::Call(ledger("order"))];
    let mut callers = JoinSet::new();
    for (name, act) in services.into_iter().zip(acts) {
        mesh.app(&format!("{name}-v1")).script(move |_| act);
        let to = mesh.entry("gateway", name);
        callers.spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            loop {
                tick.tick().await;
                let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
                let asked = request(Method::GET, "/", &[("traceparent", traceparent)], "");
                http1(to, asked).await.unwrap();
            }
        });
    }
    eventually("it is named", MINUTE, async || {
        let named = named(&mesh).await?;
        ensure!(named == ["payment"], "{named:?}");
        Ok(())
    })
    .await;
}
