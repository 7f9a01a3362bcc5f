//! `tracing` and `accessLog` of a MeshConfig: where spans and lines go, and who must answer there.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::model::Collector;
use crate::source::problem::Problems;
use crate::source::telemetry_policy::protocol;

/// Bound of `certificateAuthorities`, bytes: every sidecar is sent it.
const MAX_AUTHORITIES: usize = 65_536;

/// Endpoint, protocol and authorities as they are written.
pub(super) type Said = (Option<String>, Option<String>, Option<String>);

/// Reads one.
pub(super) fn read(
    (endpoint, word, authorities): Said,
    at: &str,
    problems: &mut Problems,
) -> Option<Collector> {
    let protocol = protocol(word.as_deref(), &format!("{at}.protocol"), problems);
    let uri = endpoint.as_ref().and_then(|endpoint| endpoint.parse::<http::Uri>().ok());
    let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
    if let Some(pem) = &authorities {
        let field = format!("{at}.certificateAuthorities");
        if let Err(message) = believed(pem) {
            let hint = "write the certificates of whoever signs the collector's, as PEM";
            problems.invalid_hint(field, message, hint);
        } else if scheme != Some("https") {
            let hint = "write an endpoint of https://, or leave it out";
            problems.invalid_hint(field, "no certificate is asked for there", hint);
        }
    }
    let endpoint = endpoint?;
    let host = uri.as_ref().and_then(http::Uri::host).filter(|host| !host.is_empty());
    if !matches!(scheme, Some("http" | "https")) || host.is_none() {
        problems.invalid_hint(
            format!("{at}.endpoint"),
            format!("{endpoint:?} is not a URL of a collector"),
            "write it like http://localhost:4317 or https://otel.example.org:4317",
        );
    }
    Some(Collector { endpoint, protocol, authorities })
}

/// Can sidecars make anything of it?
fn believed(pem: &str) -> Result<(), String> {
    if pem.len() > MAX_AUTHORITIES {
        return Err(format!("longer than {MAX_AUTHORITIES} bytes"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("no certificate: {error}"))?;
    }
    if roots.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(()) }
}
