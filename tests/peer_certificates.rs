//! Every way in which a certificate can be wrong, on either side of a handshake: refused, with a reason of its own in log
//! and metric, and no request arrives.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd};
use weft_certs::Serial;

use crate::harness::{
    Forged, Forger, Mesh, Sidecar, TRUST_DOMAIN, TlsApp, TlsClient, eventually, get, manifests,
    named, san,
};

const HOUR: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(20);
/// Certificates of the chain that is too long.
const LONG: usize = 100;

/// One certificate, and what is said of it: to whom it is shown by a caller, and by a server.
struct Case {
    what: &'static str,
    forged: Forged,
    /// The metric's word, and words of the log or the error, for either direction.
    inbound: (&'static str, &'static str),
    outbound: (&'static str, &'static str),
}

fn case(what: &'static str, forged: Forged, reason: &'static str, said: &'static str) -> Case {
    Case { what, forged, inbound: (reason, said), outbound: (reason, said) }
}

/// Signed by the CA of the mesh, but for the first; each for the one that would be expected but for what is wrong.
fn cases(forger: &Forger, stranger: &Forger, id: &str) -> Vec<Case> {
    let leaf =
        |change: &dyn Fn(&mut rcgen::CertificateParams)| forger.leaf(id, |params| change(params));
    let uri = |uri: &str| forger.leaf(uri, |_| {});
    let foreign = "spiffe://elsewhere.test/ns/shop/sa/bank";
    let mut all = vec![
        case("another CA's", stranger.leaf(id, |_| {}), "unknown_issuer", "UnknownIssuer"),
        case("expired", leaf(&|p| p.not_after = date_time_ymd(2020, 2, 1)), "expired", "expired"),
        case(
            "not valid yet",
            leaf(&|p| p.not_before = date_time_ymd(2098, 1, 1)),
            "not_valid_yet",
            "not valid yet",
        ),
        case("no URI SAN", leaf(&|p| p.subject_alt_names.clear()), "no_uri", "it has no URI SAN"),
        case(
            "two SPIFFE ids",
            leaf(&|p| p.subject_alt_names.push(san("spiffe://mesh.test/ns/shop/sa/root"))),
            "several_uris",
            "names 2 URIs",
        ),
        case("NUL in the id", uri(&format!("{id}\0.evil")), "not_spiffe", "contains '\\"),
        case(
            "CN only",
            leaf(&|p| {
                p.subject_alt_names.clear();
                p.distinguished_name = named(id);
            }),
            "no_uri",
            "it has no URI SAN",
        ),
        case("wildcard", uri("spiffe://mesh.test/ns/shop/sa/*"), "not_spiffe", "contains '*'"),
        case("100 certificates", forger.deep(id, LONG), "chain_too_long", "has 100 certificates"),
        case(
            "CA:TRUE",
            leaf(&|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
            "is_authority",
            "CaUsedAsEndEntity",
        ),
        case(
            "may sign certificates",
            leaf(&|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            "is_authority",
            "certificate authority's",
        ),
        case(
            "for signing code",
            leaf(&|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning]),
            "wrong_usage",
            "extended key usage",
        ),
    ];
    // A server is asked for more: to be the one that is called.
    all.push(Case {
        what: "another trust domain",
        forged: uri(foreign),
        inbound: ("foreign_trust_domain", "is not in the trust domain mesh.test"),
        outbound: ("wrong_identity", "which is not the workload that was called"),
    });
    all
}

async fn refused(sidecar: &Sidecar, direction: &str, reason: &str) -> f64 {
    let labels = [format!("direction=\"{direction}\""), format!("reason=\"{reason}\"")];
    let labels = labels.each_ref().map(String::as_str);
    sidecar.metric("weft_certificates_refused_total", &labels).await.unwrap()
}

/// A mesh of the same name, whose CA is another one.
async fn elsewhere() -> Mesh {
    Mesh::builder().start().await
}

#[tokio::test]
async fn callers_with_wrong_certificates_are_refused_each_for_its_reason() {
    let (mesh, other) = tokio::join!(
        Mesh::builder().service("product", &["v1"]).caller("gateway").mtls("STRICT").start(),
        elsewhere()
    );
    let product = mesh.proxy("product-v1");
    let inbound = product.inbound();
    let authority = mesh.control_plane().authority();
    let forgers = [mesh.control_plane(), other.control_plane()].map(Forger::of);
    let id = mesh.id("gateway");
    let nobody = TlsClient::new(None, authority.bundle(), &mesh.id("product"));
    let honest = nobody.showing(&forgers[0].leaf(id.as_str(), |_| {}));
    assert!(honest.knock(inbound).await.is_let_in(), "what is forged well is taken");
    let served = mesh.app("product-v1").count();

    for Case { what, forged, inbound: (reason, said), .. } in
        cases(&forgers[0], &forgers[1], id.as_str())
    {
        let (before, from) =
            (refused(&product, "inbound", reason).await, product.process().log().len());
        let started = Instant::now();
        let knock = nobody.showing(&forged).knock(inbound).await;
        let took = started.elapsed();
        assert!(!knock.is_let_in(), "{what}: {knock:?}");
        // It is counted and told when the caller has been told.
        eventually(what, DEADLINE, async || {
            let counted = refused(&product, "inbound", reason).await - before;
            ensure!((counted - 1.0).abs() < 0.5, "{reason} {counted}");
            let log = product.process().log().split_off(from);
            ensure!(log.contains(said), "{said} is not in {log}");
            Ok(())
        })
        .await;
        eprintln!("caller, {what:<22} {reason:<21} {took:>6.1?}");
    }
    let before = refused(&product, "inbound", "no_certificate").await;
    assert!(!nobody.knock(inbound).await.is_let_in());
    eventually("it is counted", DEADLINE, async || {
        ensure!(refused(&product, "inbound", "no_certificate").await > before, "not yet");
        Ok(())
    })
    .await;
    assert_eq!(mesh.app("product-v1").count(), served, "no request arrived");

    // The last: nothing is wrong with it but that it is denied.
    let stolen = forgers[0].leaf(id.as_str(), |_| {});
    deny(&mesh, &Serial::of(stolen.leaf()).unwrap());
    let stolen = nobody.showing(&stolen);
    eventually("it is refused", DEADLINE, async || {
        ensure!(!stolen.knock(inbound).await.is_let_in(), "not yet");
        Ok(())
    })
    .await;
    let served = mesh.app("product-v1").count();
    let before = refused(&product, "inbound", "denied").await;
    assert!(!stolen.knock(inbound).await.is_let_in());
    eventually("it is counted", DEADLINE, async || {
        ensure!(refused(&product, "inbound", "denied").await > before, "not yet");
        Ok(())
    })
    .await;
    assert_eq!(mesh.app("product-v1").count(), served);
    assert!(honest.knock(inbound).await.is_let_in());
}

fn deny(mesh: &Mesh, serial: &Serial) {
    let spec = format!("  mtls: STRICT\n  denied: {{serials: [{{serial: '{serial}'}}]}}\n");
    mesh.write("mesh.yaml", &manifests::mesh_config(TRUST_DOMAIN, &spec));
}

/// Without ejection: each of them is to be tried.
fn always_tried() -> String {
    manifests::traffic_policy("bank", "  outlierDetection: {consecutiveFailures: 0}\n")
}

#[tokio::test]
async fn servers_with_wrong_certificates_get_no_request_each_for_its_reason() {
    let (mesh, other) = tokio::join!(
        Mesh::builder()
            .without_sidecar("bank", "http")
            .caller("gateway")
            .file("tried.yaml", &always_tried())
            .start(),
        elsewhere()
    );
    let gateway = mesh.proxy("gateway");
    let authority = mesh.control_plane().authority();
    let bundle = authority.bundle();
    let forgers = [mesh.control_plane(), other.control_plane()].map(Forger::of);
    let good = mesh.leaf("bank", HOUR);
    let server = TlsApp::start(mesh.workload_address("bank-v1"), &good, bundle).await.unwrap();
    let (entry, id) = (mesh.entry("gateway", "bank"), mesh.id("bank"));
    server.forge(&good, bundle, &forgers[0].leaf(id.as_str(), |_| {}));
    assert_eq!(get(entry, "/").await.unwrap().status, 200, "what is forged well is taken");
    let served = server.requests();

    for Case { what, forged, outbound: (reason, said), .. } in
        cases(&forgers[0], &forgers[1], id.as_str())
    {
        let before = refused(&gateway, "outbound", reason).await;
        server.forge(&good, bundle, &forged);
        let answer = get(entry, "/").await.unwrap();
        let why = answer.header("proxy-status");
        assert_eq!(answer.status, 503, "{what}");
        assert!(why.contains("error=tls_certificate_error"), "{what}: {why}");
        assert!(why.contains(said), "{what}: {said} is not in {why}");
        eventually(what, DEADLINE, async || {
            ensure!(refused(&gateway, "outbound", reason).await > before, "{reason} not yet");
            Ok(())
        })
        .await;
        eprintln!("server, {what:<22} {reason:<21}");
    }
    assert_eq!(server.requests(), served, "no request left");
    let stolen = forgers[0].leaf(id.as_str(), |_| {});
    server.forge(&good, bundle, &stolen);
    deny(&mesh, &Serial::of(stolen.leaf()).unwrap());
    eventually("a denied one is not called", DEADLINE, async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.header("proxy-status").contains("error=peer_denied"), "{answer:?}");
        Ok(())
    })
    .await;
    let before = server.requests();
    assert_eq!(get(entry, "/").await.unwrap().status, 503);
    assert_eq!(server.requests(), before);
    server.show(&good, bundle);
    eventually("the right one is", DEADLINE, async || {
        ensure!(get(entry, "/").await?.status == 200, "not yet");
        Ok(())
    })
    .await;
}
