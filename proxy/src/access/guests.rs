//! Open connections, so that those of a caller who may call no more are ended when the rules change. `inbound` enters
//! each, `state` has them looked at. It must never end one that may still ask for something, and would be let in now.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::{HeaderMap, Method, Request};
use weft_certs::SpiffeId;
use weft_policy::{Caller, Narrowed};

use super::caller;
use crate::drain::Cut;
use crate::model::PortAccess;

/// Connections that have ended are forgotten when there are this many more than at the last look.
const SLACK: usize = 64;

/// All of one proxy.
#[derive(Debug, Default)]
pub struct Guests {
    /// Lock: held for one entry, or for one look at all. Bound: twice the open connections, and [`SLACK`].
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: Vec<Guest>,
    /// With so many a look for those that have ended is due.
    due: usize,
}

/// What a connection carries.
#[derive(Debug)]
pub enum Kind {
    /// Requests; each is judged on its own.
    Http,
    /// Judged once.
    Opaque,
    /// What became of a request that asked for another protocol: as long as it may be asked for.
    Switched(Arc<Asked>),
    /// A prober's, which no rule is about.
    Probe,
}

/// What of a request is judged.
#[derive(Debug)]
pub struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
}

/// What holds on a port.
#[derive(Debug, Default)]
pub struct Now {
    /// Who may do what; `None` if everybody may do everything.
    pub access: Option<Arc<PortAccess>>,
    /// Mutual TLS only.
    pub strict: bool,
}

impl Asked {
    /// Of a canonical request.
    pub fn of<B>(request: &Request<B>) -> Arc<Self> {
        let path = request.uri().path().to_owned();
        let (method, headers) = (request.method().clone(), request.headers().clone());
        Arc::new(Self { method, path, headers })
    }

    /// May he ask for it?
    #[must_use]
    pub fn is_allowed(&self, access: &PortAccess, caller: &Caller<'_>) -> bool {
        let Self { method, path, headers } = self;
        let request = weft_policy::Request { method: method.as_str(), path, headers };
        weft_policy::decide(&access.http, caller, Some(&request)).is_allowed()
    }
}

#[derive(Debug)]
struct Guest {
    kind: Kind,
    identity: Option<SpiffeId>,
    address: SocketAddr,
    port: u16,
    cut: Weak<Cut>,
}

impl Guests {
    /// Enters a connection. Order: before it is judged, so that no change of the rules falls between.
    pub fn enter(
        &self,
        kind: Kind,
        identity: Option<&SpiffeId>,
        address: SocketAddr,
        port: u16,
        cut: &Arc<Cut>,
    ) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all.len() >= open.due {
            open.all.retain(|guest| guest.cut.strong_count() > 0);
            open.due = 2 * open.all.len() + SLACK;
        }
        let (identity, cut) = (identity.cloned(), Arc::downgrade(cut));
        open.all.push(Guest { kind, identity, address, port, cut });
    }

    /// Ends those that may do nothing any more, or would not be let in. Returns how many.
    pub fn review(&self, now: impl Fn(u16) -> Now) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all.retain(|guest| guest.cut.strong_count() > 0);
        let mut ended = 0;
        for guest in &open.all {
            let revoked = guest.is_revoked(&now(guest.port));
            if let Some(cut) = guest.cut.upgrade().filter(|_| revoked) {
                cut.cut();
                ended += 1;
            }
        }
        ended
    }
}

impl Guest {
    fn is_revoked(&self, now: &Now) -> bool {
        if matches!(self.kind, Kind::Probe) {
            return false;
        }
        if now.strict && self.identity.is_none() {
            return true;
        }
        let Some(access) = &now.access else { return false };
        let caller = caller(self.identity.as_ref(), self.address, self.port);
        match &self.kind {
            Kind::Http | Kind::Probe => Narrowed::new(&access.http, &caller).is_hopeless(),
            Kind::Opaque => !weft_policy::decide(&access.tcp, &caller, None).is_allowed(),
            Kind::Switched(asked) => !asked.is_allowed(access, &caller),
        }
    }
}
