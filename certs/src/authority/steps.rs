//! What somebody asks of a CA: to change its root in steps, and to take an issuer from outside.
//!
//! Called by [`super::Authority::change_state`] and by `store` for directories. Each step is one new state, written as a whole:
//! whoever is interrupted finds the CA before the step or after it. Whether everybody is ready for a step is the caller's
//! to know.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::issuer::ExternalIssuer;
use super::material::{Material, Next, Old, RootCertificate, after, end, issuing, root};
use super::{AuthorityError, Lifetimes};
use crate::bundle::fingerprint_of;
use crate::clock;
use crate::spiffe::TrustDomain;

/// Bound: roots that are believed after their turn. Each costs every sidecar a line of memory and every proof a look.
const MAX_OLD: usize = 8;
/// A leaf's longest life where none was recorded: the most that a `MeshConfig` may ask for.
const LONGEST_LIFE: i64 = 30 * 24 * 3600;

/// A change of a CA's state. One that finds nothing to change is no error.
#[derive(Clone, Debug)]
pub enum Change {
    /// What is due by the clock, and nothing else.
    Renew,
    /// A new root is believed beside the present one, and signs nothing.
    Stage,
    /// The root with this fingerprint, if it is the one that is staged, signs from now on, leaves of at most this life.
    Issue(String, Duration),
    /// Those of these roots whose turn is over are believed no more.
    Retire(Vec<String>),
    /// Leaves live up to so long from now on.
    Leaves(Duration),
    /// This issuer signs: at once if its root signs already, else its root is staged.
    Issuer(Arc<ExternalIssuer>),
}

impl Material {
    /// Returns whether anything changed.
    ///
    /// # Errors
    /// If a certificate cannot be made, or too many roots would be believed.
    pub(super) fn apply(
        &mut self,
        change: &Change,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<bool, AuthorityError> {
        let unix = clock::unix(now);
        match change {
            Change::Renew => self.renew(trust_domain, now),
            Change::Stage => self.stage(trust_domain, unix),
            Change::Issue(root, leaves) => {
                let staged = self.next.as_ref().map(|next| fingerprint_of(&next.root.certificate));
                let is_staged = staged.as_ref() == Some(root);
                if is_staged {
                    self.issue(trust_domain, unix, Some(seconds(*leaves)))?;
                }
                Ok(is_staged)
            }
            Change::Retire(roots) => {
                let before = self.old.len();
                self.old.retain(|old| !roots.contains(&fingerprint_of(&old.certificate)));
                Ok(self.old.len() < before)
            }
            Change::Leaves(life) => {
                let life = Some(seconds(*life));
                let longer = life > self.leaf_life;
                self.leaf_life = self.leaf_life.max(life);
                Ok(longer)
            }
            Change::Issuer(issuer) => self.take_issuer(issuer, unix),
        }
    }

    fn stage(&mut self, trust_domain: &TrustDomain, now: i64) -> Result<bool, AuthorityError> {
        if self.next.is_some() {
            return Ok(false);
        }
        if self.old.len() >= MAX_OLD {
            return Err(AuthorityError::TooManyRoots(self.old.len()));
        }
        let root = root(trust_domain, now, Lifetimes::default().root)?;
        self.next = Some(Next { root, issuing: None, since: now });
        Ok(true)
    }

    /// The turn of the root that is staged. `leaves`: the longest life of a leaf from now on.
    pub(super) fn issue(
        &mut self,
        trust_domain: &TrustDomain,
        now: i64,
        leaves: Option<i64>,
    ) -> Result<(), AuthorityError> {
        let Some(Next { root, issuing: given, since }) = self.next.take() else { return Ok(()) };
        let made = match given {
            Some(given) => Ok(given),
            None => issuing(&root, trust_domain, now, Lifetimes::default().issuing),
        };
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                self.next = Some(Next { root, issuing: None, since });
                return Err(error);
            }
        };
        let before = std::mem::replace(&mut self.issuing, made);
        let root = std::mem::replace(&mut self.root, root);
        let life = self.leaf_life.unwrap_or(LONGEST_LIFE);
        let last_leaf = now.saturating_add(life).min(end(before.certificate()?)?);
        let issuing = Some(before);
        self.old.push(Old { certificate: root.certificate, last_leaf, issuing });
        self.leaf_life = leaves.or(self.leaf_life);
        Ok(())
    }

    fn take_issuer(&mut self, issuer: &ExternalIssuer, now: i64) -> Result<bool, AuthorityError> {
        let new = &issuer.issuing;
        if self.root.certificate == issuer.root {
            let changed = self.issuing.chain != new.chain;
            if changed {
                self.issuing = new.clone();
            }
            return Ok(changed);
        }
        if let Some(next) = &mut self.next
            && next.root.certificate == issuer.root
        {
            let known = next.issuing.as_ref().is_some_and(|known| known.chain == new.chain);
            if !known {
                next.issuing = Some(new.clone());
            }
            return Ok(!known);
        }
        self.old.retain(|old| old.certificate != issuer.root);
        if self.old.len() >= MAX_OLD {
            return Err(AuthorityError::TooManyRoots(self.old.len()));
        }
        // One that was staged before leads nobody anywhere yet and need not be believed.
        let root = RootCertificate { certificate: issuer.root.clone(), key: None };
        self.next = Some(Next { root, issuing: Some(new.clone()), since: now });
        Ok(true)
    }
}

fn seconds(life: Duration) -> i64 {
    after(0, life)
}

#[cfg(test)]
mod tests;
