//! Is the sidecar ready to carry traffic, and if not, why not? Asked by `/ready`, and by `app` before the
//! workers begin to accept.

use std::sync::Arc;

use tokio::sync::watch;

use crate::state::State;
use crate::tls::TlsStore;
use crate::xds::SyncState;

/// What readiness depends on.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Our certificate.
    pub tls: Arc<TlsStore>,
    /// Our configuration.
    pub state: Arc<State>,
    /// Does the workload serve ports?
    pub serves: bool,
    /// Where connections are intercepted: before it has all addresses of the mesh a sidecar would take what goes into
    /// the mesh for what goes out of it.
    pub sync: Option<watch::Receiver<SyncState>>,
}

impl Readiness {
    /// Everything that is missing, in words; nothing if it is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if let Err(error) = self.tls.current() {
            missing.push(error.to_string());
        }
        if self.serves && self.state.inbound().is_none() {
            missing.push("no configuration for the workload's own ports yet".to_owned());
        }
        let unknown = |sync: &watch::Receiver<SyncState>| {
            let sync = sync.borrow();
            !sync.synced && !sync.stale
        };
        if self.sync.as_ref().is_some_and(unknown) {
            missing.push("no addresses of the mesh yet".to_owned());
        }
        let targets = self.state.targets();
        let wanted = targets.iter().filter(|target| !target.is_on_demand());
        let waiting = wanted.filter(|target| target.load().is_none());
        missing.extend(waiting.map(|target| format!("no configuration for {} yet", target.name)));
        missing
    }
}
