//! Is the sidecar ready to carry traffic, and if not, why not? Asked by `/ready`, and by `app` before the
//! workers begin to accept.

use std::sync::Arc;

use crate::state::State;
use crate::tls::TlsStore;

/// What readiness depends on.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Our certificate.
    pub tls: Arc<TlsStore>,
    /// Our configuration.
    pub state: Arc<State>,
    /// Does the workload serve ports?
    pub serves: bool,
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
        let targets = self.state.targets();
        let wanted = targets.iter().filter(|target| !target.is_on_demand());
        let waiting = wanted.filter(|target| target.load().is_none());
        missing.extend(waiting.map(|target| format!("no configuration for {} yet", target.name)));
        missing
    }
}
