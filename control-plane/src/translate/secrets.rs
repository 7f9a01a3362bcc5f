//! Secrets: the trust bundle. Keys and leaves are never sent over xDS.

use weft_proto::envoy::core::{DataSource, data_source};
use weft_proto::envoy::tls::{CertificateValidationContext, Secret, secret};
use weft_proto::names::TRUST_BUNDLE_SECRET;

use super::{Resource, encode::encode};

/// The certificates that peers are verified against, PEM.
pub(super) fn trust_bundle(pem: &str) -> Resource {
    let trusted_ca = DataSource {
        specifier: Some(data_source::Specifier::InlineString(pem.to_owned())),
        ..Default::default()
    };
    let context =
        CertificateValidationContext { trusted_ca: Some(trusted_ca), ..Default::default() };
    let secret = Secret {
        name: TRUST_BUNDLE_SECRET.to_owned(),
        r#type: Some(secret::Type::ValidationContext(context)),
    };
    encode(TRUST_BUNDLE_SECRET, secret)
}
