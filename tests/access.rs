//! AccessPolicy: who may do what, enforced by the receiving sidecar; what is denied says why, and what is revoked ends.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{
    Answer, Builder, Mesh, TcpApp, eventually, get, head, http1, http2, request, within,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A product, its gateway, and somebody else's batch job.
fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway").caller("batch")
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{spec}"
    )
}

/// The gateway may read carts.
const READERS: &str = "  selector: {matchLabels: {app: product}}\n  action: ALLOW\n  rules:\n  - name: carts\n    from: [{serviceAccounts: [gateway]}]\n    to: [{methods: [GET], paths: [{type: Template, value: '/carts/{id}'}]}]\n";

async fn asked(to: SocketAddr, method: Method, path: &str) -> Answer {
    http1(to, request(method, path, &[], "")).await.unwrap()
}

async fn becomes(what: &str, is_so: impl AsyncFn() -> Result<bool>) {
    eventually(what, DEADLINE, async || {
        ensure!(is_so().await?, "it is not so");
        Ok(())
    })
    .await;
}

fn why(answer: &Answer) -> String {
    answer.header("proxy-status").to_owned()
}

#[tokio::test]
async fn what_no_rule_allows_is_denied_and_the_nearest_miss_is_named() {
    let mesh = shop().file("access.yaml", &policy("readers", READERS)).start().await;
    let [gateway, batch] = ["gateway", "batch"].map(|caller| mesh.entry(caller, "product"));
    let answer = asked(gateway, Method::GET, "/carts/7").await;
    assert_eq!(answer.status, 200, "{}", why(&answer));
    for (to, method, path, said) in [
        (gateway, Method::POST, "/carts/7", "AccessPolicy/shop/readers#carts wants method GET"),
        (gateway, Method::GET, "/carts/7/items", "wants path /carts/{id}"),
        (gateway, Method::GET, "/carts/../admin", "wants path /carts/{id}"),
        (batch, Method::GET, "/carts/7", "wants identity spiffe://mesh.test/ns/shop/sa/gateway"),
    ] {
        let before = mesh.app("product-v1").count();
        let answer = asked(to, method, path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(why(&answer).contains("error=http_request_denied"), "{path}: {}", why(&answer));
        assert!(why(&answer).contains(said), "{path}: {}", why(&answer));
        assert_eq!(mesh.app("product-v1").count(), before, "the application hears nothing of it");
    }
    let ambiguous = asked(gateway, Method::GET, "/carts/7;x").await;
    assert_eq!(ambiguous.status, 400);
    // Who has no identity is told nothing of the rules.
    let inbound = mesh.proxy("product-v1").inbound();
    let stranger = http2(inbound, request(Method::GET, "/carts/7", &[], "")).await.unwrap();
    assert_eq!(stranger.status, 403);
    assert!(!why(&stranger).contains("readers"), "{}", why(&stranger));
    assert!(!String::from_utf8_lossy(&stranger.body).contains("readers"));
    becomes("every denial is told, of callers without an identity too", async || {
        let log = mesh.proxy("product-v1").process().log();
        let told = log.lines().filter(|line| line.contains("access denied"));
        let named = log.contains("readers#carts wants method GET");
        Ok(named && told.count() >= 5)
    })
    .await;
    becomes("every denial is counted", async || {
        let none = ["rule=\"none\""];
        Ok(mesh.proxy("product-v1").metric("weft_access_denied_total", &none).await? >= 5.0)
    })
    .await;
}

/// A sidecar counts so many denials by this rule.
async fn is_denied(mesh: &Mesh, workload: &str, rule: &str, count: f64) {
    becomes("it is counted", async || {
        let counted = mesh.proxy(workload).metric("weft_access_denied_total", &[rule]).await?;
        ensure!(counted == count, "{workload}: {counted} of {count}");
        Ok(true)
    })
    .await;
}

/// Lines of the access log of a sidecar about denials.
fn denials(mesh: &Mesh, workload: &str) -> Vec<serde_json::Value> {
    let log = mesh.proxy(workload).process().log();
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &serde_json::Value| line["denied_by"].is_string()).collect()
}

