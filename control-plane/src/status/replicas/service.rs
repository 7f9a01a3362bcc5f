//! `weft.status.v1`: answers another replica about the proxies that are connected here. Nobody else is answered.

use tonic::{Request, Response, Status};
use weft_certs::SpiffeId;
use weft_proto::status::receipts_server::{Receipts as Service, ReceiptsServer};
use weft_proto::status::{GetRequest, GetResponse};

use super::{MAX_OBJECTS, wire};
use crate::peer::AuthenticatedPeer;
use crate::xds::Receipts;

// Bound: 100 names of objects have less than 40 KiB.
const MAX_REQUEST: usize = 64 * 1024;

/// The service over one replica's streams.
#[derive(Clone, Debug)]
pub(crate) struct ReceiptsService {
    receipts: Receipts,
    identity: SpiffeId,
}

impl ReceiptsService {
    /// Answers whoever has a certificate for `identity`, which is the control plane's own.
    pub(crate) fn new(receipts: Receipts, identity: SpiffeId) -> Self {
        Self { receipts, identity }
    }

    /// For the server's routes.
    pub(crate) fn into_server(self) -> ReceiptsServer<Self> {
        ReceiptsServer::new(self).max_decoding_message_size(MAX_REQUEST)
    }
}

#[tonic::async_trait]
impl Service for ReceiptsService {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let peer = AuthenticatedPeer::require(request.extensions())?.id;
        if peer != self.identity {
            let reason = format!("{peer} is no replica of the control plane");
            return Err(Status::permission_denied(reason));
        }
        let objects = request.into_inner().objects;
        if objects.len() > MAX_OBJECTS {
            let count = objects.len();
            let reason = format!("{count} objects are asked for, {MAX_OBJECTS} are allowed");
            return Err(Status::invalid_argument(reason));
        }
        let receipts = self.receipts.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let objects: Vec<_> = objects.into_iter().map(wire::object).collect();
            wire::response(receipts.of(&objects))
        });
        let answer = answer.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(answer))
    }
}
