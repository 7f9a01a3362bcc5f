//! `weft dashboard` in a real browser, at three widths: what it shows is what `weft stat -o json` says, it is worked by
//! keyboard, it loads nothing that its policy forbids, and it answers nobody but itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Method;
use serde_json::Value;

use crate::harness::{
    Act, Browser, Mesh, Process, Program, binary, eventually, get, http1, request,
};

const SOON: Duration = Duration::from_secs(20);
/// Requests, of which a tenth fails.
const REQUESTS: usize = 40;

/// A running `weft dashboard`, and where it is.
struct Dashboard {
    _process: Process,
    url: String,
}

impl Dashboard {
    async fn start(mesh: &Mesh) -> Self {
        let process = Process::start(Program {
            name: "weft dashboard".to_owned(),
            path: binary("weft"),
            args: ["dashboard", "--port", "0", "-o", "json"].iter().map(Into::into).collect(),
            variables: vec![("XDG_RUNTIME_DIR".to_owned(), mesh.run_root())],
            log: mesh.config_dir().with_file_name("dashboard.log"),
        })
        .unwrap();
        let url = eventually("it says where it is", SOON, async || {
            process.pid()?;
            let said: Value = serde_json::from_str(&process.log())?;
            Ok(said["url"].as_str().context("a URL")?.to_owned())
        })
        .await;
        Self { _process: process, url }
    }
}

/// A mesh whose requests have been made and counted: figures of all time do not change any more.
async fn quiet() -> (Mesh, Value) {
    let mesh = Mesh::builder().service("product", &["v1", "v2"]).caller("gateway").start().await;
    for version in ["product-v1", "product-v2"] {
        mesh.app(version)
            .script(|seen| if seen.path == "/bad" { Act::Status(503) } else { Act::Echo });
    }
    for number in 0..REQUESTS {
        let path = if number % 10 == 0 { "/bad" } else { "/" };
        get(mesh.entry("gateway", "product"), path).await.unwrap();
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

/// What a table shows, one object a row: `data-id`, and the value of each field.
const TABLE: &str =
    "[...document.querySelectorAll('#TABLE tbody tr')].map(row => Object.fromEntries(
    [['id', row.dataset.id], ...[...row.querySelectorAll('td[data-field]')].map(cell =>
        [cell.dataset.field, cell.dataset.value === '' ? null : Number(cell.dataset.value)])]))";

/// The rows of a table are those of the answer. The rate is not compared: the time that it is of goes on.
async fn assert_shows(
    browser: &mut Browser,
    table: &str,
    rows: &Value,
    id: impl Fn(&Value) -> String,
) {
    let shown = browser.eval(&TABLE.replace("TABLE", table)).await.unwrap();
    let (shown, rows) = (shown.as_array().unwrap(), rows.as_array().unwrap());
    assert_eq!(shown.len(), rows.len(), "{table}: {shown:?}");
    for row in rows {
        let one = shown.iter().find(|shown| shown["id"] == *id(row));
        let one = one.unwrap_or_else(|| panic!("{table} lacks {}: {shown:?}", id(row)));
        for field in ["success_rate", "p50_ms", "p99_ms", "retries", "mtls_share", "requests"] {
            let (is, says) = (one[field].as_f64(), row[field].as_f64());
            assert_eq!(is, says, "{table}, {}: {field}", id(row));
        }
    }
}

