//! PEM in and out, bounded and without surprises.
//!
//! Used by keys, leaves, bundles and the CA's state. A section that the caller did not expect is an
//! error: a private key in a trust bundle must be noticed, not skipped. Both ways are our own, because what the libraries
//! have for it leaves copies of a key's text in memory that is given back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::SectionKind;
use zeroize::Zeroizing;

// Bound: the most text that is looked at; a bundle of 100 certificates is about 100 KiB.
const MAX_TEXT: usize = 1 << 20;

/// Why a text is not the PEM that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Longer than any file this crate writes or reads.
    #[error("it is {0} bytes long, at most {MAX_TEXT} are read")]
    TooLong(usize),
    /// Base64 or the BEGIN/END lines are broken.
    #[error("it is not well-formed PEM: {0}")]
    Syntax(String),
    /// The sections are not the ones that belong here.
    #[error("it has to hold {expected}, but holds {found}")]
    Sections {
        /// What belongs here.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

/// One section: what it says it is, and its bytes, wiped after use: they may be a key.
pub(crate) type Section = (SectionKind, Zeroizing<Vec<u8>>);

/// All sections in order. Text between sections is ignored, as everywhere in PEM.
pub(crate) fn sections(text: &str) -> Result<Vec<Section>, PemError> {
    if text.len() > MAX_TEXT {
        return Err(PemError::TooLong(text.len()));
    }
    let mut sections = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begins = at;
        at += line.len();
        // Inside of the section before.
        if sections.last().is_some_and(|(end, _)| begins < *end) {
            continue;
        }
        let Some(label) = line.trim_end().strip_prefix("-----BEGIN ") else { continue };
        let label =
            label.strip_suffix("-----").ok_or_else(|| syntax("a BEGIN without its dashes"))?;
        let body = text[at..].find(&format!("-----END {label}-----"));
        let body = body.ok_or_else(|| syntax("a section does not end"))?;
        sections.push((at + body, section(label, &text[at..at + body])?));
    }
    Ok(sections.into_iter().filter_map(|(_, section)| section).collect())
}

/// `None` for what is nobody's here.
fn section(label: &str, body: &str) -> Result<Option<Section>, PemError> {
    let Ok(kind) = SectionKind::try_from(label.as_bytes()) else { return Ok(None) };
    let mut encoded = Zeroizing::new(Vec::with_capacity(body.len()));
    encoded.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; encoded.len() / 4 * 3 + 3]);
    let decoded = STANDARD.decode_slice(&*encoded, &mut der);
    let length = decoded.map_err(|error| PemError::Syntax(error.to_string()))?;
    der.truncate(length);
    Ok(Some((kind, der)))
}

fn syntax(what: &str) -> PemError {
    PemError::Syntax(what.to_owned())
}

/// The error for sections that are not the `expected` ones. Names kinds, never contents.
pub(crate) fn unexpected(expected: &'static str, found: &[Section]) -> PemError {
    let kinds: Vec<_> = found.iter().take(8).map(|(kind, _)| name(*kind)).collect();
    let found = if kinds.is_empty() { "no section".to_owned() } else { kinds.join(", ") };
    PemError::Sections { expected, found }
}

/// A private key's section (PKCS #8), wiped after use, with no copy left on the way.
pub(crate) fn private_key(der: &[u8]) -> Zeroizing<String> {
    const LINE: usize = 64;
    let mut encoded = Zeroizing::new(vec![0; der.len().div_ceil(3) * 4]);
    let length = STANDARD.encode_slice(der, &mut encoded).unwrap_or(0);
    let encoded = std::str::from_utf8(&encoded[..length]).unwrap_or_default();
    // Bound: never grown, which would leave what it held before.
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() * 2 + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for at in (0..encoded.len()).step_by(LINE) {
        text.push_str(&encoded[at..encoded.len().min(at + LINE)]);
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

/// A certificate's section with `\n` line ends.
pub(crate) fn certificate(der: &[u8]) -> String {
    let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
    ::pem::encode_config(&::pem::Pem::new("CERTIFICATE", der), config)
}

fn name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "a certificate",
        SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey => {
            "a private key"
        }
        SectionKind::PublicKey => "a public key",
        SectionKind::Csr => "a CSR",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests;
