//! Who is denied whatever his certificate says, and whatever any policy allows him. `tls` asks after every handshake,
//! resumed ones included, and enters what it opens; `inbound` enters what it accepts; `state` puts a new list in force,
//! which ends what is open. It must never let a connection pass between a look at the list and a change of it.

mod told;

use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use weft_certs::{Denial, Denies, DenyList, Serial, SpiffeId};

use crate::drain::Cut;
use crate::error::{Error, Token};
use crate::io::Sever;
use crate::telemetry::metrics::{Direction, Metrics};
use told::Told;

/// Connections that have ended are forgotten when there are this many more than at the last look.
const SLACK: usize = 64;

/// All of one proxy.
#[derive(Debug)]
pub struct Denials {
    list: ArcSwap<DenyList>,
    /// Lock: held for one entry, or for one look at all. Bound: twice the open connections with a peer, and [`SLACK`].
    open: Mutex<Open>,
    /// Lock: held to replace or to compare a value.
    own: RwLock<Own>,
    denied: watch::Sender<Option<Denial>>,
    told: Arc<Told>,
}

/// What concerns this workload itself.
#[derive(Debug, Default)]
struct Own {
    leaf: Option<(SpiffeId, Serial)>,
    /// What the control plane said when this certificate was shown to it; it no longer sends its list then.
    notice: Option<(Serial, Denial)>,
}

#[derive(Debug, Default)]
struct Open {
    all: Vec<Connection>,
    /// With so many a look for those that have ended is due.
    due: usize,
}

#[derive(Debug)]
struct Connection {
    id: SpiffeId,
    serial: Serial,
    end: End,
}

/// How a connection is ended.
#[derive(Debug)]
enum End {
    Accepted(Weak<Cut>),
    Opened(Weak<Sever>),
}

impl Default for Denials {
    fn default() -> Self {
        Self {
            list: ArcSwap::default(),
            open: Mutex::default(),
            own: RwLock::default(),
            denied: watch::Sender::new(None),
            told: Arc::default(),
        }
    }
}

impl Denials {
    /// Shows in these metrics who was denied. Call it once, at start.
    pub fn show(&self, metrics: &Metrics) {
        self.told.show(metrics);
    }

    /// Puts a list in force, and ends the connections of everybody on it. Returns how many.
    pub fn replace(&self, list: DenyList) -> usize {
        // Order: whoever enters from now on is judged by the new list.
        self.list.store(Arc::new(list));
        self.judge_own();
        self.review()
    }

    fn review(&self) -> usize {
        let list = self.list.load();
        let own = self.own().is_some();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all.retain(|connection| connection.end.is_open());
        let mut ended = 0;
        // Who is denied himself keeps no connection either.
        for Connection { id, serial, end } in &open.all {
            let denial = list.peer(id, serial);
            if let Some(denial) = &denial {
                self.told.cut(end.direction(), id, serial, denial);
            }
            if own || denial.is_some() {
                end.end();
                ended += 1;
            }
        }
        ended
    }

