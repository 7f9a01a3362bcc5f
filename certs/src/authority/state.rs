//! A CA's state as text: sections of PEM, each under a line that says what it is.
//!
//! ```text
//! # weft:leaf-life 86400            longest life of a leaf, seconds
//! # weft:root                       certificate, and key where it is ours
//! # weft:issuing                    chain, and key
//! # weft:next 1764000000            staged since; certificate, and key where it is ours
//! # weft:next-issuing               chain, and key, where they came with it
//! # weft:old 1764000000             last second of the last leaf; certificate
//! # weft:old-issuing                chain, and key, of the old root before it
//! ```
//! Older states have no such lines: root, issuing certificate, perhaps the next root, each with its key; then old roots.
//! Used by `store` and [`super::Authority`]; [`Material::authority`] checks what was read. The text holds private keys.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind::{Certificate, PrivateKey};
use zeroize::Zeroizing;

use super::AuthorityError;
use super::issuing_key::IssuingKey;
use super::material::{Issuing, Material, Next, Old, RootCertificate, end};
use super::template::BACKDATED;
use crate::key::PrivateKey as Key;
use crate::pem::{self, PemError, Section};

const LABEL: &str = "# weft:";
/// Bound, bytes: four sections of about 1 KiB each, and for each old root three more.
pub(super) const MAX_STATE: usize = 128 * 1024;

impl Material {
    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        // Never moved to where it would have room, which would leave a copy behind.
        let mut out = Zeroizing::new(String::with_capacity(MAX_STATE));
        if let Some(life) = self.leaf_life {
            label(&mut out, "leaf-life", Some(life));
        }
        label(&mut out, "root", None);
        write_root(&mut out, &self.root);
        label(&mut out, "issuing", None);
        write_issuing(&mut out, &self.issuing);
        if let Some(next) = &self.next {
            label(&mut out, "next", Some(next.since));
            write_root(&mut out, &next.root);
            if let Some(issuing) = &next.issuing {
                label(&mut out, "next-issuing", None);
                write_issuing(&mut out, issuing);
            }
        }
        for old in &self.old {
            label(&mut out, "old", Some(old.last_leaf));
            out.push_str(&pem::certificate(&old.certificate));
            if let Some(issuing) = &old.issuing {
                label(&mut out, "old-issuing", None);
                write_issuing(&mut out, issuing);
            }
        }
        out
    }

    /// Reads what [`Material::to_pem`] wrote, now or in an earlier version.
    pub(super) fn from_pem(text: &str) -> Result<Self, AuthorityError> {
        let sections = pem::sections(text).map_err(AuthorityError::Pem)?;
        let parts = parts(text);
        if parts.is_empty() {
            return without_labels(&sections);
        }
        let wrong = || AuthorityError::Pem(unexpected(&sections));
        let (mut root, mut issuing, mut leaf_life) = (None, None, None);
        let (mut next, mut old) = (None::<Next>, Vec::<Old>::new());
        for (name, number, text) in parts {
            let found = pem::sections(text).map_err(AuthorityError::Pem)?;
            match (name, number) {
                ("leaf-life", Some(life)) if found.is_empty() => leaf_life = Some(life),
                ("root", None) if root.is_none() => root = Some(read_root(&found)?),
                ("issuing", None) if issuing.is_none() => issuing = Some(read_issuing(&found)?),
                ("next", Some(since)) if next.is_none() => {
                    next = Some(Next { root: read_root(&found)?, issuing: None, since });
                }
                ("next-issuing", None) => {
                    next.as_mut().ok_or_else(wrong)?.issuing = Some(read_issuing(&found)?);
                }
                ("old", Some(last_leaf)) => {
                    let RootCertificate { certificate, .. } = read_root(&found)?;
                    old.push(Old { certificate, last_leaf, issuing: None });
                }
                ("old-issuing", None) => {
                    old.last_mut().ok_or_else(wrong)?.issuing = Some(read_issuing(&found)?);
                }
                _ => return Err(wrong()),
            }
        }
        let (Some(root), Some(issuing)) = (root, issuing) else { return Err(wrong()) };
        Ok(Self { root, issuing, next, old, leaf_life })
    }
}

/// Name, number and text of each labelled part.
fn parts(text: &str) -> Vec<(&str, Option<i64>, &str)> {
    let mut parts = Vec::new();
    // The first piece is what stands before the first label.
    for part in text.split(LABEL).skip(1) {
        let (line, rest) = part.split_once('\n').unwrap_or((part, ""));
        let (name, number) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        parts.push((name, number.parse().ok(), rest));
    }
    parts
}

/// A state from before there were labels.
fn without_labels(sections: &[Section]) -> Result<Material, AuthorityError> {
    let wrong = || AuthorityError::Pem(unexpected(sections));
    let [(Certificate, _), (PrivateKey, _), (Certificate, _), (PrivateKey, _), rest @ ..] =
        sections
    else {
        return Err(wrong());
    };
    let (next, old) = match rest {
        [(Certificate, der), (PrivateKey, _), old @ ..] => {
            let root = read_root(&rest[..2])?;
            let der = CertificateDer::from(der.as_slice());
            let since = crate::x509::Certificate::parse(&der)?.validity().0 + BACKDATED;
            (Some(Next { root, issuing: None, since }), old)
        }
        old => (None, old),
    };
    let mut forgotten = Vec::new();
    for (kind, der) in old {
        if *kind != Certificate {
            return Err(wrong());
        }
        let certificate = CertificateDer::from(der.to_vec());
        // When it signed last nobody has written down.
        let last_leaf = end(&certificate)?;
        forgotten.push(Old { certificate, last_leaf, issuing: None });
    }
    let (root, issuing) = (read_root(&sections[..2])?, read_issuing(&sections[2..4])?);
    Ok(Material { root, issuing, next, old: forgotten, leaf_life: None })
}

fn label(out: &mut String, name: &str, number: Option<i64>) {
    let number = number.map(|number| format!(" {number}")).unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{LABEL}{name}{number}");
}

fn write_root(out: &mut String, root: &RootCertificate) {
    out.push_str(&pem::certificate(&root.certificate));
    if let Some(key) = &root.key {
        out.push_str(&key.to_pem());
    }
}

fn write_issuing(out: &mut String, issuing: &Issuing) {
    out.extend(issuing.chain.iter().map(|certificate| pem::certificate(certificate)));
    out.push_str(&issuing.key.to_pem());
}

fn read_root(sections: &[Section]) -> Result<RootCertificate, AuthorityError> {
    match sections {
        [(Certificate, der)] => {
            Ok(RootCertificate { certificate: CertificateDer::from(der.to_vec()), key: None })
        }
        [(Certificate, der), (PrivateKey, key)] => Ok(RootCertificate {
            certificate: CertificateDer::from(der.to_vec()),
            key: Some(Key::from_pkcs8(key)?),
        }),
        other => Err(AuthorityError::Pem(unexpected(other))),
    }
}

fn read_issuing(sections: &[Section]) -> Result<Issuing, AuthorityError> {
    let wrong = || AuthorityError::Pem(unexpected(sections));
    let (key, chain) = sections.split_last().ok_or_else(wrong)?;
    if chain.is_empty() || chain.iter().any(|(kind, _)| *kind != Certificate) {
        return Err(wrong());
    }
    let chain = chain.iter().map(|(_, der)| CertificateDer::from(der.to_vec())).collect();
    Ok(Issuing { chain, key: IssuingKey::from_section(key)? })
}

fn unexpected(found: &[Section]) -> PemError {
    pem::unexpected("root certificate and key, issuing certificate and key", found)
}
