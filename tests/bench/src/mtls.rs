//! Shows, before anything is measured, that a pair refuses whom it must: an inbound proxy that takes plaintext
//! or strangers, or an outbound proxy that talks to anybody, would be fast for the wrong reason. Works on a pair
//! of its own, because it ends with that pair's inbound proxy replaced by an impostor.

mod impostor;
mod knock;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::cell::Protocol;
use crate::load;
use crate::peer::{Credentials, Kind, Peer};
use crate::pki::Identity;
use crate::site::Site;
use impostor::Impostor;
pub(crate) use knock::connector_with;
use knock::{Answer, Door, knock};

/// Handshakes that an impostor must have seen before it counts as refused.
const ATTEMPTS: usize = 3;

/// Time for them; a proxy may back off between attempts.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What must be so.
    pub(crate) rule: &'static str,
    /// Is it?
    pub(crate) holds: bool,
    /// What was seen.
    pub(crate) seen: String,
}

/// Tries everything on a fresh pair.
pub(crate) async fn check(kind: Kind, site: &Site) -> Result<Vec<Finding>> {
    let label = format!("{}-mtls", kind.name());
    let peer = Peer::start(kind, site, &label).await?;
    let mut findings = knocks(&peer).await?;
    findings.extend(impostors(peer).await?);
    Ok(findings)
}

/// What the inbound proxy lets in, at each of its doors. The first is the control: without it the others would prove
/// nothing.
async fn knocks(peer: &Peer) -> Result<Vec<Finding>> {
    let mut findings = at(&Door::http(peer), &peer.credentials, RULES).await?;
    if let Some(opaque) = peer.opaque {
        findings.extend(at(&Door::opaque(opaque), &peer.credentials, OPAQUE_RULES).await?);
    }
    Ok(findings)
}

/// Who knocks, in the order of [`at`].
type Rules = [&'static str; 4];

const RULES: Rules = [
    "inbound accepts the client over TLS 1.3",
    "inbound refuses TLS without a client certificate",
    "inbound refuses a rogue CA's client",
    "inbound refuses plaintext",
];

const OPAQUE_RULES: Rules = [
    "opaque: inbound accepts the client over TLS 1.3",
    "opaque: inbound refuses TLS without a client certificate",
    "opaque: inbound refuses a rogue CA's client",
    "opaque: inbound refuses plaintext",
];

async fn at(door: &Door, credentials: &Credentials, rules: Rules) -> Result<Vec<Finding>> {
    let tries = [
        (true, Some(Some(&credentials.client))),
        (false, Some(None)),
        (false, Some(Some(&credentials.rogue_client))),
        (false, None),
    ];
    let mut findings = Vec::new();
    for (rule, (accepted, tls)) in rules.into_iter().zip(tries) {
        let answer = knock(door, tls).await?;
        let holds = match answer {
            Answer::Served => accepted,
            Answer::Refused(_) => !accepted,
            Answer::Silent => false,
        };
        findings.push(Finding { rule, holds, seen: answer.to_string() });
    }
    Ok(findings)
}

/// Whom the outbound proxy sends a request to. The last is the control.
async fn impostors(peer: Peer) -> Result<Vec<Finding>> {
    let target = peer.target(Protocol::Http1)?;
    let Peer { inbound, inbound_address, alpn, credentials, outbound, support, .. } = peer;
    // Order: the port must be free before an impostor binds it.
    drop(inbound);
    let tries: [(_, &Identity, bool); 3] = [
        ("outbound refuses a rogue CA's server", &credentials.rogue_server, false),
        ("outbound refuses a server of another id", &credentials.client, false),
        ("outbound accepts the server", &credentials.server, true),
    ];
    let mut findings = Vec::new();
    for (rule, identity, accepted) in tries {
        let impostor = Impostor::start(inbound_address, identity, alpn).await?;
        let deadline = Instant::now() + PATIENCE;
        while !impostor.entrusted()
            && (accepted || impostor.attempts() < ATTEMPTS)
            && Instant::now() < deadline
        {
            // What the client gets does not matter here, only what the impostor got.
            let _ = timeout(Duration::from_secs(2), load::once(&target)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (attempts, entrusted) = (impostor.attempts(), impostor.entrusted());
        let holds = entrusted == accepted && (accepted || attempts >= ATTEMPTS);
        let sent = if entrusted { "a request was sent" } else { "no request was sent" };
        impostor.stop().await;
        findings.push(Finding { rule, holds, seen: format!("{attempts} connections, {sent}") });
    }
    drop((outbound, support));
    Ok(findings)
}
