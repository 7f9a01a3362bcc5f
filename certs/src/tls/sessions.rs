//! The tickets with which a client resumes sessions, by the name of the server (`super::server_name`). Used by every
//! client configuration, and by nothing else. A ticket is used once (RFC 8446 §C.4) and lives as long as its
//! configuration: what an older trust epoch left is never offered.
//!
//! rustls has a store of its own, which keeps 8 tickets by server. A server gives one for each connection, and a
//! connection that is being opened holds one: where more are opened at a time, the others would begin anew.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Bound: tickets for one server. As many connections to it may be opened at a time, all of them resumed.
const TICKETS: usize = 64;
/// Bound: servers. The one that came first goes first.
const SERVERS: usize = 32;

/// See the module. The lock is held for a push or a pop.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<VecDeque<Server>>);

#[derive(Debug)]
struct Server {
    name: ServerName<'static>,
    /// What it chose for the key exchange.
    group: Option<NamedGroup>,
    /// The newest last, which is taken first.
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    fn with<T>(&self, name: &ServerName<'_>, act: impl FnOnce(&mut Server) -> T) -> Option<T> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter_mut().find(|server| server.name == *name).map(act)
    }

    fn with_new<T>(&self, name: ServerName<'static>, act: impl FnOnce(&mut Server) -> T) -> T {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.iter_mut().find(|server| server.name == name) {
            return act(server);
        }
        if servers.len() == SERVERS {
            servers.pop_front();
        }
        let mut server = Server { name, group: None, tickets: VecDeque::new() };
        let done = act(&mut server);
        servers.push_back(server);
        done
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.with_new(name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.with(name, |server| server.group)?
    }

    /// TLS 1.2 is not spoken.
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.with_new(name, |server| {
            if server.tickets.len() == TICKETS {
                server.tickets.pop_front();
            }
            server.tickets.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.with(name, |server| server.tickets.pop_back())?
    }
}
