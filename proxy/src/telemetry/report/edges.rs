//! What an edge counted since the last report, as it goes over the wire. Pure; called by [`super`].

use weft_proto::telemetry as wire;

use crate::telemetry::metrics::{Delta, Direction, EdgeKey};

pub(super) fn to_wire(key: &EdgeKey, delta: Delta) -> wire::EdgeDelta {
    let direction = match key.direction {
        Direction::Outbound => wire::Direction::Outbound,
        Direction::Inbound => wire::Direction::Inbound,
    };
    wire::EdgeDelta {
        direction: direction.into(),
        peer: key.peer.clone(),
        route: key.route.clone(),
        backend: key.backend.clone(),
        requests: delta.requests,
        failures: delta.failures,
        retries: delta.retries,
        mtls: delta.mtls,
        latency: delta
            .latency
            .into_iter()
            .map(|(index, count)| wire::Bucket { index, count })
            .collect(),
        connections: delta.connections,
        bytes_sent: delta.bytes_sent,
        bytes_received: delta.bytes_received,
        errors: delta
            .errors
            .into_iter()
            .map(|(token, count)| (token.as_str().to_owned(), count))
            .collect(),
    }
}
