//! Join tokens: how a proxy that has no certificate yet proves who it is.
//!
//! A token is minted over the admin socket for one workload, travels in the bootstrap file and is shown once
//! to the identity service. This table is pure: time and randomness are arguments. It must never hold a
//! token itself, only its SHA-256: whoever reads this memory cannot join with it.
//!
//! **Spent at the first well-formed showing.** [`JoinTokens::take`] removes the token whatever comes of it,
//! under the caller's lock, so two calls can never both succeed. A showing that names another identity spends
//! it too: the token is then in hands that it was not made for. Only a failure of our own (the authority
//! cannot sign now) gives it back, by [`JoinTokens::restore`].

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weft_certs::SpiffeId;

use crate::model::Key;

/// Life of a token.
pub(crate) const LIFE: Duration = Duration::from_secs(600);

// Bound: about 300 bytes each.
const MAX_OUTSTANDING: usize = 10_000;

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The workload that it was minted for.
    pub(crate) workload: Key,
    /// The one identity that may be asked for with it.
    pub(crate) identity: SpiffeId,
    /// The first instant at which it is worth nothing.
    pub(crate) expires: SystemTime,
}

/// There are 10,000 tokens that nobody has used yet.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_OUTSTANDING} join tokens are outstanding; try again when some are used or expired")]
pub(crate) struct TooMany;

/// The token is not known: never minted here, spent, or expired. One answer for all, so that guessing
/// teaches nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the join token is unknown, used or expired; ask for a new one")]
pub(crate) struct Unknown;

type Digest = [u8; 32];

/// Tokens that were minted and not shown yet.
#[derive(Debug, Default)]
pub(crate) struct JoinTokens {
    grants: HashMap<Digest, Grant>,
    /// In order of expiry, which is the order of minting as all live equally long. May hold digests that
    /// were taken already.
    order: VecDeque<(SystemTime, Digest)>,
}

impl JoinTokens {
    /// A token for `identity`, made of `secret`: 32 bytes of good randomness.
    ///
    /// # Errors
    /// If the table is full.
    pub(crate) fn mint(
        &mut self,
        workload: Key,
        identity: SpiffeId,
        secret: [u8; 32],
        now: SystemTime,
    ) -> Result<String, TooMany> {
        self.expire(now);
        // Bound: `order` keeps the places of taken tokens until it is full.
        if self.order.len() >= MAX_OUTSTANDING {
            self.order.retain(|(_, digest)| self.grants.contains_key(digest));
        }
        if self.grants.len() >= MAX_OUTSTANDING {
            return Err(TooMany);
        }
        let token = URL_SAFE_NO_PAD.encode(secret);
        let digest = sha256(&token);
        let expires = now + LIFE;
        self.order.push_back((expires, digest));
        self.grants.insert(digest, Grant { workload, identity, expires });
        Ok(token)
    }

    /// What `token` stands for; it is worth nothing from now on.
    ///
    /// # Errors
    /// If there is no such token, or no longer.
    pub(crate) fn take(&mut self, token: &str, now: SystemTime) -> Result<Grant, Unknown> {
        // Looked up by digest: how long that takes says nothing about any token.
        let grant = self.grants.remove(&sha256(token)).ok_or(Unknown)?;
        if grant.expires <= now { Err(Unknown) } else { Ok(grant) }
    }

    /// Gives a token back that was taken and could not be served, through no fault of the caller.
    pub(crate) fn restore(&mut self, token: &str, grant: Grant) {
        let digest = sha256(token);
        // Usually its place in `order` is still there, as `take` leaves it. The scan is paid only when the
        // authority fails.
        if !self.order.iter().any(|(_, known)| *known == digest) {
            self.order.push_front((grant.expires, digest));
        }
        self.grants.insert(digest, grant);
    }

    /// Tokens that can still be used.
    pub(crate) fn outstanding(&mut self, now: SystemTime) -> usize {
        self.expire(now);
        self.grants.len()
    }

    fn expire(&mut self, now: SystemTime) {
        while let Some((expires, digest)) = self.order.front()
            && *expires <= now
        {
            self.grants.remove(digest);
            self.order.pop_front();
        }
    }
}

fn sha256(token: &str) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests;