    /// How many are on the list in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.load().len()
    }

    /// Is nobody denied?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asked before somebody is dialled.
    ///
    /// # Errors
    /// [`Token::PeerDenied`] if he is denied with every certificate.
    pub fn check_callee(&self, id: &SpiffeId) -> Result<(), Error> {
        match self.list.load().identity(id) {
            None => Ok(()),
            Some(denial) => {
                self.told.refused(Direction::Outbound, id, None, &denial);
                Err(Error::unprocessed(Token::PeerDenied, denial.to_string()))
            }
        }
    }

    /// Enters a connection that was opened to a peer, and judges him.
    ///
    /// # Errors
    /// [`Token::PeerDenied`] if he is denied.
    pub fn opened(&self, id: &SpiffeId, serial: &Serial, sever: &Arc<Sever>) -> Result<(), Error> {
        // Order: known before it is judged, so that no change of the list falls between.
        self.enter(id, serial, End::Opened(Arc::downgrade(sever)));
        self.judge(Direction::Outbound, id, serial)
    }

    /// Enters a connection of a caller, which may be of one who is denied by now: then it ends.
    pub fn accepted(&self, id: &SpiffeId, serial: &Serial, cut: &Arc<Cut>) {
        self.enter(id, serial, End::Accepted(Arc::downgrade(cut)));
        if let Some(denial) = self.list.load().peer(id, serial) {
            self.told.cut(Direction::Inbound, id, serial, &denial);
            cut.cut();
        }
    }

    /// Judges a caller after the handshake.
    ///
    /// # Errors
    /// [`Token::PeerDenied`] if he is denied.
    pub fn check_caller(&self, id: &SpiffeId, serial: &Serial) -> Result<(), Error> {
        self.judge(Direction::Inbound, id, serial)
    }

    fn judge(&self, direction: Direction, id: &SpiffeId, serial: &Serial) -> Result<(), Error> {
        match self.list.load().peer(id, serial) {
            None => Ok(()),
            Some(denial) => {
                self.told.refused(direction, id, Some(serial), &denial);
                Err(Error::unprocessed(Token::PeerDenied, denial.to_string()))
            }
        }
    }

    fn enter(&self, id: &SpiffeId, serial: &Serial, end: End) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all.len() >= open.due {
            open.all.retain(|connection| connection.end.is_open());
            open.due = 2 * open.all.len() + SLACK;
        }
        open.all.push(Connection { id: id.clone(), serial: serial.clone(), end });
    }

    /// This workload has another certificate.
    pub fn set_own(&self, leaf: Option<(SpiffeId, Serial)>) {
        self.write_own(|own| own.leaf = leaf);
    }

    /// The control plane has refused whoever shows this certificate, in these words.
    pub fn noticed(&self, serial: &Serial, denial: Denial) {
        self.write_own(|own| own.notice = Some((serial.clone(), denial)));
        self.review();
    }

    /// The control plane has taken whoever shows this certificate.
    pub fn welcomed(&self) {
        let is_noticed = self.own.read().unwrap_or_else(PoisonError::into_inner).notice.is_some();
        if is_noticed {
            self.write_own(|own| own.notice = None);
        }
    }

    fn write_own(&self, change: impl FnOnce(&mut Own)) {
        change(&mut self.own.write().unwrap_or_else(PoisonError::into_inner));
        self.judge_own();
    }

    fn judge_own(&self) {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let denial = own.leaf.as_ref().and_then(|(id, serial)| {
            let notice = own.notice.as_ref().filter(|(noticed, _)| noticed == serial);
            let listed = self.list.load().peer(id, serial);
            listed.or_else(|| notice.map(|(_, denial)| denial.clone()))
        });
        self.denied.send_if_modified(|known| {
            let changed = *known != denial;
            match &denial {
                Some(denial) if changed => tracing::error!(%denial, "this workload is denied"),
                None if changed => tracing::info!("this workload is no longer denied"),
                _ => {}
            }
            *known = denial;
            changed
        });
    }

    /// Is this workload itself denied?
    #[must_use]
    pub fn own(&self) -> Option<Denial> {
        self.denied.borrow().clone()
    }

    /// The same, and its changes.
    #[must_use]
    pub fn watch_own(&self) -> watch::Receiver<Option<Denial>> {
        self.denied.subscribe()
    }
}

impl Denies for Denials {
    fn denial(&self, id: &SpiffeId, serial: &Serial) -> Option<Denial> {
        let denial = self.list.load().peer(id, serial)?;
        self.told.refused(Direction::Inbound, id, Some(serial), &denial);
        Some(denial)
    }
}

impl End {
    fn is_open(&self) -> bool {
        match self {
            Self::Accepted(cut) => cut.strong_count() > 0,
            Self::Opened(sever) => sever.strong_count() > 0,
        }
    }

    fn end(&self) {
        match self {
            Self::Accepted(cut) => drop(cut.upgrade().map(|cut| cut.cut())),
            Self::Opened(sever) => drop(sever.upgrade().map(|sever| sever.sever())),
        }
    }

    fn direction(&self) -> Direction {
        match self {
            Self::Accepted(_) => Direction::Inbound,
            Self::Opened(_) => Direction::Outbound,
        }
    }
}

#[cfg(test)]
mod tests;
