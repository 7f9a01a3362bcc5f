//! The roots that a proxy believes before it has talked to anybody: given once, or in a file that is replaced under
//! it. Asked by `control_channel` when there are no credentials, and looked at by `identity`, which asks for a new
//! certificate when they change.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weft_certs::{TrustBundle, TrustDomain};

use super::read_text;

/// Bound: a bundle of 100 roots is far below this.
const MAX_BYTES: u64 = 1 << 20;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots(Arc<Kept>);

#[derive(Debug)]
enum Kept {
    Given(TrustBundle),
    File { path: PathBuf, domain: TrustDomain, last: Mutex<Last> },
}

/// What the file held when it was last good.
#[derive(Debug)]
struct Last {
    text: String,
    bundle: TrustBundle,
    /// It is not good now; so that this is one line in the log.
    failing: bool,
}

impl Roots {
    /// These, for ever.
    #[must_use]
    pub fn given(bundle: TrustBundle) -> Self {
        Self(Arc::new(Kept::Given(bundle)))
    }

    /// Those of a file, now and later, and their trust domain.
    ///
    /// # Errors
    /// If it cannot be read, holds anything but roots, or roots that are not of one trust domain.
    pub fn from_file(path: &Path) -> Result<(Self, TrustDomain), String> {
        let text = read(path)?;
        let bundle = TrustBundle::from_pem(&text).map_err(|error| error.to_string())?;
        let domain = bundle.trust_domain_in(&text).map_err(|error| error.to_string())?;
        let last = Mutex::new(Last { text, bundle, failing: false });
        let kept = Kept::File { path: path.to_owned(), domain: domain.clone(), last };
        Ok((Self(Arc::new(kept)), domain))
    }

    /// Those to believe now. A file is read again; while it is missing or no good, or of another trust domain, what it
    /// held before counts.
    #[must_use]
    pub fn now(&self) -> TrustBundle {
        let (path, domain, last) = match &*self.0 {
            Kept::Given(bundle) => return bundle.clone(),
            Kept::File { path, domain, last } => (path, domain, last),
        };
        // Lock: never held over an await, only by the control thread.
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match newer(path, domain, &last.text) {
            Ok(newer) => {
                if let Some((text, bundle)) = newer {
                    (last.text, last.bundle) = (text, bundle);
                }
                last.failing = false;
            }
            Err(reason) => {
                if !std::mem::replace(&mut last.failing, true) {
                    let path = path.display();
                    tracing::warn!(%path, reason, "trust bundle ignored, the last good one stays");
                }
            }
        }
        last.bundle.clone()
    }

    /// May they change?
    #[must_use]
    pub fn may_change(&self) -> bool {
        matches!(&*self.0, Kept::File { .. })
    }
}

/// What the file holds if it is not `known`.
fn newer(
    path: &Path,
    domain: &TrustDomain,
    known: &str,
) -> Result<Option<(String, TrustBundle)>, String> {
    let text = read(path)?;
    if text == known {
        return Ok(None);
    }
    let bundle = TrustBundle::from_pem(&text).map_err(|error| error.to_string())?;
    let other = bundle.trust_domain_in(&text).map_err(|error| error.to_string())?;
    if other != *domain {
        return Err(format!(
            "it is of the trust domain {other}, this proxy of {domain}; start it again"
        ));
    }
    Ok(Some((text, bundle)))
}

fn read(path: &Path) -> Result<String, String> {
    let read = File::open(path).and_then(|file| read_text(file, MAX_BYTES));
    read.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
