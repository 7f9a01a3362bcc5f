//! An issuing CA from outside, as cert-manager writes it into a Secret: `tls.crt`, `tls.key` and `ca.crt`.
//!
//! Read by the control plane whenever the Secret or the files change; taken up by [`super::Change::Issuer`]. Everything is
//! looked at here, at the end by a leaf for a trial: what passes can sign what every sidecar believes. What does not pass
//! is an [`IssuerFault`], which names the field and how to mend it, and changes nothing.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::SectionKind;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;

use super::issuing_key::IssuingKey;
use super::material::{Issuing, check_authority};
use super::{Authority, AuthorityError, Signing};
use crate::bundle::{self, TrustBundle};
use crate::clock;
use crate::pem::{self, Section};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::x509::Certificate;

/// Bound: certificates between the root and the leaf.
const MAX_CHAIN: usize = 4;
const TLS_CRT: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";
const CA_CRT: &str = "ca.crt";
const IS_CA: &str =
    "set isCA: true, and usages to [cert sign, crl sign], in the Certificate that makes the Secret";
const ECDSA: &str =
    "set privateKey: {algorithm: ECDSA, size: 256} in the Certificate that makes the Secret";
const RENEW: &str = "have it renewed: kubectl describe certificate says why it was not";

/// An issuing CA that was found good.
#[derive(Clone)]
pub struct ExternalIssuer {
    pub(super) root: CertificateDer<'static>,
    pub(super) issuing: Issuing,
    end: i64,
}

/// Why an issuer from outside is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct IssuerFault {
    /// `tls.crt`, `tls.key` or `ca.crt`.
    pub field: &'static str,
    /// What is wrong, without a full stop.
    pub reason: String,
    /// What to do about it.
    pub mending: &'static str,
}

impl ExternalIssuer {
    /// Reads and checks the three texts.
    ///
    /// # Errors
    /// The first fault.
    pub fn from_pem(
        (certificate, key, root): (&str, &str, &str),
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Self, IssuerFault> {
        let mut chain = certificates(TLS_CRT, certificate)?;
        if chain.len() > MAX_CHAIN {
            let reason =
                format!("it has {} certificates, at most {MAX_CHAIN} are used", chain.len());
            return Err(fault(TLS_CRT, reason, "use an issuer nearer to its root"));
        }
        let roots = certificates(CA_CRT, root)?;
        let key = read_key(key)?;
        let unix = clock::unix(now);
        for certificate in &chain {
            check(TLS_CRT, certificate, trust_domain, unix)?;
        }
        if parse(TLS_CRT, &chain[0])?.public_key_info() != key.public_key_info() {
            let mending = "delete the Secret: cert-manager makes both anew";
            return Err(fault(TLS_KEY, "it is not the key of tls.crt", mending));
        }
        let root = root_of(&mut chain, &roots)?;
        check(CA_CRT, &root, trust_domain, unix)?;
        check_path_lengths(&chain, &root)?;
        let mut end = parse(CA_CRT, &root)?.validity().1;
        for certificate in &chain {
            end = end.min(parse(TLS_CRT, certificate)?.validity().1);
        }
        let issuing = Issuing { chain, key };
        try_out(&issuing, &root, trust_domain, now)
            .map_err(|reason| fault(TLS_CRT, reason, "use a CA certificate without constraints"))?;
        Ok(Self { root, issuing, end })
    }

    /// SHA-256 of its root's DER, 64 hexadecimal digits.
    pub fn root(&self) -> String {
        bundle::fingerprint_of(&self.root)
    }

    /// The last second at which it, and all above it, is valid.
    pub fn not_after(&self) -> SystemTime {
        clock::system(self.end)
    }
}

impl fmt::Debug for ExternalIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalIssuer").field("root", &self.root()).finish_non_exhaustive()
    }
}

fn fault(field: &'static str, reason: impl Into<String>, mending: &'static str) -> IssuerFault {
    IssuerFault { field, reason: reason.into(), mending }
}

fn sections(field: &'static str, text: &str) -> Result<Vec<Section>, IssuerFault> {
    let broken = |error: pem::PemError| {
        fault(field, error.to_string(), "delete the Secret: cert-manager makes it anew")
    };
    pem::sections(text).map_err(broken)
}

fn certificates(
    field: &'static str,
    text: &str,
) -> Result<Vec<CertificateDer<'static>>, IssuerFault> {
    let sections = sections(field, text)?;
    if sections.is_empty() {
        let mending = match field {
            CA_CRT => "use an issuer that says its root, such as cert-manager's CA issuer",
            _ => "wait for cert-manager to issue it: kubectl describe certificate",
        };
        return Err(fault(field, "there is no certificate in it", mending));
    }
    if sections.iter().any(|(kind, _)| *kind != SectionKind::Certificate) {
        return Err(fault(field, "there is more than certificates in it", "keep keys in tls.key"));
    }
    Ok(sections.into_iter().map(|(_, der)| CertificateDer::from(der.to_vec())).collect())
}

