//! TLS contexts of both directions. Certificates travel by name: the leaf a proxy has from
//! `weft.identity.v1`, the trust bundle comes by SDS on the same stream.

use weft_proto::alpn;
use weft_proto::envoy::core::TransportSocket;
use weft_proto::envoy::matcher::{StringMatcher, string_matcher::MatchPattern};
use weft_proto::envoy::tls::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use weft_proto::envoy::tls::subject_alt_name_matcher::SanType;
use weft_proto::envoy::tls::tls_parameters::TlsProtocol;
use weft_proto::envoy::tls::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
    SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use weft_proto::names::{LEAF_SECRET, TRUST_BUNDLE_SECRET};

use super::value::{ads, boolean, transport_socket};
use super::{Reference, ResourceType};
use crate::model::AppProtocol;

const TLS: &str = "envoy.transport_sockets.tls";

/// mTLS to endpoints whose certificate carries one of these SPIFFE ids.
pub(super) fn upstream<'a>(
    identities: impl Iterator<Item = &'a str>,
    protocol: AppProtocol,
) -> TransportSocket {
    let names = identities.map(|id| uri(MatchPattern::Exact(id.to_owned()))).collect();
    let context = UpstreamTlsContext {
        common_tls_context: Some(common(names, texts(alpn_of(protocol)))),
        ..Default::default()
    };
    transport_socket(TLS, &context)
}

/// mTLS from any workload of the trust domain.
pub(super) fn downstream(trust_domain: &str) -> TransportSocket {
    let names = vec![uri(MatchPattern::Prefix(format!("spiffe://{trust_domain}/")))];
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(names, all_alpn())),
        require_client_certificate: Some(boolean(true)),
        ..Default::default()
    };
    transport_socket(TLS, &context)
}

/// What both contexts need from SDS.
pub(super) fn trust_bundle_reference() -> Reference {
    Reference { kind: ResourceType::Secret, name: TRUST_BUNDLE_SECRET.into() }
}

/// ALPN protocols of the mesh that carry HTTP.
pub(super) fn http_alpn() -> Vec<String> {
    texts(&[alpn::HTTP2, alpn::HTTP1])
}

/// The ALPN protocol of the mesh that carries opaque bytes.
pub(super) fn tcp_alpn() -> Vec<String> {
    texts(&[alpn::TCP])
}

/// Every ALPN protocol of the mesh.
pub(super) fn all_alpn() -> Vec<String> {
    texts(&alpn::ALL)
}

fn alpn_of(protocol: AppProtocol) -> &'static [&'static [u8]] {
    match protocol {
        AppProtocol::Http => &[alpn::HTTP1, alpn::HTTP2],
        AppProtocol::Tcp => &[alpn::TCP],
        AppProtocol::Detect => &alpn::ALL,
    }
}

fn texts(protocols: &[&[u8]]) -> Vec<String> {
    protocols.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn common(names: Vec<SubjectAltNameMatcher>, alpn_protocols: Vec<String>) -> CommonTlsContext {
    let only_1_3 = TlsParameters {
        tls_minimum_protocol_version: TlsProtocol::TlSv13.into(),
        tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
        ..Default::default()
    };
    // Without a source the name means a secret of the proxy's own: private keys are never sent.
    let leaf = SdsSecretConfig { name: LEAF_SECRET.to_owned(), sds_config: None };
    let bundle = SdsSecretConfig { name: TRUST_BUNDLE_SECRET.to_owned(), sds_config: Some(ads()) };
    let validation = CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: names,
            ..Default::default()
        }),
        validation_context_sds_secret_config: Some(bundle),
        ..Default::default()
    };
    CommonTlsContext {
        tls_params: Some(only_1_3),
        alpn_protocols,
        tls_certificate_sds_secret_configs: vec![leaf],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(validation)),
        ..Default::default()
    }
}

fn uri(pattern: MatchPattern) -> SubjectAltNameMatcher {
    SubjectAltNameMatcher {
        san_type: SanType::Uri.into(),
        matcher: Some(StringMatcher { match_pattern: Some(pattern), ..Default::default() }),
        ..Default::default()
    }
}
