//! The mark: twenty faults. What is known of each is what its answer carries.

use std::time::Duration;

use anyhow::ensure;
use rcgen::date_time_ymd;

use super::{Expected, expected, explained, scene};
use crate::harness::{Answer, Forger, Mesh, TcpApp, TlsApp, eventually, get};

const DEADLINE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
/// So many of twenty.
const MARK: usize = 19;

/// A fault, the request that it failed, and what ought to be said.
struct Seeded {
    what: &'static str,
    answer: Answer,
    expected: Expected,
}

/// Requests to the gateway's sidecar.
struct Seeding<'a> {
    mesh: &'a Mesh,
    all: Vec<Seeded>,
}

impl Seeding<'_> {
    async fn ask(&self, service: &str, path: &str) -> Answer {
        get(self.mesh.entry("gateway", service), path).await.unwrap()
    }

    async fn add(&mut self, what: &'static str, (service, path): (&str, &str), expected: Expected) {
        let answer = self.ask(service, path).await;
        self.note(what, answer, expected);
    }

    fn note(&mut self, what: &'static str, answer: Answer, expected: Expected) {
        assert!(!answer.status.is_success(), "{what}: {answer:?}");
        self.all.push(Seeded { what, answer, expected });
    }
}

#[tokio::test]
async fn twenty_faults_are_named_from_what_the_answer_carries() {
    let (mesh, other) = tokio::join!(scene::shop().start(), Mesh::builder().start());
    scene::script(&mesh);
    let _mismatch = TcpApp::greeting(mesh.app_address("mismatch-v1")).await.unwrap();
    let impostors = impostors(&mesh, &other).await;
    let mut seeding = Seeding { mesh: &mesh, all: Vec::new() };
    of_configuration(&mut seeding).await;
    of_limits(&mut seeding).await;
    of_identity(&mut seeding).await;
    of_the_application(&mut seeding).await;
    let mut right = 0;
    let mut said = Vec::new();
    for seeded in &seeding.all {
        said.push(judge(&mesh, seeded).await);
    }
    drop(impostors);
    said.push(of_yesterday().await);
    let all = said.len();
    for (is_right, line) in &said {
        right += usize::from(*is_right);
        println!("{line}");
    }
    println!("{right} of {all} faults named rightly");
    assert_eq!(all, 20);
    assert!(right >= MARK, "{right} of {all}");
}

/// Is it named rightly, and what is said of it?
async fn judge(mesh: &Mesh, seeded: &Seeded) -> (bool, String) {
    let Seeded { what, answer, expected } = seeded;
    let (right, said) = explained(mesh, answer, *expected).await;
    let mark = if right { "right" } else { "WRONG" };
    (right, format!("{mark}  {what:<22} {:<4} {said}", answer.status.as_u16()))
}

async fn of_configuration(seeding: &mut Seeding<'_>) {
    let service = |name| expected("no-endpoints", "configuration", name);
    seeding.add("no endpoints", ("empty", "/"), service("Service/shop/empty")).await;
    let wrong = expected("wrong-port", "configuration", "Service/shop/wrong");
    seeding.add("wrong port", ("wrong", "/"), wrong).await;
    let route = expected("no-route", "configuration", "HTTPRoute/shop/product");
    seeding.add("no route matches", ("product", "/elsewhere"), route).await;
    let missing = expected("backend-missing", "configuration", "HTTPRoute/shop/product#missing");
    seeding.add("backend missing", ("product", "/missing"), missing).await;
    let denied = expected("denied", "configuration", "AccessPolicy/shop/admin#admin");
    seeding.add("denied by policy", ("product", "/admin"), denied).await;
    let mismatch = expected("protocol-mismatch", "configuration", "Service/shop/mismatch");
    seeding.add("protocol mismatch", ("mismatch", "/"), mismatch).await;
    let entry = seeding.mesh.entry("gateway", "plain");
    let plain = eventually("the plain one is called", DEADLINE, async || {
        let answer = get(entry, "/").await?;
        let why = answer.header("proxy-status");
        ensure!(!why.contains("destination_unavailable"), "{why}");
        Ok(answer)
    });
    let plain = plain.await;
    let strict = expected("plaintext-refused", "configuration", "MeshConfig/weft-system/default");
    seeding.note("plaintext in STRICT", plain, strict);
}

