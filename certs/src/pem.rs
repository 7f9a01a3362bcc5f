//! PEM in and out, bounded and without surprises.
//!
//! Used by keys, leaves, bundles and the CA's state. A section that the caller did not expect is an
//! error: a private key in a trust bundle must be noticed, not skipped.

use rustls::pki_types::pem::{PemObject, SectionKind};

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

/// One section: what it says it is, and its bytes.
pub(crate) type Section = (SectionKind, Vec<u8>);

/// All sections in order. Text between sections is ignored, as everywhere in PEM.
pub(crate) fn sections(text: &str) -> Result<Vec<Section>, PemError> {
    if text.len() > MAX_TEXT {
        return Err(PemError::TooLong(text.len()));
    }
    Section::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| PemError::Syntax(e.to_string()))
}

/// The error for sections that are not the `expected` ones. Names kinds, never contents.
pub(crate) fn unexpected(expected: &'static str, found: &[Section]) -> PemError {
    let kinds: Vec<_> = found.iter().take(8).map(|(kind, _)| name(*kind)).collect();
    let found = if kinds.is_empty() { "no section".to_owned() } else { kinds.join(", ") };
    PemError::Sections { expected, found }
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
