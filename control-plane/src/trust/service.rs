//! `weft.trust.v1`: answers another replica about the sidecars that talk to this one. Nobody else is answered.

use tonic::{Request, Response, Status};
use weft_certs::SpiffeId;
use weft_proto::trust::trust_server::{Trust as Service, TrustServer};
use weft_proto::trust::{GetRequest, GetResponse};

use super::{Own, exchange};
use crate::peer::AuthenticatedPeer;

/// The service over one replica.
#[derive(Clone, Debug)]
pub(crate) struct TrustService {
    own: Own,
    identity: SpiffeId,
}

impl TrustService {
    /// Answers whoever has a certificate for `identity`, which is the control plane's own.
    pub(crate) fn new(own: Own, identity: SpiffeId) -> Self {
        Self { own, identity }
    }

    /// For the server's routes.
    pub(crate) fn into_server(self) -> TrustServer<Self> {
        TrustServer::new(self)
    }
}

#[tonic::async_trait]
impl Service for TrustService {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let peer = AuthenticatedPeer::require(request.extensions())?.id;
        if peer != self.identity {
            let reason = format!("{peer} is no replica of the control plane");
            return Err(Status::permission_denied(reason));
        }
        Ok(Response::new(exchange::response(&self.own.known())))
    }
}