async fn of_limits(seeding: &mut Seeding<'_>) {
    let held = tokio::spawn(get(seeding.mesh.entry("gateway", "limit"), "/hold"));
    let app = seeding.mesh.app("limit-v1");
    eventually("one is held", DEADLINE, async || {
        ensure!(app.count() == 1, "{}", app.count());
        Ok(())
    })
    .await;
    let limit = expected("limit-reached", "configuration", "TrafficPolicy/shop/limit");
    seeding.add("limit reached", ("limit", "/"), limit).await;
    held.abort();
    assert_eq!(seeding.ask("rate", "/").await.status, 200);
    let rate = expected("rate-limited", "caller", "InboundPolicy/shop/rate");
    seeding.add("rate limited", ("rate", "/"), rate).await;
    let tries = expected("try-timeout", "application", "HTTPRoute/shop/product#try");
    seeding.add("per-try timeout", ("product", "/try"), tries).await;
    let all = expected("request-timeout", "application", "HTTPRoute/shop/product#all");
    seeding.add("total timeout", ("product", "/all"), all).await;
    let budget = expected("retry-budget-empty", "application", "TrafficPolicy/shop/budget");
    // What a budget has saved is spent first.
    for _ in 0..20 {
        seeding.ask("budget", "/").await;
    }
    seeding.add("retry budget empty", ("budget", "/"), budget).await;
}

async fn of_identity(seeding: &mut Seeding<'_>) {
    let of = |fault, object| expected(fault, "mesh", object);
    let expired = of("certificate-expired", "certificate of expired-v1.shop");
    seeding.add("expired certificate", ("expired", "/"), expired).await;
    let stranger = of("untrusted-root", "certificate of stranger-v1.shop");
    seeding.add("untrusted root", ("stranger", "/"), stranger).await;
    let impostor = of("wrong-identity", "certificate of impostor-v1.shop");
    seeding.add("wrong identity", ("impostor", "/"), impostor).await;
}

async fn of_the_application(seeding: &mut Seeding<'_>) {
    let of = |fault, object| expected(fault, "application", object);
    let refused = of("application-refused", "refused-v1.shop");
    seeding.add("app refused", ("refused", "/"), refused).await;
    let reset = of("application-reset", "product-v1.shop");
    seeding.add("app reset", ("product", "/close"), reset).await;
    let fails = of("application-error", "product-v1.shop");
    seeding.add("app 503", ("product", "/fail"), fails).await;
    // The first ones eject one endpoint each.
    for _ in 0..4 {
        seeding.ask("flaky", "/").await;
    }
    let ejected = of("all-ejected", "Service/shop/flaky");
    seeding.add("all ejected", ("flaky", "/"), ejected).await;
}

/// Three servers in the place of sidecars: each shows a certificate that is wrong in one way.
async fn impostors(mesh: &Mesh, other: &Mesh) -> Vec<TlsApp> {
    let authority = mesh.control_plane().authority();
    let bundle = authority.bundle();
    let [ours, theirs] = [mesh.control_plane(), other.control_plane()].map(Forger::of);
    let id = |name: &str| mesh.id(name).as_str().to_owned();
    let shown = [
        ("expired", ours.leaf(&id("expired"), |leaf| leaf.not_after = date_time_ymd(2020, 2, 1))),
        ("stranger", theirs.leaf(&id("stranger"), |_| {})),
        ("impostor", ours.leaf(&id("gateway"), |_| {})),
    ];
    let mut servers = Vec::new();
    for (name, forged) in shown {
        let good = mesh.leaf(name, HOUR);
        let address = mesh.workload_address(&format!("{name}-v1"));
        let server = TlsApp::start(address, &good, bundle).await.unwrap();
        server.forge(&good, bundle, &forged);
        servers.push(server);
    }
    servers
}

/// The control plane is away while an endpoint moves: its caller knows the old place only.
async fn of_yesterday() -> (bool, String) {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    assert_eq!(get(entry, "/").await.unwrap().status, 200);
    mesh.control_plane().process().kill();
    let gateway = mesh.proxy("gateway");
    eventually("the gateway's sidecar is on its own", DEADLINE, async || {
        let connected = gateway.metric("weft_xds_connected", &[]).await?;
        ensure!(connected == 0.0, "{connected}");
        Ok(())
    })
    .await;
    mesh.proxy("product-v1").process().terminate(DEADLINE).await;
    let text = std::fs::read_to_string(mesh.config_dir().join("workload-product-v1.yaml")).unwrap();
    let (here, there) = (mesh.workload_address("product-v1"), mesh.spare_address(0));
    let moved = text.replace(&here.ip().to_string(), &there.ip().to_string());
    mesh.write("workload-product-v1.yaml", &moved);
    let answer = get(entry, "/").await.unwrap();
    mesh.control_plane().restart().await;
    eventually("its sidecar is heard again", DEADLINE, async || {
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        ensure!(proxy["connected"] == true, "{proxy}");
        Ok(())
    })
    .await;
    let expected = expected("stale-configuration", "mesh", "sidecar of gateway.shop");
    judge(&mesh, &Seeded { what: "stale configuration", answer, expected }).await
}
