//! SPIFFE ids: the names of workloads.
//!
//! Parsed wherever a name enters: certificates, CSRs, configuration, bootstrap files. Parsing is
//! strict and never normalises, so two ids are the same workload exactly if their text is equal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// SPIFFE ID specification §2.3: implementations support ids up to this many bytes.
const MAX_ID: usize = 2048;
/// SPIFFE ID specification §2.1: the longest trust domain name in bytes.
const MAX_TRUST_DOMAIN: usize = 255;
const SCHEME: &str = "spiffe://";

/// The name of a trust domain, such as `demo.local`: everything one root of trust vouches for.
///
/// Cheap to clone. Holds only `a-z 0-9 . - _`, 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

/// The name of a workload: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
///
/// Cheap to clone. Equality, order and hash are those of the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    uri: Arc<str>,
    trust_domain: TrustDomain,
    /// Where the namespace ends in `uri`; where it starts follows from the trust domain's length.
    namespace_end: usize,
}

/// Why a text is no SPIFFE id of a Weft workload, or no trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// More than 2048 bytes.
    #[error("it is {0} bytes long, a SPIFFE id has at most {MAX_ID}")]
    TooLong(usize),
    /// Another scheme, or none. The scheme is matched in lower case only.
    #[error("it does not start with {SCHEME}")]
    Scheme,
    /// Nothing between the scheme and the path.
    #[error("its trust domain is empty")]
    TrustDomainEmpty,
    /// More than 255 bytes of trust domain.
    #[error("its trust domain is {0} bytes long, at most {MAX_TRUST_DOMAIN} are allowed")]
    TrustDomainTooLong(usize),
    /// An upper-case letter, a port, user information or anything else that is not allowed.
    #[error("its trust domain contains {0:?}; only a-z, 0-9, '.', '-' and '_' are allowed")]
    TrustDomainChar(char),
    /// The path has not the four segments `ns`, namespace, `sa`, service account.
    #[error("its path is not of the form /ns/<namespace>/sa/<service account>")]
    Path,
    /// The namespace or the service account is empty, `.` or `..`.
    #[error("its {part} is {value:?}, which no path segment may be")]
    Segment {
        /// "namespace" or "service account".
        part: &'static str,
        /// The segment as it was given.
        value: String,
    },
    /// A character that no path segment may have; percent-encoding, query and fragment end here.
    #[error("its {part} contains {found:?}; only letters, digits, '.', '-' and '_' are allowed")]
    SegmentChar {
        /// "namespace" or "service account".
        part: &'static str,
        /// The first offending character.
        found: char,
    },
}

impl TrustDomain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        if name.is_empty() {
            return Err(IdError::TrustDomainEmpty);
        }
        if name.len() > MAX_TRUST_DOMAIN {
            return Err(IdError::TrustDomainTooLong(name.len()));
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-' | '_');
        match name.chars().find(|&c| !allowed(c)) {
            Some(found) => Err(IdError::TrustDomainChar(found)),
            None => Ok(Self(name.into())),
        }
    }
}

impl SpiffeId {
    /// The id of a service account.
    ///
    /// # Errors
    /// If `namespace` or `service_account` is no valid path segment, or the id gets too long.
    pub fn workload(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, IdError> {
        check_segment("namespace", namespace)?;
        check_segment("service account", service_account)?;
        let uri = format!("{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}");
        if uri.len() > MAX_ID {
            return Err(IdError::TooLong(uri.len()));
        }
        let namespace_end =
            namespace_start(trust_domain).saturating_add(namespace.len()).min(uri.len());
        Ok(Self { uri: uri.into(), trust_domain: trust_domain.clone(), namespace_end })
    }

    /// Reads an id; the same as its `FromStr`.
    ///
    /// # Errors
    /// If `uri` is not exactly of the form that the type's documentation gives.
    pub fn parse(uri: &str) -> Result<Self, IdError> {
        if uri.len() > MAX_ID {
            return Err(IdError::TooLong(uri.len()));
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(IdError::Scheme)?;
        let (trust_domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        let trust_domain = TrustDomain::from_str(trust_domain)?;
        let mut segments = path.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next(), segments.next())
        {
            (Some("ns"), Some(namespace), Some("sa"), Some(account), None) => {
                Self::workload(&trust_domain, namespace, account)
            }
            _ => Err(IdError::Path),
        }
    }

    /// The id as text, a URI.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain that the id lies in.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The namespace, one path segment.
    pub fn namespace(&self) -> &str {
        &self.uri[namespace_start(&self.trust_domain)..self.namespace_end]
    }

    /// The service account, one path segment.
    pub fn service_account(&self) -> &str {
        &self.uri[self.namespace_end + "/sa/".len()..]
    }
}

fn namespace_start(trust_domain: &TrustDomain) -> usize {
    SCHEME.len() + trust_domain.0.len() + "/ns/".len()
}

fn check_segment(part: &'static str, value: &str) -> Result<(), IdError> {
    if matches!(value, "" | "." | "..") {
        return Err(IdError::Segment { part, value: value.to_owned() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match value.chars().find(|&c| !allowed(c)) {
        Some(found) => Err(IdError::SegmentChar { part, found }),
        None => Ok(()),
    }
}

impl FromStr for SpiffeId {
    type Err = IdError;

    fn from_str(uri: &str) -> Result<Self, IdError> {
        Self::parse(uri)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.uri)
    }
}

#[cfg(test)]
mod tests;
