//! The control planes for whoever asks them again and again (`stat --watch`, `dashboard`, `tap`): they come, go and are replaced meanwhile,
//! and a sidecar tells whichever there is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::admin::AdminSocket;
use crate::args::PlaceArgs;
use crate::environment::Environment;

/// How long replicas of a cluster are taken for all that there are.
const GOOD_FOR: Duration = Duration::from_secs(15);

/// Finds them.
type Looking = Pin<Box<dyn Future<Output = Result<Vec<AdminSocket>>> + Send>>;

/// Those that were found last. Cheap to clone; all clones know the same.
#[derive(Clone)]
pub(crate) struct Planes {
    look: Arc<dyn Fn() -> Looking + Send + Sync>,
    /// Lock: never held over an await.
    known: Arc<Mutex<Known>>,
}

struct Known {
    all: Vec<AdminSocket>,
    /// When they are looked for again.
    until: Option<Instant>,
}

impl Planes {
    /// All that there are, at least one.
    ///
    /// # Errors
    /// As [`super::find`].
    pub(crate) async fn find(
        place: &PlaceArgs,
        mesh: Option<&str>,
        environment: &Environment,
    ) -> Result<Self> {
        let all = super::find(place, mesh, environment).await?;
        let (place, mesh) = (place.clone(), mesh.map(str::to_owned));
        let environment = environment.clone();
        Ok(Self::new(all, move || {
            let (place, mesh, environment) = (place.clone(), mesh.clone(), environment.clone());
            Box::pin(async move { super::find(&place, mesh.as_deref(), &environment).await })
        }))
    }

    /// One that stays where it is.
    pub(crate) fn one(socket: AdminSocket) -> Self {
        let known = socket.clone();
        Self::new(vec![socket], move || {
            let all = vec![known.clone()];
            Box::pin(async move { Ok(all) })
        })
    }

    /// Those, and when they are lost those that `look` finds.
    #[cfg(test)]
    pub(crate) fn following(
        all: Vec<AdminSocket>,
        look: impl Fn() -> Vec<AdminSocket> + Send + Sync + 'static,
    ) -> Self {
        Self::new(all, move || {
            let found = look();
            Box::pin(async move { Ok(found) })
        })
    }

    fn new(all: Vec<AdminSocket>, look: impl Fn() -> Looking + Send + Sync + 'static) -> Self {
        let known = Known { until: good_until(&all), all };
        Self { look: Arc::new(look), known: Arc::new(Mutex::new(known)) }
    }

    /// Those to be asked now. Where none are found any more, those that were there last: they say what is wrong.
    pub(crate) async fn now(&self) -> Vec<AdminSocket> {
        {
            let mut known = self.known();
            if known.until.is_none_or(|until| Instant::now() < until) {
                return known.all.clone();
            }
            // Order: whoever asks meanwhile does not look too.
            known.until = None;
        }
        let found = (self.look)().await;
        let mut known = self.known();
        if let Ok(all) = found {
            known.all = all;
            known.until = good_until(&known.all);
        } else {
            known.until = Some(Instant::now());
        }
        known.all.clone()
    }

    /// One of them did not answer: they are looked for again the next time.
    pub(crate) fn lost(&self) {
        self.known().until = Some(Instant::now());
    }

    /// Are they reached through an API server?
    pub(crate) fn are_in_cluster(&self) -> bool {
        self.known().all.iter().any(AdminSocket::is_in_cluster)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On one machine there is one, until it is lost.
fn good_until(all: &[AdminSocket]) -> Option<Instant> {
    all.iter().any(AdminSocket::is_in_cluster).then(|| Instant::now() + GOOD_FOR)
}

impl fmt::Debug for Planes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.known().all).finish()
    }
}

#[cfg(test)]
mod tests;
