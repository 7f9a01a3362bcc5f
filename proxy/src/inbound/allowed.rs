//! May this caller do this? Where `inbound` meets the rules: what is a probe, what is noted, what is judged, and what is
//! written of a denial.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;
use weft_certs::SpiffeId;

use super::door::Who;
use super::{Inbound, probe};
use crate::access::{self, Asked, Kind};
use crate::drain;
use crate::error::Error;
use crate::model::{AppProtocol, InboundPort, MtlsMode, PortAccess};
use crate::telemetry::ConnectionEnd;
use crate::telemetry::metrics::Direction;

impl Inbound {
    pub(super) fn is_probe<B>(&self, request: &Request<B>, who: &Who) -> bool {
        let listed = || {
            let listener = self.state.inbound();
            let probes = listener.as_ref().and_then(|listener| listener.probes.get(&self.port));
            probes.is_some_and(|all| probe::is_listed(all, request))
        };
        who.identity.is_none() && listed()
    }

    /// On a port that is declared as HTTP a caller of the mesh must not say that his bytes are opaque: in them he could
    /// tell the application whatever only this sidecar may, who he is above all. To connect, and say nothing, is a
    /// check of the endpoint's health.
    pub(super) fn may_only_connect(&self, who: &Who) -> bool {
        let http = |settings: InboundPort| settings.protocol == AppProtocol::Http;
        who.identity.is_some() && self.settings().is_ok_and(http)
    }

    /// Order: a connection is known before it is judged, so that no change of the rules falls between.
    pub(super) fn enter(&self, kind: Kind, who: &Who, watch: &drain::Watch) {
        let (guests, cut) = (self.state.guests(), watch.cut());
        let kind = if who.probes.is_some() { Kind::Probe } else { kind };
        guests.enter(kind, who.identity.as_ref(), who.address, self.port, cut);
        // Race: the port may have come to want mutual TLS since the door.
        let strict = |settings: InboundPort| settings.mtls == MtlsMode::Strict;
        if who.identity.is_none() && who.probes.is_none() && self.settings().is_ok_and(strict) {
            cut.cut();
        }
        self.watch_for_denial(who, watch);
    }

    /// The connection is this request's alone from now on. Race: the rules may have changed since it was judged, so that
    /// is done again once it is known.
    pub(super) fn switched(&self, asked: &Arc<Asked>, who: &Who, watch: &drain::Watch) {
        let caller = access::caller(who.identity.as_ref(), who.address, self.port);
        let may = |access: &PortAccess| asked.is_allowed(access, &caller);
        let (guests, cut) = (self.state.guests(), watch.cut());
        let kind = Kind::Switched(Arc::clone(asked));
        guests.enter(kind, who.identity.as_ref(), who.address, self.port, cut);
        if self.state.access(self.port).is_some_and(|access| !may(&access)) {
            cut.cut();
        }
    }

    /// A peer may be denied at any time, and may have been since the handshake.
    pub(super) fn watch_for_denial(&self, who: &Who, watch: &drain::Watch) {
        if let (Some(id), Some(serial)) = (&who.identity, &who.serial) {
            self.state.denials().accepted(id, serial, watch.cut());
        }
    }

    /// What the workload's own probes ask for is its kubelet's, who has no identity. Everything else is noted, whatever
    /// becomes of it; `now`: when it came.
    pub(super) fn authorize<B>(
        &self,
        request: &Request<B>,
        who: &Who,
        now: Instant,
    ) -> Result<(), Error> {
        if who.probes.is_some() || self.is_probe(request, who) {
            return Ok(());
        }
        who.notes.request(request.method().as_str(), request.uri().path(), now);
        let Some(access) = self.state.access(self.port) else { return Ok(()) };
        let caller = access::caller(who.identity.as_ref(), who.address, self.port);
        access::authorize_request(&access, &caller, &who.concern, request, self.state.told())
    }

    /// The same for a connection whose bytes are opaque; what is denied is in the access log.
    pub(super) fn authorize_opaque(&self, who: &Who) -> Result<(), Error> {
        let Some(access) = self.state.access(self.port) else { return Ok(()) };
        let caller = access::caller(who.identity.as_ref(), who.address, self.port);
        let decided = access::authorize_connection(&access, &caller, self.state.told());
        if let Err(error) = &decided {
            self.telemetry.access_log.connection(&ConnectionEnd {
                direction: Direction::Inbound,
                service: &self.workload,
                route: "",
                peer_identity: who.identity.as_ref().map_or("", SpiffeId::as_str),
                peer_address: Some(who.address),
                mtls: who.identity.is_some(),
                sent: 0,
                received: 0,
                duration: Duration::ZERO,
                error: Some(error.token()),
                denial: error.denial(),
            });
        }
        decided
    }
}