#[tokio::test]
async fn every_denial_names_its_reason_in_log_metric_and_to_the_mesh() {
    let deny = "  selector: {matchLabels: {app: product}}\n  action: DENY\n  rules: [{name: admin, to: [{paths: [{value: /admin}]}]}]\n";
    let policies = policy("readers", READERS) + "---\n" + &policy("closed", deny);
    let mesh = shop()
        .without_app("db", "tcp")
        .file("access.yaml", &policies)
        .file("db.yaml", &policy("own", "  selector: {matchLabels: {app: db}}\n  action: ALLOW\n  rules: [{name: own, from: [{serviceAccounts: [gateway]}]}]\n"))
        .proxy_args(&["--access-log", "errors"])
        .start()
        .await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let (gateway, inbound) = (mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound());
    // It may be over before it is known here that it was begun.
    if let Ok(mut opaque) = TcpStream::connect(mesh.entry("batch", "db")).await {
        let ended = within("the end", DEADLINE, opaque.read(&mut [0; 1])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    let none = "no rule allows it; AccessPolicy/shop/readers#carts wants method GET";
    let admin = "denied by AccessPolicy/shop/closed#admin";
    let own = "no rule allows it; AccessPolicy/shop/own#own wants identity";
    for (path, rule, reason) in
        [("/carts/7", "none", none), ("/admin", "AccessPolicy/shop/closed#admin", admin)]
    {
        let answer = asked(gateway, Method::POST, path).await;
        assert!(answer.status == 403 && why(&answer).contains(reason), "{}", why(&answer));
        let stranger = asked(inbound, Method::POST, path).await;
        assert_eq!(stranger.status, 403);
        assert!(!why(&stranger).contains("AccessPolicy"), "{}", why(&stranger));
        let labels = format!("rule=\"{rule}\"");
        is_denied(&mesh, "product-v1", &labels, 2.0).await;
    }
    is_denied(&mesh, "db-v1", "rule=\"none\"", 1.0).await;
    for (workload, reason, count) in
        [("product-v1", "no rule allows it", 2), ("product-v1", admin, 2), ("db-v1", own, 1)]
    {
        becomes("log and access log have it", async || {
            let log = mesh.proxy(workload).process().log();
            let told =
                log.lines().filter(|line| line.contains("access denied") && line.contains(reason));
            let lines = denials(&mesh, workload);
            let about =
                lines.iter().filter(|line| line["denial"].as_str().unwrap().starts_with(reason));
            Ok(about.count() >= count && told.count() >= count)
        })
        .await;
    }
    let of_db = &denials(&mesh, "db-v1")[0];
    assert_eq!((&of_db["protocol"], &of_db["denied_by"]), (&"tcp".into(), &"none".into()));
    assert_eq!((&of_db["error"], &of_db["mtls"]), (&"http_request_denied".into(), &true.into()));
}

#[tokio::test]
async fn policies_change_under_way_and_deny_counts_first() {
    let mesh = shop().start().await;
    let gateway = mesh.entry("gateway", "product");
    assert_eq!(get(gateway, "/").await.unwrap().status, 200, "everything is allowed by default");
    let deny = policy(
        "no-admin",
        "  action: DENY\n  rules:\n  - to: [{paths: [{value: /admin}, {value: /@root}, {value: /caf%C3%A9}]}]\n  - {from: [{cidrs: ['::ffff:127.0.0.0/104']}], to: [{paths: [{value: /mapped}]}]}\n  - to: [{headers: [{name: x-forwarded-client-cert, type: Exact, value: forged}]}]\n",
    );
    mesh.write("deny.yaml", &deny);
    becomes("the policy", async || {
        Ok(asked(gateway, Method::GET, "/admin/users").await.status == 403)
    })
    .await;
    assert_eq!(get(gateway, "/administrators").await.unwrap().status, 200);
    // One path in another spelling, one network in another.
    for path in ["/@root", "/%40root", "/caf%c3%A9", "/mapped"] {
        assert_eq!(get(gateway, path).await.unwrap().status, 403, "{path}");
    }
    // What the mesh says of a caller no caller says.
    let forged = [("x-forwarded-client-cert", "forged")];
    let inbound = mesh.proxy("product-v1").inbound();
    let answer = http1(inbound, request(Method::GET, "/", &forged, "")).await.unwrap();
    assert_eq!(answer.status, 200, "rules judge what the application gets");
    let answer = asked(gateway, Method::GET, "/admin").await;
    assert!(why(&answer).contains("AccessPolicy/shop/no-admin#0"), "{}", why(&answer));
    mesh.write("allow.yaml", &policy("all", "  action: ALLOW\n  rules: [{}]\n"));
    mesh.write(
        "audit.yaml",
        &policy("watch", "  action: AUDIT\n  rules: [{to: [{methods: [GET]}]}]\n"),
    );
    becomes("the audit", async || {
        get(gateway, "/").await?;
        let rule = "rule=\"AccessPolicy/shop/watch#0\"";
        let told = mesh.proxy("product-v1").metric("weft_access_audited_total", &[rule]).await?;
        Ok(told >= 1.0)
    })
    .await;
    assert_eq!(get(gateway, "/admin").await.unwrap().status, 403, "DENY counts before ALLOW");
    assert_eq!(get(gateway, "/").await.unwrap().status, 200, "AUDIT decides nothing");
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_closes_what_it_selects() {
    let broken = "  selector: {matchLabels: {app: product}}\n  action: ALLOW\n  rules: [{from: [{namespace: shop}]}]\n";
    let mesh = shop().file("access.yaml", &policy("broken", broken)).start().await;
    let gateway = mesh.entry("gateway", "product");
    let answer = asked(gateway, Method::GET, "/").await;
    assert_eq!(answer.status, 403);
    assert!(why(&answer).contains("AccessPolicy/shop/broken#unreadable"), "{}", why(&answer));
    mesh.write(
        "access.yaml",
        &policy("broken", &broken.replace("{namespace: shop}", "{namespaces: [shop]}")),
    );
    becomes("the mended policy", async || Ok(get(gateway, "/").await?.status == 200)).await;
    let default = "apiVersion: weft.dev/v1alpha1\nkind: InboundPolicy\nmetadata: {name: d, namespace: shop}\nspec: {defaultAccess: denied}\n";
    let all = policy("all", "  action: ALLOW\n  rules: [{}]\n");
    mesh.remove("access.yaml");
    for (text, said) in [
        (policy("empty", "  action: ALLOW\n  rules:\n  - from:\n"), "empty#unreadable"),
        (all.replace("name: all, ", ""), "other.yaml:1#unreadable"),
        (all.replace("[{}]", "[{]"), "all#unreadable"),
        (all.replace("v1alpha1", "v2"), "all#unreadable"),
        (default.to_owned(), "no rule allows it, for there is none"),
    ] {
        mesh.write("other.yaml", &text);
        becomes(said, async || Ok(why(&get(gateway, "/").await?).contains(said))).await;
        mesh.remove("other.yaml");
        becomes("nothing is closed", async || Ok(get(gateway, "/").await?.status == 200)).await;
    }
}

#[tokio::test]
async fn the_default_is_changed_while_it_runs() {
    let mesh = shop().start().await;
    let gateway = mesh.entry("gateway", "product");
    let inbound = mesh.proxy("product-v1").inbound();
    let both = async || {
        let statuses = (get(gateway, "/").await?.status, get(inbound, "/").await?.status);
        anyhow::Ok((statuses.0.as_u16(), statuses.1.as_u16()))
    };
    assert_eq!(both().await.unwrap(), (200, 200));
    for (default, expected) in [
        ("allow-mesh", (200, 403)),
        ("deny", (403, 403)),
        ("allow-same-namespace", (200, 403)),
        ("allow-all", (200, 200)),
    ] {
        let policy = format!(
            "apiVersion: weft.dev/v1alpha1\nkind: InboundPolicy\nmetadata: {{name: d, namespace: shop}}\nspec: {{defaultAccess: {default}}}\n"
        );
        mesh.write("default.yaml", &policy);
        becomes(default, async || Ok(both().await? == expected)).await;
    }
    // Who has no identity does not stay where one is needed.
    let mut kept = TcpStream::connect(inbound).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answered = within("an answer", DEADLINE, head(&mut kept)).await.unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    let strict = "apiVersion: weft.dev/v1alpha1\nkind: InboundPolicy\nmetadata: {name: d, namespace: shop}\nspec: {mtls: STRICT}\n";
    mesh.write("default.yaml", strict);
    let mut rest = Vec::new();
    // Reset or closed, it is over.
    let _ = within("its end", DEADLINE, kept.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn an_open_connection_ends_within_a_second_when_it_is_revoked() {
    let mesh =
        Mesh::builder().without_app("db", "tcp").caller("gateway").caller("batch").start().await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let mut open = Vec::new();
    for caller in ["gateway", "batch"] {
        let mut stream = TcpStream::connect(mesh.entry(caller, "db")).await.unwrap();
        let mut greeting = vec![0; TcpApp::GREETING.len()];
        within("the greeting", DEADLINE, stream.read_exact(&mut greeting)).await.unwrap();
        open.push(stream);
    }
    let spec = "  action: ALLOW\n  rules: [{from: [{serviceAccounts: [gateway]}]}]\n";
    mesh.write("access.yaml", &policy("gateway-only", spec));
    let [gateway, batch] = &mut open[..] else { panic!("two callers") };
    let mut rest = [0; 1];
    let ended = within("the end", DEADLINE, batch.read(&mut rest)).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    gateway.write_all(b"again").await.unwrap();
    let mut said = [0; 5];
    gateway.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"again", "who is allowed goes on");
}
