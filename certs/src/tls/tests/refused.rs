//! Who is refused in the handshake, in both directions, and what each side is told.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};

use super::{H1, Meeting, Pair, meet};
use crate::testing::{Ca, DAY, domain, shop, uri};
use crate::tls::{
    ClientAuth, KeyExchange, client, client_config, server, server_config, server_name, shown,
};
use crate::verify::{self, PeerError};
use crate::{Authority, Lifetimes, PrivateKey, TrustBundle, clock};

/// What one side shows.
type Credentials = (Vec<CertificateDer<'static>>, PrivateKey);

fn client_with((chain, key): Credentials, bundle: &TrustBundle) -> Arc<ClientConfig> {
    let provider = KeyExchange::default().provider();
    client(provider, Some(shown(chain, &key).unwrap()), bundle, &[H1]).unwrap().into()
}

fn server_with((chain, key): Credentials, bundle: &TrustBundle) -> Arc<ServerConfig> {
    asking(ClientAuth::Required, (chain, key), bundle)
}

fn asking(
    clients: ClientAuth,
    (chain, key): Credentials,
    bundle: &TrustBundle,
) -> Arc<ServerConfig> {
    let provider = KeyExchange::default().provider();
    server(provider, shown(chain, &key).unwrap(), bundle, (clients, None), &[H1]).unwrap().into()
}

/// The side with the odd certificate is refused: the other one says `reason`, and it learns so.
fn assert_refused((odd, judge): Meeting, reason: &str) {
    let said = judge.unwrap_err().to_string();
    assert!(said.contains(reason), "{said} instead of {reason}");
    let told = odd.unwrap_err().to_string();
    assert!(told.contains("alert"), "{told}");
}

/// What is said of a certificate, and what is wrong with it.
type Odd = (&'static str, fn(&mut CertificateParams));

/// Certificates no side may show.
fn odd_ones() -> Vec<Odd> {
    fn at(days: i64) -> time::OffsetDateTime {
        clock::calendar(clock::unix(SystemTime::now()) + days * 24 * 3600).unwrap()
    }
    vec![
        ("expired", |p| (p.not_before, p.not_after) = (at(-2), at(-1))),
        ("not valid yet", |p| p.not_before = at(1)),
        ("CaUsedAsEndEntity", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        ("2 URIs", |p| p.subject_alt_names.push(uri(shop("b").as_str()))),
        ("no URI SAN", |p| p.subject_alt_names.clear()),
        ("not a workload's SPIFFE id", |p| {
            p.subject_alt_names = vec![uri("https://demo.local/ns/shop/sa/odd")];
        }),
        ("extended key usage", |p| {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        }),
    ]
}

#[tokio::test]
async fn servers_refuse_odd_clients() {
    let pair = Pair::new();
    for (reason, change) in odd_ones() {
        let odd = client_with(pair.ca.odd(SystemTime::now(), change), pair.ca.bundle());
        let meeting = meet(&odd, &pair.server, server_name(&shop("product"))).await;
        assert_refused(meeting, reason);
    }
}

#[tokio::test]
async fn clients_refuse_odd_servers() {
    let pair = Pair::new();
    for (reason, change) in odd_ones() {
        let odd = server_with(pair.ca.odd(SystemTime::now(), change), pair.ca.bundle());
        let (judge, odd) = meet(&pair.client, &odd, server_name(&shop("odd"))).await;
        assert_refused((odd, judge), reason);
    }
}

#[tokio::test]
async fn another_ca_is_refused_both_ways() {
    let pair = Pair::new();
    let now = SystemTime::now();
    // One with certificates of the same names, and one as we make them, with names of its own.
    let (twin, other) = (Ca::new(now), Authority::create(&domain(), now, Lifetimes::default()));
    let leaf = |account| other.as_ref().unwrap().leaf_for(&shop(account), DAY, now).unwrap();
    for (reason, gateway, product) in [
        ("BadSignature", twin.leaf("gateway", now), twin.leaf("product", now)),
        ("UnknownIssuer", leaf("gateway"), leaf("product")),
    ] {
        let name = || server_name(&shop("product"));
        let odd = client_config(Some(&gateway), pair.ca.bundle(), &[H1]).unwrap().into();
        assert_refused(meet(&odd, &pair.server, name()).await, reason);

        let odd = server_config(&product, pair.ca.bundle(), ClientAuth::Required, &[H1]).unwrap();
        let (judge, odd) = meet(&pair.client, &odd.into(), name()).await;
        assert_refused((odd, judge), reason);
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_refused_where_one_is_required() {
    let pair = Pair::new();
    let nobody = Arc::new(client_config(None, pair.ca.bundle(), &[H1]).unwrap());
    let meeting = meet(&nobody, &pair.server, server_name(&shop("product"))).await;
    assert_refused(meeting, "peer sent no certificates");

    let shown = pair.ca.odd(SystemTime::now(), |_| ());
    let server = asking(ClientAuth::Optional, shown, pair.ca.bundle());
    let (client, server) = meet(&nobody, &server, server_name(&shop("odd"))).await;
    assert!(client.is_ok());
    let nobody = verify::peer(&server.unwrap().chain, &domain(), SystemTime::now());
    assert_eq!(nobody, Err(PeerError::NoCertificate));
}

#[tokio::test]
async fn a_leaf_without_its_issuer_leads_nowhere() {
    let pair = Pair::new();
    let (mut chain, key) = pair.ca.odd(SystemTime::now(), |_| ());
    chain.truncate(1);
    let client = client_with((chain, key), pair.ca.bundle());
    let meeting = meet(&client, &pair.server, server_name(&shop("product"))).await;
    assert_refused(meeting, "UnknownIssuer");
}

#[tokio::test]
async fn another_trust_domain_under_our_root_passes_tls_but_is_no_peer() {
    let pair = Pair::new();
    let now = SystemTime::now();
    let foreign = pair.ca.odd(now, |p| {
        p.subject_alt_names = vec![uri("spiffe://other.local/ns/shop/sa/gateway")];
    });
    let client = client_with(foreign, pair.ca.bundle());
    let (_, server) = meet(&client, &pair.server, server_name(&shop("product"))).await;
    let refused = verify::peer(&server.unwrap().chain, &domain(), now);
    assert!(matches!(refused, Err(PeerError::ForeignTrustDomain { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_name_that_is_no_identitys_reaches_nobody() {
    let pair = Pair::new();
    let name = ServerName::try_from("product.shop").unwrap();
    let (judge, odd) = meet(&pair.client, &pair.server, name).await;
    assert_refused((odd, judge), "not the workload that was called");
}

#[tokio::test]
async fn a_stolen_certificate_is_worth_nothing_without_its_key() {
    let pair = Pair::new();
    let now = SystemTime::now();
    let ((chain, _), (_, key)) = (pair.ca.odd(now, |_| ()), pair.ca.odd(now, |_| ()));
    // rustls itself notices the mismatch before any handshake.
    let error = shown(chain, &key).unwrap_err();
    assert!(error.to_string().contains("keys may not be consistent"), "{error}");
}
