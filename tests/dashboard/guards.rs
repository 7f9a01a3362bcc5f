//! Whom the dashboard answers, and what it makes of a mesh that is empty, large, or means harm.

use std::net::SocketAddr;

use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::shows::assert_fits;
use super::{Dashboard, MARKUP, is_up, keep_picture};
use crate::harness::{Browser, Mesh, ask, get, head, http1, request};

/// Pages that may be open at once.
const STREAMS: usize = 16;
const MANY: usize = 300;

#[tokio::test]
async fn it_answers_its_own_page_and_nobody_else_and_bears_any_mesh() {
    let mesh = Mesh::builder().start().await;
    let dashboard = Dashboard::start(&mesh, &[]).await;
    its_own_page_and_nobody_else(&dashboard).await;
    let streams = as_many_as_may_be(dashboard.address()).await;
    let Some(mut browser) = Browser::open(&dashboard.of_all_time()).await else { return };
    let waits = "document.getElementById('summary').className === 'away'";
    browser.until("it says that it has to wait", waits).await;
    drop(streams);
    is_up(&mut browser).await;
    let empty =
        "!document.getElementById('empty').hidden && document.getElementById('notices').hidden";
    browser.until("it is empty, and all is well", empty).await;
    keep_picture(&mut browser, "empty").await;
    browser
        .call("Page.navigate", serde_json::json!({ "url": dashboard.of_all_time() }))
        .await
        .unwrap();
    is_up(&mut browser).await;
    mesh_that_means_harm(&mesh, &mut browser).await;
    large_mesh(&mesh, &mut browser).await;
    // That it had to wait is all that it complained of.
    let odd = browser.complaints().iter().filter(|one| !one.contains("503"));
    assert_eq!(odd.count(), 0, "{:?}", browser.complaints());
}

async fn its_own_page_and_nobody_else(dashboard: &Dashboard) {
    let to = dashboard.address();
    let (own, port) = (to.to_string(), to.port());
    let own = own.as_str();
    let by_name = format!("localhost:{port}");
    for (method, path, headers, status) in [
        (Method::GET, "/", &[("host", own)][..], 200),
        (Method::GET, "/", &[("host", by_name.as_str())], 200),
        (Method::GET, "/app.js", &[("host", own)], 200),
        (Method::GET, "/", &[("host", "evil.example")], 403),
        (Method::GET, "/", &[("host", "localhost")], 403),
        (Method::GET, "/api/events", &[("host", "evil.example")], 403),
        (Method::GET, "/api/policies?to=a.b", &[("host", "evil.example")], 403),
        (Method::GET, "/", &[("host", own), ("sec-fetch-site", "cross-site")], 403),
        (Method::GET, "/", &[("host", own), ("origin", "http://evil.example")], 403),
        (Method::POST, "/", &[("host", own)], 403),
        (Method::GET, "/nothing", &[("host", own)], 404),
        (Method::GET, "/api/events?window=x", &[("host", own)], 400),
    ] {
        let answer = http1(to, request(method.clone(), path, headers, "")).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
    let two =
        format!("GET / HTTP/1.1\r\nhost: {own}\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    for head in
        ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n", two.as_str()]
    {
        let answer = ask(to, head.as_bytes()).await.unwrap();
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(line.contains("403") || line.contains("400"), "{head:?}: {line}");
    }
}

/// Opens so many pages, and sees that one more is refused.
async fn as_many_as_may_be(to: SocketAddr) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let asked = format!("GET /api/events HTTP/1.1\r\nhost: {to}\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let begun = head(&mut stream).await.unwrap();
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
        streams.push(stream);
    }
    assert_eq!(get(to, "/api/events").await.unwrap().status, 503);
    streams
}

/// Names, a file, labels and what is said of them read like markup.
async fn mesh_that_means_harm(mesh: &Mesh, browser: &mut Browser) {
    let route = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: \"{MARKUP}\", namespace: shop}}\nspec: {{rules: [{{name: \"{MARKUP}\"}}]}}\n"
    );
    mesh.write("route.yaml", &route);
    let markup = format!("document.getElementById('notices').textContent.includes({MARKUP:?})");
    browser.until("what is wrong is told as it is written", &markup).await;
    assert_eq!(browser.eval("document.images.length").await.unwrap(), 0);
    assert_eq!(browser.eval("document.title").await.unwrap(), "Weft");
    let danger = "document.querySelectorAll('#notices li.error, #notices li.warning').length > 0";
    browser.until("it is said to be wrong", danger).await;
    keep_picture(browser, "harm").await;
    mesh.remove("route.yaml");
}

/// Three hundred workloads that have to do with nobody, and are gone again.
async fn large_mesh(mesh: &Mesh, browser: &mut Browser) {
    let one = |number: usize| {
        format!(
            "apiVersion: weft.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {{name: w{number}, namespace: shop, labels: {{app: w{number}}}}}\n\
             spec: {{address: 10.0.{}.{}, meshed: false, serviceAccount: w, ports: [{{name: http, port: 8080}}]}}\n---\n",
            number / 250,
            number % 250 + 1
        )
    };
    mesh.write("many.yaml", &(0..MANY).map(one).collect::<String>());
    let all = format!("document.querySelectorAll('#graph .node').length === {MANY}");
    browser.until("all are drawn", &all).await;
    for (width, height) in [(1600, 1000), (390, 844)] {
        browser.resize(width, height).await;
        browser.until("it has that width", &format!("innerWidth === {width}")).await;
        assert_fits(browser).await;
        // A node can be read, and all of them are within a scroll or two.
        let size =
            "document.querySelector('#graph .node rect').getBoundingClientRect().width >= 90";
        browser.until("a node can be read", size).await;
        let page = "document.documentElement.scrollHeight / innerHeight < 5";
        browser.until("tables scroll by themselves", page).await;
        let map = "document.getElementById('map').offsetHeight / innerHeight < 1";
        browser.until("the graph is within the window", map).await;
        keep_picture(browser, &format!("{MANY}-{width}")).await;
    }
    let heap = browser.eval("performance.memory?.usedJSHeapSize ?? 0").await.unwrap();
    eprintln!(
        "dashboard: {MANY} workloads, {} KiB of scripts' heap",
        heap.as_u64().unwrap_or(0) >> 10
    );
    mesh.remove("many.yaml");
    browser
        .until(
            "they are gone",
            "document.querySelectorAll('#graph .node, #workloads tbody tr').length === 0",
        )
        .await;
    browser.until("the page is empty again", "!document.getElementById('empty').hidden").await;
}
