//! Open connections, so that those of a caller who may call no more are ended when the rules change. `inbound` enters
//! each, `state` has them looked at. It must never end one that may still ask for something.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use weft_certs::SpiffeId;
use weft_policy::Narrowed;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests; each is judged on its own.
    Http,
    /// Judged once.
    Opaque,
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

    /// Ends those that may do nothing any more. Returns how many.
    pub fn review(&self, access: impl Fn(u16) -> Option<Arc<PortAccess>>) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all.retain(|guest| guest.cut.strong_count() > 0);
        let mut ended = 0;
        for guest in &open.all {
            let revoked = access(guest.port).is_some_and(|access| guest.is_revoked(&access));
            if let Some(cut) = guest.cut.upgrade().filter(|_| revoked) {
                cut.cut();
                ended += 1;
            }
        }
        ended
    }
}

impl Guest {
    fn is_revoked(&self, access: &PortAccess) -> bool {
        let caller = caller(self.identity.as_ref(), self.address, self.port);
        match self.kind {
            Kind::Http => Narrowed::new(&access.http, &caller).is_hopeless(),
            Kind::Opaque => !weft_policy::decide(&access.tcp, &caller, None).is_allowed(),
        }
    }
}
