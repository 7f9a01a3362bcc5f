//! `weft authz`: what it says beforehand is what happens. Real sidecars, real control plane, the real command line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::harness::{Builder, Mesh, Output, TcpApp, eventually, get, http1, request, within};

const DEADLINE: Duration = Duration::from_secs(20);

/// A product, its gateway, and somebody else's batch job.
fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway").caller("batch")
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{spec}---\n"
    )
}

/// One call: by whom, and what.
#[derive(Clone, Copy, Debug)]
struct Call {
    by: &'static str,
    method: &'static str,
    path: &'static str,
    vip: bool,
}

const fn call(by: &'static str, method: &'static str, path: &'static str) -> Call {
    Call { by, method, path, vip: false }
}

/// `""` is somebody without a sidecar.
const CALLS: [Call; 9] = [
    call("gateway", "GET", "/carts/7"),
    call("gateway", "GET", "/carts/8?x=secret"),
    call("gateway", "POST", "/carts/7"),
    call("gateway", "GET", "/carts/../admin"),
    call("gateway", "GET", "/carts/7;v"),
    call("batch", "GET", "/carts/7"),
    call("batch", "DELETE", "/admin/users"),
    call("", "GET", "/carts/7"),
    Call { by: "gateway", method: "GET", path: "/carts/9", vip: true },
];

impl Call {
    fn to(self, mesh: &Mesh) -> SocketAddr {
        match self.by {
            "" => mesh.proxy("product-v1").inbound(),
            by => mesh.entry(by, "product"),
        }
    }

    /// The status.
    async fn make(self, mesh: &Mesh) -> u16 {
        let method: Method = self.method.parse().unwrap();
        let vip = [("x-vip", "1")];
        let headers: &[(&str, &str)] = if self.vip { &vip } else { &[] };
        let asked = request(method, self.path, headers, "");
        http1(self.to(mesh), asked).await.unwrap().status.as_u16()
    }
}

/// Every call a few times, the first ones more often. Returns statuses by number of call.
async fn traffic(mesh: &Mesh) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (index, one) in CALLS.into_iter().enumerate() {
        for _ in 0..CALLS.len() - index {
            statuses.push(one.make(mesh).await);
        }
    }
    statuses
}