fn pictures() -> PathBuf {
    let directory = binary("weft").with_file_name("pictures");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn edge_id(edge: &Value) -> String {
    let name = |name: &str, namespace: &str| match (edge[name].as_str(), edge[namespace].as_str()) {
        (Some(name), Some(namespace)) if !namespace.is_empty() => format!("{name}.{namespace}"),
        (name, _) => name.unwrap_or_default().to_owned(),
    };
    format!("{} → {}", name("source", "source_namespace"), name("destination", "namespace"))
}

#[tokio::test]
async fn what_the_page_shows_is_what_stat_says_at_every_width() {
    let (mesh, stat) = quiet().await;
    let dashboard = Dashboard::start(&mesh).await;
    let Some(mut browser) = Browser::open(&format!("{}/?window=all", dashboard.url)).await else {
        return;
    };
    browser.until("it shows figures", "document.body.dataset.shown === 'true'").await;
    for (width, height, scheme) in [(390, 844, "light"), (900, 900, "dark"), (1600, 1000, "light")]
    {
        browser.resize(width, height).await;
        browser.prefer(scheme).await;
        browser.until("it has that width", &format!("innerWidth === {width}")).await;
        assert_shows(&mut browser, "workloads", &stat["workloads"], |row| {
            row["workload"].as_str().unwrap().to_owned()
        })
        .await;
        assert_shows(&mut browser, "edges", &stat["edges"], edge_id).await;
        let overflow =
            "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(
            browser.eval(overflow).await.unwrap(),
            0,
            "it is as wide as the window, {width}"
        );
        let nodes = browser.eval("document.querySelectorAll('#graph .node').length").await.unwrap();
        assert_eq!(nodes, 2, "gateway and product");
        let drawn = "(() => { const edge = document.querySelector('#graph .edge'); return [edge.classList.contains('poor'),
            edge.dataset.mtls, edge.querySelector('use').getAttribute('href')]; })()";
        let drawn = browser.eval(drawn).await.unwrap();
        assert_eq!(
            drawn,
            serde_json::json!([true, "1", "#locked"]),
            "a tenth fails, over mutual TLS"
        );
        let picture = pictures().join(format!("dashboard-{width}-{scheme}.png"));
        std::fs::write(&picture, browser.picture().await).unwrap();
        eprintln!("picture: {}", picture.display());
    }
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[tokio::test]
async fn nodes_and_edges_are_opened_and_closed_by_keyboard() {
    let (mesh, _) = quiet().await;
    let dashboard = Dashboard::start(&mesh).await;
    let Some(mut browser) = Browser::open(&format!("{}/?window=all", dashboard.url)).await else {
        return;
    };
    browser.resize(1280, 900).await;
    browser.until("it shows figures", "document.body.dataset.shown === 'true'").await;
    for (id, words) in [
        (
            "product.shop",
            &["Routes in use", "product-v1.shop", "spiffe://mesh.test/ns/shop/sa/product", "left"]
                [..],
        ),
        ("gateway.shop → product.shop", &["Failed and slow requests", "success", "90.0 %"]),
    ] {
        browser.until("it can be reached", &format!("(() => {{ const one = document.querySelector('[data-id=\"{id}\"][role=button]');
            one?.focus(); return document.activeElement === one; }})()")).await;
        browser.press("Enter", 13).await;
        browser.until("the panel is open", "!document.getElementById('panel').hidden").await;
        for word in words {
            let shows = format!("document.getElementById('panel').textContent.includes({word:?})");
            browser.until(&format!("the panel of {id} says {word}"), &shows).await;
        }
        if id.contains('→') {
            browser
                .until(
                    "failed requests are listed",
                    "document.querySelectorAll('#panel tbody tr').length >= 4",
                )
                .await;
        }
        browser.press("Escape", 27).await;
        browser.until("the panel is closed", "document.getElementById('panel').hidden").await;
        let focused = browser.eval("document.activeElement.dataset.id").await.unwrap();
        assert_eq!(focused, id, "focus is where it was");
    }
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[tokio::test]
async fn it_answers_its_own_page_and_nobody_else() {
    let mesh = Mesh::builder().start().await;
    let dashboard = Dashboard::start(&mesh).await;
    let address = dashboard.url.strip_prefix("http://").unwrap();
    let to = address.parse().unwrap();
    for (method, path, headers, status) in [
        (Method::GET, "/", &[("host", address)][..], 200),
        (Method::GET, "/app.js", &[("host", address)], 200),
        (Method::GET, "/", &[("host", "evil.example")], 403),
        (Method::GET, "/api/events", &[("host", "evil.example")], 403),
        (Method::GET, "/", &[("host", address), ("sec-fetch-site", "cross-site")], 403),
        (Method::GET, "/", &[("host", address), ("origin", "http://evil.example")], 403),
        (Method::POST, "/", &[("host", address)], 403),
        (Method::GET, "/nothing", &[("host", address)], 404),
        (Method::GET, "/api/events?window=x", &[("host", address)], 400),
    ] {
        let answer = http1(to, request(method.clone(), path, headers, "")).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
}
