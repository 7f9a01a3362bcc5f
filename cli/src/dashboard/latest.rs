//! What was asked for last, for all who ask for the same within a moment: sixteen pages are no more work for the control planes than
//! one. Called by `board`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// An answer, or why there is none.
type Answer = Result<Arc<str>, String>;
type Slot = Arc<AsyncMutex<Option<(Instant, Answer)>>>;

/// By what is asked. Bound: what nobody waits for is forgotten at the next question, so there are never more than there are pages.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<HashMap<String, Slot>>);

impl Latest {
    /// The answer to `what`, if it is younger than `fresh`; else asks, once for all who wait.
    pub(super) async fn get<F>(
        &self,
        what: &str,
        fresh: Duration,
        ask: impl FnOnce() -> F,
    ) -> Answer
    where
        F: Future<Output = Result<String, String>>,
    {
        let slot = self.slot(what);
        // Order: whoever comes while it is asked waits here, and finds the answer.
        let mut slot = slot.lock().await;
        if let Some((at, answer)) = &*slot
            && at.elapsed() < fresh
        {
            return answer.clone();
        }
        let answer = ask().await.map(Arc::from);
        *slot = Some((Instant::now(), answer.clone()));
        answer
    }

    fn slot(&self, what: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|known, slot| known == what || Arc::strong_count(slot) > 1);
        Arc::clone(slots.entry(what.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_cost_one_question() {
        let (latest, asked) = (&Latest::default(), &AtomicUsize::new(0));
        let fresh = Duration::from_secs(1);
        let get = |what: &'static str| {
            latest.get(what, fresh, move || async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(format!("{what} {}", asked.fetch_add(1, Relaxed)))
            })
        };
        let all = futures_util::future::join_all((0..16).map(|_| get("10"))).await;
        assert!(all.iter().all(|one| one.as_deref() == Ok("10 0")), "{all:?}");
        let (ten, minute) = tokio::join!(get("10"), get("60"));
        assert_eq!((&*ten.unwrap(), &*minute.unwrap()), ("10 0", "60 1"));
        tokio::time::advance(fresh).await;
        assert_eq!(&*get("10").await.unwrap(), "10 2", "what is old is asked for again");
        assert_eq!(latest.0.lock().unwrap().len(), 1, "what nobody waits for is forgotten");
    }
}
