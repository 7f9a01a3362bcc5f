//! One tap's stream, from its opening until either side has enough. Run by `report` beside its own stream and by the same
//! connection, on the control thread.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use weft_proto::telemetry::telemetry_client::TelemetryClient;
use weft_proto::telemetry::{TapControl, TapEvents};

use super::Opened;

/// Bound: requests of one message.
const BATCH: usize = 64;
/// Requests that come in this time go together, and what was dropped is told.
const TICK: Duration = Duration::from_millis(100);
/// Limit on the server's first sign.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends what the tap yields until it is told to stop, the stream ends, or nobody takes what is sent.
pub(crate) async fn run(channel: Channel, mut tap: Opened) {
    let (events, outgoing) = mpsc::channel(4);
    let first = TapEvents { id: tap.id, ..TapEvents::default() };
    let mut client = TelemetryClient::new(channel);
    let opened = async {
        // Room is there.
        let _ = events.send(first).await;
        client.tap(ReceiverStream::new(outgoing)).await
    };
    let Ok(Ok(control)) = timeout(PATIENCE, opened).await else { return };
    let mut control = control.into_inner();
    let (mut tick, mut batch) = (interval(TICK), Vec::with_capacity(BATCH));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            said = control.message() => match said {
                Ok(Some(TapControl { stop: false })) => continue,
                _ => return,
            },
            _ = tick.tick() => {}
        }
        while let Ok(request) = tap.requests.try_recv() {
            batch.push(request);
            if batch.len() == BATCH {
                break;
            }
        }
        let dropped = tap.dropped();
        if batch.is_empty() && dropped == 0 {
            continue;
        }
        let requests = std::mem::take(&mut batch);
        let message = TapEvents { id: tap.id, requests, dropped };
        // Whoever does not take it for so long watches no more.
        if !matches!(timeout(PATIENCE, events.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
}
