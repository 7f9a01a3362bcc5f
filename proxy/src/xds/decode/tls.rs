//! Transport sockets. This proxy has one kind of TLS, the mesh's own (TLS 1.3, both sides by certificate,
//! SPIFFE ids): a context either says exactly that or is refused. Nothing is taken from it.

use std::mem::take;

use weft_certs::{IdError, SpiffeId, TrustDomain};
use weft_proto::alpn;
use weft_proto::envoy::core::{TransportSocket, transport_socket::ConfigType};
use weft_proto::envoy::matcher::string_matcher::MatchPattern;
use weft_proto::envoy::tls::common_tls_context::ValidationContextType;
use weft_proto::envoy::tls::subject_alt_name_matcher::SanType;
use weft_proto::envoy::tls::tls_parameters::TlsProtocol;
use weft_proto::envoy::tls::{
    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
    UpstreamTlsContext,
};
use weft_proto::google::Any;
use weft_proto::names::{LEAF_SECRET, TRUST_BUNDLE_SECRET};

use super::reject::{At, Reject, each, nothing_else};
use super::value::{ads, required, type_name, unpack};

const RAW_BUFFER: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// Plaintext.
pub(super) fn plaintext(socket: TransportSocket) -> Result<(), Reject> {
    let config = typed_config(socket)?;
    if type_name(&config) == RAW_BUFFER && config.value.is_empty() {
        Ok(())
    } else {
        Err(Reject::new("typed_config", "only raw_buffer is supported here"))
    }
}

/// What the inbound side requires: any workload of the trust domain.
pub(super) fn downstream(
    socket: TransportSocket,
    trust_domain: &TrustDomain,
) -> Result<(), Reject> {
    let config = typed_config(socket)?;
    let mut context: DownstreamTlsContext = unpack("typed_config", Some(config))?;
    if !context.require_client_certificate.take().is_some_and(|required| required.value) {
        let reason = "must be true: peers without a certificate are not served over TLS";
        return Err(Reject::new("typed_config.require_client_certificate", reason));
    }
    let common = required("common_tls_context", &mut context.common_tls_context);
    let names = common.and_then(|common| self::common(common).at("common_tls_context"));
    let names = names.at("typed_config")?;
    nothing_else(&context).at("typed_config")?;
    let anybody = format!("spiffe://{trust_domain}/");
    match names.as_slice() {
        [MatchPattern::Prefix(prefix)] if *prefix == anybody => Ok(()),
        _ => Err(Reject::new(
            "typed_config.common_tls_context.combined_validation_context",
            format!("match_typed_subject_alt_names must be the one URI prefix {anybody}"),
        )),
    }
}

/// What the outbound side requires: the identities of the endpoints. Which of them must answer is checked
/// connection by connection from the endpoint's own metadata.
pub(super) fn upstream(socket: TransportSocket) -> Result<(), Reject> {
    let config = typed_config(socket)?;
    let mut context: UpstreamTlsContext = unpack("typed_config", Some(config))?;
    let common = required("common_tls_context", &mut context.common_tls_context);
    let names = common.and_then(|common| self::common(common).at("common_tls_context"));
    let names = names.at("typed_config")?;
    nothing_else(&context).at("typed_config")?;
    let at = "typed_config.common_tls_context.combined_validation_context";
    let exact = |name| match name {
        MatchPattern::Exact(uri) => uri
            .parse::<SpiffeId>()
            .map_err(|error: IdError| Reject::new("", format!("{uri:?}: {error}"))),
        _ => Err(Reject::new("", "only `exact` is supported")),
    };
    each("match_typed_subject_alt_names", names, exact).at(at)?;
    Ok(())
}

fn typed_config(mut socket: TransportSocket) -> Result<Any, Reject> {
    socket.name = String::new();
    match socket.config_type.take() {
        Some(ConfigType::TypedConfig(config)) => Ok(config),
        None => Err(Reject::new("typed_config", "missing")),
    }
}

/// Own leaf and trust bundle by SDS, mesh ALPN, TLS 1.3; returns the names that the peer must have.
fn common(mut common: CommonTlsContext) -> Result<Vec<MatchPattern>, Reject> {
    let protocols = take(&mut common.alpn_protocols);
    if let Some(foreign) = protocols.iter().find(|p| !alpn::ALL.contains(&p.as_bytes())) {
        let reason = format!("{foreign:?} is not a mesh protocol");
        return Err(Reject::new("alpn_protocols", reason));
    }
    let leaf = take(&mut common.tls_certificate_sds_secret_configs);
    if leaf.len() != 1 {
        return Err(Reject::new("tls_certificate_sds_secret_configs", "must be one"));
    }
    each("tls_certificate_sds_secret_configs", leaf, |leaf| sds(leaf, LEAF_SECRET))?;
    if let Some(mut versions) = common.tls_params.take() {
        for version in
            [&mut versions.tls_minimum_protocol_version, &mut versions.tls_maximum_protocol_version]
        {
            if *version == TlsProtocol::TlSv13 as i32 {
                *version = 0;
            }
        }
        nothing_else(&versions).at("tls_params")?;
    }
    let names = match common.validation_context_type.take() {
        Some(ValidationContextType::CombinedValidationContext(mut combined)) => {
            let at = "combined_validation_context";
            let bundle = combined.validation_context_sds_secret_config.take().unwrap_or_default();
            sds(bundle, TRUST_BUNDLE_SECRET).at("validation_context_sds_secret_config").at(at)?;
            let mut context = combined.default_validation_context.take().unwrap_or_default();
            let names = take(&mut context.match_typed_subject_alt_names);
            nothing_else(&context).at("default_validation_context").at(at)?;
            nothing_else(&combined).at(at)?;
            each("match_typed_subject_alt_names", names, uri)
                .at("default_validation_context")
                .at(at)?
        }
        _ => {
            let reason = "only `combined_validation_context` is supported";
            return Err(Reject::new("validation_context_type", reason));
        }
    };
    nothing_else(&common)?;
    Ok(names)
}

fn sds(mut config: SdsSecretConfig, expected: &str) -> Result<(), Reject> {
    if take(&mut config.name) != expected {
        return Err(Reject::new("name", format!("must be {expected}")));
    }
    // Without a source it is a secret of the proxy's own, as the leaf is.
    if let Some(source) = config.sds_config.take() {
        ads("sds_config", Some(source))?;
    }
    nothing_else(&config)
}

fn uri(mut name: SubjectAltNameMatcher) -> Result<MatchPattern, Reject> {
    if take(&mut name.san_type) != SanType::Uri as i32 {
        return Err(Reject::new("san_type", "only URI is supported"));
    }
    let mut matcher = required("matcher", &mut name.matcher)?;
    let pattern = required("matcher.match_pattern", &mut matcher.match_pattern)?;
    nothing_else(&matcher).at("matcher")?;
    nothing_else(&name)?;
    Ok(pattern)
}
