//! Asked once, held for a bounded time, told when there is none, dropped when idle, asked again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;
use weft_proto::origin::Origin;

use super::{HOLD, Standing};
use crate::model::{AppProtocol, OutboundListener, Tracing};
use crate::state::{State, Target};
use crate::telemetry::metrics::Metrics;
use crate::xds::{Change, Kind};

const NAME: &str = "product.shop:8080";
const IDLE: Duration = Duration::from_secs(60);

fn state() -> (Arc<State>, Arc<Target>, UnboundedReceiver<Arc<str>>) {
    let (asked, wishes) = unbounded_channel();
    let target = Target::on_demand(NAME.into(), asked);
    let state = State::with_targets([target], 1, Metrics::new(SystemTime::now()));
    let target = state.target(NAME).unwrap();
    (Arc::new(state), target, wishes)
}

fn listener() -> Change {
    Change::Outbound(OutboundListener {
        name: NAME.into(),
        origin: Origin::default(),
        protocol: AppProtocol::Tcp,
        routes: None,
        affinity: None,
        http: crate::model::HttpSettings::default(),
        tcp_cluster: None,
        tracing: Tracing::default(),
    })
}

fn gone() -> Change {
    Change::Removed(Kind::Listener, NAME.into())
}

#[tokio::test(start_paused = true)]
async fn the_first_users_are_held_until_it_is_there_and_it_is_asked_for_once() {
    let (state, target, mut wishes) = state();
    assert_eq!(target.standing(), Standing::Unused);
    let users: Vec<_> = (0..3)
        .map(|_| {
            let target = Arc::clone(&target);
            tokio::spawn(async move { target.config().await.is_some() })
        })
        .collect();
    assert_eq!(wishes.recv().await.as_deref(), Some(NAME));
    assert_eq!(target.standing(), Standing::Waiting);
    tokio::time::sleep(HOLD / 2).await;
    state.apply(vec![listener()]);
    for user in users {
        assert!(user.await.unwrap());
    }
    assert!(wishes.try_recv().is_err(), "asked for once");
    assert_eq!(target.standing(), Standing::InForce);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_for_ever_nor_all_of_an_outage() {
    let (_state, target, _wishes) = state();
    let started = Instant::now();
    assert!(target.config().await.is_none());
    assert_eq!(started.elapsed(), HOLD);
    assert!(target.config().await.is_none());
    assert_eq!(started.elapsed(), HOLD, "the next one is told at once");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let started = Instant::now();
    assert!(target.config().await.is_none());
    assert_eq!(started.elapsed(), HOLD, "later ones hope again");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_told_at_once_until_it_does() {
    let (state, target, mut wishes) = state();
    let user = Arc::clone(&target);
    let user = tokio::spawn(async move { user.config().await.is_none() });
    wishes.recv().await.unwrap();
    let started = Instant::now();
    state.apply(vec![gone()]);
    assert!(user.await.unwrap());
    assert!(target.config().await.is_none());
    assert_eq!((started.elapsed(), target.standing()), (Duration::ZERO, Standing::Absent));
    state.apply(vec![listener()]);
    assert!(target.config().await.is_some());
    state.apply(vec![gone()]);
    assert_eq!(target.standing(), Standing::Absent);
}

#[tokio::test(start_paused = true)]
async fn it_is_dropped_when_idle_but_not_under_a_connection_and_asked_for_again() {
    let (state, target, mut wishes) = state();
    let connection = target.connected();
    assert!(!target.retire(Duration::ZERO), "never subscribed");
    let user = Arc::clone(&target);
    tokio::spawn(async move { user.config().await });
    wishes.recv().await.unwrap();
    state.apply(vec![listener()]);
    tokio::time::sleep(2 * IDLE).await;
    assert!(!target.retire(IDLE), "a connection is open");
    drop(connection);
    assert!(!target.retire(IDLE), "it was in use a moment ago");
    tokio::time::sleep(IDLE).await;
    assert!(target.retire(IDLE));
    assert!(target.config().await.is_some(), "what is there yet is used");
    state.apply(vec![gone()]);
    assert_eq!(target.standing(), Standing::Unused, "dropped is not absent");
    let user = Arc::clone(&target);
    let user = tokio::spawn(async move { user.config().await.is_some() });
    assert_eq!(wishes.recv().await.as_deref(), Some(NAME));
    state.apply(vec![listener()]);
    assert!(user.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_the_last_good_configuration_had_counts_as_in_use_for_a_while() {
    let (state, target, _wishes) = state();
    state.apply(vec![listener()]);
    state.adopt();
    assert!(!target.retire(IDLE));
    tokio::time::sleep(IDLE).await;
    assert!(target.retire(IDLE));
}