async fn denied_by_rule(mesh: &Mesh, workload: &str) -> BTreeMap<String, u64> {
    let page = mesh.proxy(workload).metrics().await.unwrap();
    let line = |line: &str| {
        let rest = line.strip_prefix("weft_access_denied_total{rule=\"")?;
        let (rule, count) = rest.split_once("\"} ")?;
        Some((rule.to_owned(), count.trim().parse().ok()?))
    };
    page.lines().filter_map(line).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What a trial says would be denied, by rule; `none` where none allows. What is refused with 400 is told apart.
fn predicted(outcome: &Value) -> BTreeMap<String, u64> {
    let mut by_rule = BTreeMap::new();
    for row in list(&outcome["rows"]).iter().filter(|row| row["then"]["verdict"] == "denied") {
        let odd = row["then"]["why"].as_str().unwrap().contains("refused with 400");
        let rule = match (odd, row["then"]["rule"].as_str()) {
            (true, _) => "400",
            (false, rule) => rule.unwrap_or("none"),
        };
        *by_rule.entry(rule.to_owned()).or_insert(0) += row["requests"].as_u64().unwrap();
    }
    by_rule
}

async fn tried(mesh: &Mesh, policies: &str, more: &[&str]) -> Output {
    let file = mesh.config_dir().parent().unwrap().join("proposed.yaml");
    std::fs::write(&file, policies).unwrap();
    let file = file.to_string_lossy().into_owned();
    mesh.weft(&[&["authz", "--try", &file], more].concat()).await
}

/// Applies policies and waits until the gateway is answered so.
async fn applied(mesh: &Mesh, policies: &str, call: Call, status: u16) {
    mesh.write("applied.yaml", policies);
    eventually("the policies are in force", DEADLINE, async || {
        let found = call.make(mesh).await;
        ensure!(found == status, "{call:?}: {found}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_trial_predicts_what_is_then_enforced() {
    // By path, method, identity and source, and what nothing is about.
    let allow = "  selector: {matchLabels: {app: product}}\n  action: ALLOW\n  rules:\n  - name: carts\n    from: [{serviceAccounts: [gateway]}]\n    to: [{methods: [GET], paths: [{type: Template, value: '/carts/{id}'}]}]\n  - name: jobs\n    from: [{serviceAccounts: [batch]}]\n";
    let admin = "  action: DENY\n  rules: [{name: admin, to: [{paths: [{value: /admin}]}]}]\n";
    let source = "  action: DENY\n  rules: [{name: here, from: [{identities: ['*'], cidrs: [127.0.0.0/8]}], to: [{methods: [POST]}]}]\n";
    let far = "  action: DENY\n  rules: [{name: far, from: [{cidrs: [192.0.2.0/24]}]}]\n";
    for (policies, last) in [
        (policy("readers", allow) + &policy("admin", admin), 403),
        (policy("here", source) + &policy("far", far), 200),
    ] {
        let mesh = shop().start().await;
        let before = traffic(&mesh).await;
        assert!(before.iter().all(|status| *status == 200), "{before:?}");
        let output = tried(&mesh, &policies, &["-o", "json"]).await;
        let outcome = output.json();
        assert_eq!(output.code, Some(3), "{output:?}");
        assert_eq!(outcome["totals"]["requests"], before.len() as u64, "{outcome}");
        assert_eq!(outcome["totals"]["then"]["depends"], 0, "{outcome}");
        assert!(!output.stdout.contains("secret"), "no query is kept");
        let mut expected = predicted(&outcome);

        let probe = call("", "GET", "/carts/7");
        let first = Call { by: "gateway", method: "POST", ..probe };
        applied(&mesh, &policies, first, 403).await;
        assert_eq!(probe.make(&mesh).await, last);
        let counted = denied_by_rule(&mesh, "product-v1").await;
        let statuses = traffic(&mesh).await;
        let mut enforced = denied_by_rule(&mesh, "product-v1").await;
        enforced.iter_mut().for_each(|(rule, count)| *count -= counted.get(rule).unwrap_or(&0));
        enforced.retain(|_, count| *count > 0);
        let odd = statuses.iter().filter(|status| **status == 400).count() as u64;
        let denied = statuses.iter().filter(|status| **status == 403).count() as u64;
        assert_eq!(expected.remove("400").unwrap_or(0), odd, "{outcome}");
        assert_eq!(expected, enforced, "by rule");
        assert_eq!(expected.values().sum::<u64>(), denied, "as the callers are told");
        println!("{} calls: {odd} refused, denied by rule: {expected:?}", before.len());
        // What was denied was seen too, and what is in force now changes nothing.
        let again = tried(&mesh, &policies, &["-o", "json"]).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(again.json()["concerned"], serde_json::json!([]));
    }
}

#[tokio::test]
async fn what_depends_on_headers_is_said_to_depend() {
    let mesh = shop().start().await;
    let calls = traffic(&mesh).await.len() as u64;
    let vip = "  action: DENY\n  rules: [{name: vip, from: [{serviceAccounts: [gateway]}], to: [{methods: [GET], headers: [{name: x-vip, type: Present}]}]}]\n";
    let output = tried(&mesh, &policy("vip", vip), &["-o", "json"]).await;
    let totals = &output.json()["totals"];
    // The gateway's GETs: of them one really has the header.
    let unsure = 9 + 8 + 6 + 5 + 1;
    assert_eq!((&totals["requests"], &totals["may_be_denied"]), (&calls.into(), &unsure.into()));
    assert_eq!((&totals["newly_denied"], output.code), (&0.into(), Some(3)));
    let table = tried(&mesh, &policy("vip", vip), &[]).await;
    assert!(table.stdout.contains("`action: AUDIT`"), "{table:?}");
    assert!(table.stdout.contains("depends on headers"), "{table:?}");
}

#[tokio::test]
async fn opaque_connections_are_tried_too() {
    let mesh =
        Mesh::builder().without_app("db", "tcp").caller("gateway").caller("batch").start().await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let by_batch = AtomicU64::new(0);
    let connect = async |caller: &str| -> Result<bool> {
        by_batch.fetch_add(u64::from(caller == "batch"), Relaxed);
        // It may be over before it is known here that it was begun.
        let Ok(mut stream) = TcpStream::connect(mesh.entry(caller, "db")).await else {
            return Ok(false);
        };
        let mut greeting = vec![0; TcpApp::GREETING.len()];
        Ok(within("the greeting", DEADLINE, stream.read_exact(&mut greeting)).await.is_ok())
    };
    for _ in 0..3 {
        assert!(connect("gateway").await.unwrap() && connect("batch").await.unwrap());
    }
    let spec = "  action: ALLOW\n  rules: [{name: own, from: [{serviceAccounts: [gateway]}]}]\n";
    let output = tried(&mesh, &policy("gateway-only", spec), &["-o", "json"]).await;
    let outcome = output.json();
    let db: Vec<&Value> =
        list(&outcome["rows"]).iter().filter(|row| row["opaque"] == true).collect();
    assert_eq!(db.len(), 2, "{outcome}");
    assert_eq!((&db[0]["change"], &db[0]["requests"]), (&"denied".into(), &3.into()));
    assert_eq!((&db[1]["change"], &db[1]["requests"]), (&"same".into(), &3.into()));
    mesh.write("applied.yaml", &policy("gateway-only", spec));
    eventually("the policy is in force", DEADLINE, async || {
        ensure!(!connect("batch").await?, "batch is let in");
        Ok(())
    })
    .await;
    let counted = denied_by_rule(&mesh, "db-v1").await;
    for _ in 0..3 {
        assert!(connect("gateway").await.unwrap());
        assert!(!connect("batch").await.unwrap());
    }
    let enforced = denied_by_rule(&mesh, "db-v1").await;
    // The first that failed may have been one that was let in and ended by the policy, which is no denial.
    assert_eq!(enforced["none"] - counted.get("none").unwrap_or(&0), 3);
    // Refused, and seen: to let batch in again would let in all that it ever asked for.
    let output =
        mesh.weft(&["authz", "--delete", "AccessPolicy/shop/gateway-only", "-o", "json"]).await;
    let outcome = output.json();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(outcome["totals"]["newly_allowed"], by_batch.load(Relaxed), "{outcome}");
}

#[tokio::test]
async fn reach_is_what_sidecars_do() {
    let allow = "  selector: {matchLabels: {app: product}}\n  action: ALLOW\n  rules:\n  - name: carts\n    from: [{serviceAccounts: [gateway]}]\n    to: [{methods: [GET], paths: [{value: /carts}]}]\n  - name: health\n    to: [{paths: [{type: Exact, value: /health}]}]\n";
    let deny = "  action: DENY\n  rules: [{name: admin, to: [{paths: [{value: /carts/admin}]}]}]\n";
    let policies = policy("readers", allow) + &policy("admin", deny);
    let mesh = shop().file("access.yaml", &policies).start().await;
    for (method, path) in [
        ("GET", "/carts/7"),
        ("POST", "/carts/7"),
        ("GET", "/carts/admin/x"),
        ("GET", "/health"),
        ("GET", "/carts/%2e%2E/health"),
        ("GET", "/"),
    ] {
        for by in ["gateway", "batch", ""] {
            let status = call(by, method, path).make(&mesh).await;
            let from = if by.is_empty() { "nobody".to_owned() } else { format!("shop/{by}") };
            let asked = format!("{method} {path}");
            let output = mesh
                .weft(&[
                    "authz",
                    "--from",
                    &from,
                    "--to",
                    "product.shop",
                    "--request",
                    &asked,
                    "-o",
                    "json",
                ])
                .await;
            let answer = output.json();
            let verdict = if status == 200 { "allowed" } else { "denied" };
            let port = list(&answer["rows"]).iter().find(|row| row["port"] != 0).unwrap();
            assert_eq!(port["verdict"], verdict, "{from} {asked}: {status}, {answer}");
            assert_eq!(output.code, Some(if status == 200 { 0 } else { 3 }), "{output:?}");
        }
    }
    let table = mesh.weft(&["authz", "--to", "product.shop"]).await;
    assert_eq!(table.code, Some(0), "{table:?}");
    for expected in
        ["shop/gateway", "(no identity)", "depends on", "AccessPolicy/shop/readers#carts"]
    {
        assert!(table.stdout.contains(expected), "no {expected} in:\n{}", table.stdout);
    }
    assert!(!table.stdout.contains('\u{1b}'), "no colours into a pipe");
    let everything = mesh.weft(&["authz"]).await;
    assert!(everything.stdout.contains("product.shop:"), "{everything:?}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    let mesh = shop().start().await;
    let broken = policy("broken", "  action: ALLOW\n  rules: [{from: [{namespace: shop}]}]\n");
    let output = tried(&mesh, &broken, &[]).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    for expected in
        ["proposed.yaml:6", "spec.rules[0].from[0].namespace", "fix:", "nothing was tried"]
    {
        assert!(output.stdout.contains(expected), "no {expected} in:\n{}", output.stdout);
    }
    for (args, expected) in [
        (&["--to", "prodcut.shop"][..], "no workload is called"),
        (&["--from", "gateway"], "write namespace/account"),
        (&["--delete", "AccessPolicy/shop/none"], "there is no AccessPolicy/shop/none in force"),
        (&["--try", "/nowhere.yaml"], "cannot read"),
    ] {
        let output = mesh.weft(&[&["authz"], args].concat()).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(expected), "{args:?}: {output:?}");
    }
    let other = tried(&mesh, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", &[]).await;
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(other.stderr.contains("nothing is proposed"), "{other:?}");
}

#[tokio::test]
async fn a_sidecar_that_does_not_answer_is_named() {
    let mesh = shop().start().await;
    get(mesh.entry("gateway", "product"), "/").await.unwrap();
    let sidecar = mesh.proxy("product-v1");
    sidecar.process().signal(Signal::SIGSTOP);
    let deny = policy(
        "closed",
        "  selector: {matchLabels: {app: product}}\n  action: DENY\n  rules: [{}]\n",
    );
    let output = tried(&mesh, &deny, &[]).await;
    sidecar.process().signal(Signal::SIGCONT);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("0 of 1 sidecars concerned have answered"), "{output:?}");
    assert!(
        output.stdout.contains("product-v1.shop: its sidecar did not answer in time"),
        "{output:?}"
    );
    eventually("it answers again", DEADLINE, async || {
        let output = tried(&mesh, &deny, &["-o", "json"]).await;
        ensure!(output.json()["totals"]["newly_denied"] == 1, "{output:?}");
        Ok(())
    })
    .await;
}
