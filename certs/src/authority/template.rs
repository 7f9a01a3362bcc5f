//! What certificates of this CA look like: the fields of root, issuing certificate and leaf.
//!
//! Used by `material` (CA certificates) and [`super::Authority`] (leaves). Nothing here signs.
//! Every certificate has its own distinguished name, key identifiers and usages: OpenSSL and Envoy
//! build chains by name and give up when a CA and its leaf are called the same.

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};

use crate::clock;
use crate::spiffe::{SpiffeId, TrustDomain};

/// Seconds that a certificate starts before it is made, for clocks that are behind.
pub(crate) const BACKDATED: i64 = 60;

/// A self-signed root. `None` if the validity cannot be expressed.
pub(super) fn root(
    trust_domain: &TrustDomain,
    not_before: i64,
    not_after: i64,
) -> Result<Option<CertificateParams>, rcgen::Error> {
    authority("Weft root", 1, trust_domain, (not_before, not_after))
}

/// The certificate that signs leaves.
pub(super) fn issuing(
    trust_domain: &TrustDomain,
    not_before: i64,
    not_after: i64,
) -> Result<Option<CertificateParams>, rcgen::Error> {
    let params = authority("Weft issuing", 0, trust_domain, (not_before, not_after))?;
    Ok(params.map(|mut params| {
        params.use_authority_key_identifier_extension = true;
        params
    }))
}

/// A workload's certificate.
pub(super) fn leaf(
    id: &SpiffeId,
    not_before: i64,
    not_after: i64,
) -> Result<Option<CertificateParams>, rcgen::Error> {
    let Some(mut params) = validity(not_before, not_after) else { return Ok(None) };
    // The name is for people who look at a certificate; it says that it is no identity.
    params.distinguished_name.push(DnType::OrganizationName, "Weft");
    params.distinguished_name.push(DnType::CommonName, "workload, see URI SAN");
    params.subject_alt_names = vec![SanType::URI(id.as_str().try_into()?)];
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(Some(params))
}

fn authority(
    role: &str,
    below: u8,
    trust_domain: &TrustDomain,
    (not_before, not_after): (i64, i64),
) -> Result<Option<CertificateParams>, rcgen::Error> {
    let Some(mut params) = validity(not_before, not_after) else { return Ok(None) };
    let serial = serial()?;
    // Eight digits of the serial keep apart the names of CAs that follow each other; the trust
    // domain itself may be longer than a name may be and stands in the SAN (X.509-SVID §4.2).
    let tag: String = serial.to_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::OrganizationName, "Weft");
    params.distinguished_name.push(DnType::CommonName, format!("{role} {tag}"));
    params.subject_alt_names = vec![SanType::URI(format!("spiffe://{trust_domain}").try_into()?)];
    params.serial_number = Some(serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Some(params))
}

pub(crate) fn validity(not_before: i64, not_after: i64) -> Option<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = clock::calendar(not_before)?;
    params.not_after = clock::calendar(not_after)?;
    Some(params)
}

/// 126 random bits in 16 bytes; the first byte is never zero and never has the sign bit.
pub(crate) fn serial() -> Result<SerialNumber, rcgen::Error> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
