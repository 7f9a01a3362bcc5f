//! Identity theft: every way to a certificate of somebody else's, and what comes of it. Tokens of Kubernetes are tried in
//! `kubernetes::control_plane::theft`.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tonic::{Code, Status};
use weft_certs::{Leaf, SpiffeId, verify};
use weft_proto::identity::IssueResponse;

use crate::harness::{Mesh, issue_for, join_token, named, san};

const HOUR: Duration = Duration::from_secs(3600);
/// Seconds after which a join token is worth nothing, and one.
const LATE: i64 = 601;

/// A request for `uri`, but for what `change` does to it.
fn csr(uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("nobody");
    params.subject_alt_names = vec![san(uri)];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn honest(id: &SpiffeId) -> Vec<u8> {
    csr(id.as_str(), |_| {})
}

struct Desk(Mesh);

impl Desk {
    async fn ask(
        &self,
        csr: &[u8],
        token: Option<&str>,
        leaf: Option<&Leaf>,
    ) -> Result<IssueResponse, Status> {
        issue_for(&self.0, csr.to_vec(), token, leaf).await
    }

    async fn token(&self, workload: &str) -> String {
        join_token(&self.0, &format!("{workload}.shop")).await
    }

    async fn issued(&self) -> u64 {
        let answer = self.0.control_plane().admin().ask(http::Method::GET, "/metrics", "").await;
        let text = String::from_utf8_lossy(&answer.unwrap().body).into_owned();
        let name = "weft_control_plane_certificate_requests_total{result=\"issued\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("it is counted").parse().unwrap()
    }

    async fn refuses(&self, what: &str, code: Code, asked: Result<IssueResponse, Status>) {
        let status = asked.expect_err(what);
        assert_eq!(status.code(), code, "{what}: {status}");
        eprintln!("{what:<58} {:?}", status.code());
    }

    /// What others' tokens and requests are good for; `before` were issued so far.
    async fn tokens(&self, victim: &SpiffeId, before: u64) {
        let (denied, nobody) = (Code::PermissionDenied, Code::Unauthenticated);
        let replayed = honest(victim);
        let asked = self.ask(&replayed, None, None).await;
        self.refuses("no token and no certificate", nobody, asked).await;
        let asked = self.ask(&replayed, Some("invented"), None).await;
        self.refuses("a token that nobody has made", nobody, asked).await;
        let late = self.token("victim").await;
        self.0.set_control_plane_clock(LATE);
        let asked = self.ask(&replayed, Some(&late), None).await;
        self.refuses("an expired token", nobody, asked).await;
        self.0.set_control_plane_clock(0);
        assert_eq!(self.issued().await, before, "nothing was issued");

        let used = self.token("victim").await;
        self.ask(&replayed, Some(&used), None).await.expect("the victim joins");
        let asked = self.ask(&replayed, Some(&used), None).await;
        self.refuses("the victim's request and its token again", nobody, asked).await;
        let asked = self.ask(&replayed, None, None).await;
        self.refuses("the victim's request again, without proof", nobody, asked).await;
        let asked = self.ask(&replayed, Some(&self.token("thief").await), None).await;
        self.refuses("the victim's request again, with a token of one's own", denied, asked).await;
        assert_eq!(self.issued().await, before + 1, "to the victim");
    }
}

#[tokio::test]
async fn nobody_gets_a_certificate_of_somebody_else() {
    let mesh = Mesh::builder().absent_caller("thief").absent_caller("victim");
    let desk = Desk(mesh.control_plane_clock(0).start().await);
    let mesh = &desk.0;
    let (thief, victim) = (mesh.id("thief"), mesh.id("victim"));
    let own = mesh.leaf("thief", HOUR);
    let before = desk.issued().await;
    let denied = Code::PermissionDenied;

    let token = desk.token("thief").await;
    let asked = desk.ask(&honest(&victim), Some(&token), None).await;
    desk.refuses("another account's name, with a token of one's own", denied, asked).await;
    let asked = desk.ask(&honest(&victim), None, Some(&own)).await;
    desk.refuses("the same, with a certificate of one's own", denied, asked).await;
    for (what, csr, code) in forged(&thief, &victim, &mesh.control_plane().id()) {
        let asked = desk.ask(&csr, None, Some(&own)).await;
        desk.refuses(what, code, asked).await;
    }
    desk.tokens(&victim, before).await;

    // What may be asked for is given, and no more than that: a common name is nobody's.
    let boasting = csr(thief.as_str(), |p| p.distinguished_name = named(victim.as_str()));
    let answer = desk.ask(&boasting, None, Some(&own)).await.unwrap();
    let chain: Vec<_> = answer.chain.into_iter().map(Into::into).collect();
    let peer = verify::peer(&chain, thief.trust_domain(), std::time::SystemTime::now()).unwrap();
    assert_eq!(peer.id, thief);
    let leaf: &[u8] = chain[0].as_ref();
    let name = victim.as_str().as_bytes();
    assert!(!leaf.windows(name.len()).any(|bytes| bytes == name), "nothing of it is copied");
}

/// Requests that say more than one's own name, or another.
fn forged(
    thief: &SpiffeId,
    victim: &SpiffeId,
    control_plane: &SpiffeId,
) -> Vec<(&'static str, Vec<u8>, Code)> {
    let (denied, invalid) = (Code::PermissionDenied, Code::InvalidArgument);
    let both = csr(thief.as_str(), |p| p.subject_alt_names.push(san(victim.as_str())));
    vec![
        ("two names, one's own first", both, invalid),
        (
            "a DNS name beside one's own",
            csr(thief.as_str(), |p| {
                p.subject_alt_names
                    .push(rcgen::SanType::DnsName("victim.shop".try_into().unwrap()));
            }),
            invalid,
        ),
        (
            "no name but a common name",
            csr(thief.as_str(), |p| {
                p.subject_alt_names.clear();
                p.distinguished_name = named(victim.as_str());
            }),
            invalid,
        ),
        ("a name with a wildcard", csr("spiffe://mesh.test/ns/shop/sa/*", |_| {}), invalid),
        ("a name with a NUL in it", csr(&format!("{thief}\0{victim}"), |_| {}), invalid),
        (
            "a CA's certificate",
            csr(thief.as_str(), |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            invalid,
        ),
        ("another trust domain", csr("spiffe://elsewhere.test/ns/shop/sa/thief", |_| {}), denied),
        ("the control plane's own name", honest(control_plane), denied),
    ]
}
