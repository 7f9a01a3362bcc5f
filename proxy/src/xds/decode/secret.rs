//! Secret → trust bundle. The only secret that is ever asked for; keys never travel.

use std::mem::take;

use weft_certs::TrustBundle;
use weft_proto::envoy::core::data_source::Specifier;
use weft_proto::envoy::tls::{Secret, secret};
use weft_proto::names::TRUST_BUNDLE_SECRET;

use super::reject::{At, Reject, nothing_else};
use super::value::required;

/// Decodes the trust bundle.
pub(super) fn trust_bundle(mut secret: Secret) -> Result<TrustBundle, Reject> {
    if take(&mut secret.name) != TRUST_BUNDLE_SECRET {
        return Err(Reject::new("name", format!("only {TRUST_BUNDLE_SECRET} is supported")));
    }
    let mut context = match secret.r#type.take() {
        Some(secret::Type::ValidationContext(context)) => context,
        Some(
            secret::Type::TlsCertificate(_)
            | secret::Type::SessionTicketKeys(_)
            | secret::Type::GenericSecret(_),
        )
        | None => return Err(Reject::new("type", "only `validation_context` is supported")),
    };
    nothing_else(&secret)?;
    let mut roots = required("trusted_ca", &mut context.trusted_ca).at("validation_context")?;
    nothing_else(&context).at("validation_context")?;
    let at = "validation_context.trusted_ca";
    let pem = match roots.specifier.take() {
        Some(Specifier::InlineString(pem)) => pem,
        Some(Specifier::InlineBytes(pem)) => {
            String::from_utf8(pem).map_err(|_| Reject::new("inline_bytes", "not PEM")).at(at)?
        }
        Some(Specifier::Filename(_) | Specifier::EnvironmentVariable(_)) | None => {
            return Err(Reject::new(at, "only inline PEM is supported"));
        }
    };
    nothing_else(&roots).at(at)?;
    TrustBundle::from_pem(&pem).map_err(|error| Reject::new(at, error.to_string()))
}
