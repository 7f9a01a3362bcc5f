//! Who is denied although the CA has certified him: identities, and single certificates by their serial numbers.
//!
//! Made by the control plane of `MeshConfig`, sent to every sidecar, asked by both after **every** handshake and by the
//! CA before it signs. A list is a value; whoever puts one in force sees to what is open already.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::spiffe::SpiffeId;
use crate::x509::{Certificate, CertificateError};

/// RFC 5280 §4.1.2.2: the most bytes that a serial number may have.
const MAX_SERIAL: usize = 20;

/// The serial number of a certificate: a positive number of at most 20 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Arc<[u8]>);

/// Why a text is no serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Nothing, or something other than hexadecimal digits and colons between bytes.
    #[error("it is not written in hexadecimal digits, with or without colons between bytes")]
    Digits,
    /// More than 20 bytes.
    #[error("it has more than {MAX_SERIAL} bytes, which no serial number has")]
    TooLong,
}

/// Who is denied, and why. Cheap to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenyList {
    identities: BTreeMap<SpiffeId, Arc<str>>,
    serials: BTreeMap<Serial, Arc<str>>,
}

/// Somebody is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What of him is on the list.
    pub what: Denied,
    /// As somebody wrote it; may be empty.
    pub reason: Arc<str>,
}

/// What can be on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Whatever certificate he shows.
    Identity(SpiffeId),
    /// This one certificate.
    Serial(Serial),
}

/// Says who is denied now. For a server's handshake.
pub trait Denies: fmt::Debug + Send + Sync {
    /// Is this peer denied?
    fn denial(&self, id: &SpiffeId, serial: &Serial) -> Option<Denial>;
}

impl Serial {
    /// The number in these bytes, the most significant first; zeros in front do not matter.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        Self(bytes[first..].into())
    }

    /// That of a certificate.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        Ok(Certificate::parse(certificate)?.serial())
    }

    /// The most significant first, without zeros in front.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// May a certificate have it?
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.len() <= MAX_SERIAL
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let digits: String = match text.contains(':') {
            false => text.to_owned(),
            true if text.split(':').all(|byte| byte.len() == 2) => text.split(':').collect(),
            true => return Err(SerialError::Digits),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SerialError::Digits);
        }
        let digits = digits.trim_start_matches('0');
        if digits.len() > 2 * MAX_SERIAL {
            return Err(SerialError::TooLong);
        }
        // An odd number of digits lacks the first one, which is zero.
        let even =
            if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
        let byte = |at: usize| u8::from_str_radix(&even[at..at + 2], 16);
        let bytes: Result<Vec<u8>, _> = (0..even.len()).step_by(2).map(byte).collect();
        bytes.map(|bytes| Self::new(&bytes)).map_err(|_| SerialError::Digits)
    }
}

impl DenyList {
    /// Denies an identity, for a reason in a few words.
    pub fn deny_identity(&mut self, id: SpiffeId, reason: &str) {
        self.identities.entry(id).or_insert_with(|| reason.into());
    }

    /// Denies a certificate, for a reason in a few words.
    pub fn deny_serial(&mut self, serial: Serial, reason: &str) {
        self.serials.entry(serial).or_insert_with(|| reason.into());
    }

    /// Is this identity denied, whatever it shows?
    #[must_use]
    pub fn identity(&self, id: &SpiffeId) -> Option<Denial> {
        let reason = self.identities.get(id)?;
        Some(Denial { what: Denied::Identity(id.clone()), reason: Arc::clone(reason) })
    }

    /// Is this peer denied?
    #[must_use]
    pub fn peer(&self, id: &SpiffeId, serial: &Serial) -> Option<Denial> {
        self.identity(id).or_else(|| {
            let reason = self.serials.get(serial)?;
            Some(Denial { what: Denied::Serial(serial.clone()), reason: Arc::clone(reason) })
        })
    }

    /// All identities with their reasons.
    pub fn identities(&self) -> impl Iterator<Item = (&SpiffeId, &str)> {
        self.identities.iter().map(|(id, reason)| (id, &**reason))
    }

    /// All serial numbers with their reasons.
    pub fn serials(&self) -> impl Iterator<Item = (&Serial, &str)> {
        self.serials.iter().map(|(serial, reason)| (serial, &**reason))
    }

    /// How many are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.identities.len() + self.serials.len()
    }

    /// Is nobody denied?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Denial {
    /// Reads what [`fmt::Display`] wrote of a peer's own denial; `None` of anything else.
    #[must_use]
    pub fn parse(text: &str, id: &SpiffeId, serial: &Serial) -> Option<Self> {
        [Denied::Identity(id.clone()), Denied::Serial(serial.clone())].into_iter().find_map(
            |what| {
                let bare = Self { what, reason: "".into() };
                let reason = text.strip_prefix(&bare.to_string())?;
                let reason = if reason.is_empty() { "" } else { reason.strip_prefix(": ")? };
                Some(Self { reason: reason.into(), ..bare })
            },
        )
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("00");
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Denied::Identity(id) => write!(f, "the identity {id} is denied")?,
            Denied::Serial(serial) => write!(f, "the certificate {serial} is denied")?,
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

#[cfg(test)]
mod tests;
