//! Turns the use of Service ports into subscriptions: what a connection asks for is subscribed, what has been idle is
//! dropped. One task, so that wishes and drops of one name reach the xDS client in the order in which they were
//! decided. Started by `app`, on the control thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::state::State;
use crate::xds::{Demand, Handle, Kind};

/// Bounds of the time between two looks for idle ones.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_secs(15);

/// Runs until the xDS client ends.
pub(super) async fn run(
    state: Arc<State>,
    mut asked: UnboundedReceiver<Arc<str>>,
    xds: Handle,
    idle: Duration,
) {
    let mut look = tokio::time::interval((idle / 4).clamp(OFTEN, SELDOM));
    loop {
        let demands = tokio::select! {
            Some(name) = asked.recv() => vec![Demand::Want(Kind::Listener, name.to_string())],
            _ = look.tick() => drops(&state, &xds, idle),
        };
        for demand in demands {
            if xds.demand.send(demand).await.is_err() {
                return;
            }
        }
    }
}

/// Not while the control plane is away: what is dropped then could not be had again.
fn drops(state: &State, xds: &Handle, idle: Duration) -> Vec<Demand> {
    if !xds.sync.borrow().connected {
        return Vec::new();
    }
    let targets = state.targets();
    let idle = targets.iter().filter(|target| target.retire(idle));
    let drops = idle.map(|target| Demand::Drop(Kind::Listener, target.name.to_string())).collect();
    drop(targets);
    state.forget_unused();
    drops
}