fn read_key(text: &str) -> Result<IssuingKey, IssuerFault> {
    match &sections(TLS_KEY, text)?[..] {
        [(SectionKind::RsaPrivateKey, _)] => {
            Err(fault(TLS_KEY, "it is an RSA key (PKCS #1); ECDSA P-256 or P-384 is needed", ECDSA))
        }
        [key @ (SectionKind::PrivateKey | SectionKind::EcPrivateKey, _)] => {
            let wrong = "it is no ECDSA P-256 or P-384 key";
            IssuingKey::from_section(key).map_err(|_| fault(TLS_KEY, wrong, ECDSA))
        }
        _ => Err(fault(
            TLS_KEY,
            "it is not one private key",
            "delete the Secret: cert-manager makes it anew",
        )),
    }
}

fn parse<'a>(
    field: &'static str,
    der: &'a CertificateDer<'_>,
) -> Result<Certificate<'a>, IssuerFault> {
    let broken = "delete the Secret: cert-manager makes it anew";
    Certificate::parse(der).map_err(|error| fault(field, error.to_string(), broken))
}

/// A CA's certificate, for us, now.
fn check(
    field: &'static str,
    der: &CertificateDer<'_>,
    trust_domain: &TrustDomain,
    now: i64,
) -> Result<(), IssuerFault> {
    let certificate = parse(field, der)?;
    let subject = certificate.subject();
    if !certificate.is_ca().unwrap_or(false) || !certificate.may_sign_certificates() {
        return Err(fault(field, format!("{subject} is no CA's certificate (CA:TRUE)"), IS_CA));
    }
    check_authority(&certificate, trust_domain).map_err(|error| {
        let mending = "leave URIs out of the Certificate, or name this mesh's trust domain";
        fault(field, error.to_string(), mending)
    })?;
    let (start, end) = certificate.validity();
    let shown = |unix| clock::show(clock::system(unix));
    if now < start {
        let reason = format!("{subject} is valid from {}, it is {} now", shown(start), shown(now));
        return Err(fault(field, reason, "look at the clocks of both machines"));
    }
    if now > end {
        let reason = format!("{subject} expired at {}", shown(end));
        return Err(fault(field, reason, RENEW));
    }
    Ok(())
}

/// The certificate of `ca.crt` that the chain leads to, which is taken off the chain if it is at its end, and each of the
/// chain must have been signed by the next.
fn root_of(
    chain: &mut Vec<CertificateDer<'static>>,
    roots: &[CertificateDer<'static>],
) -> Result<CertificateDer<'static>, IssuerFault> {
    // One that signed itself stays: it is what signs leaves, and the root too.
    while chain.len() > 1 && chain.last().is_some_and(|last| roots.contains(last)) {
        chain.pop();
    }
    for pair in chain.windows(2) {
        if !parse(TLS_CRT, &pair[0])?.is_signed_by(&parse(TLS_CRT, &pair[1])?) {
            let reason = "its certificates do not follow one another, each signed by the next";
            return Err(fault(TLS_CRT, reason, "delete the Secret: cert-manager makes it anew"));
        }
    }
    let last =
        chain.last().ok_or_else(|| fault(TLS_CRT, "there is no certificate in it", RENEW))?;
    for root in roots {
        if parse(TLS_CRT, last)?.is_signed_by(&parse(CA_CRT, root)?) {
            return Ok(root.clone());
        }
    }
    let reason = "none of its certificates signed tls.crt";
    Err(fault(CA_CRT, reason, "delete the Secret: cert-manager makes both anew"))
}

/// `MAX_CHAIN` of them at most, the lowest first.
fn check_path_lengths(
    chain: &[CertificateDer<'static>],
    root: &CertificateDer<'static>,
) -> Result<(), IssuerFault> {
    let above = if chain.first() == Some(root) { None } else { Some((CA_CRT, root)) };
    let all = chain.iter().map(|certificate| (TLS_CRT, certificate)).chain(above);
    for (below, (field, certificate)) in (0_u32..).zip(all) {
        let certificate = parse(field, certificate)?;
        if certificate.path_length().is_some_and(|allowed| allowed < below) {
            let reason =
                format!("{} allows fewer CAs below it than there are", certificate.subject());
            return Err(fault(field, reason, "give it a larger path length, or none"));
        }
    }
    Ok(())
}

/// Signs a leaf and looks at it as a sidecar would.
fn try_out(
    issuing: &Issuing,
    root: &CertificateDer<'static>,
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<(), String> {
    let issue = || -> Result<_, AuthorityError> {
        let bundle = TrustBundle::from_der([root.clone()])?;
        let key = std::sync::Arc::new(issuing.key.clone());
        let signing = Signing::with(issuing.chain.clone(), root, key)?;
        Authority::of(trust_domain, bundle, signing)
    };
    let authority = issue().map_err(|error| error.to_string())?;
    let id = SpiffeId::workload(trust_domain, "weft-system", "trial");
    let id = id.map_err(|error| error.to_string())?;
    let leaf = authority.leaf_for(&id, Duration::from_secs(60), now);
    let leaf = leaf.map_err(|error| error.to_string())?;
    let shown = |error: rustls::Error| format!("what it signs is not believed: {error}");
    let parsed = ParsedCertificate::try_from(&leaf.chain()[0]).map_err(shown)?;
    let roots = authority.bundle().to_store().map_err(shown)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &roots,
        &leaf.chain()[1..],
        UnixTime::since_unix_epoch(now),
        provider::default_provider().signature_verification_algorithms.all,
    )
    .map_err(shown)
}

#[cfg(test)]
mod tests;
