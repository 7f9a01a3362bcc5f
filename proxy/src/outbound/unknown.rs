//! Requests to a Service port of which nothing is known, and nothing came in time: they are answered, counted, logged
//! and traced as every other failure.

use http::{Request, Response};

use super::{Outbound, answered};
use crate::body::{Body, ClientBody};
use crate::error::{Error, Token};
use crate::record::Record;
use crate::response;
use crate::telemetry::metrics::{Direction, EdgeKey};
use crate::upstream::Version;

impl Outbound {
    /// Answers it. The edge is looked up for each of them: there is nothing that could keep it.
    pub(super) fn unknown(
        &self,
        mut request: Request<ClientBody>,
        grpc: bool,
        version: Version,
    ) -> Response<Body> {
        let message = format!("nothing is known of {}", self.service);
        let error = Error::new(Token::ConfigurationMissing, message);
        let key = EdgeKey::unrouted(Direction::Outbound, &*self.service);
        let edge = self.telemetry.metrics.edge(key);
        let (direction, service) = (Direction::Outbound, &self.service);
        let mut record =
            Record::begin(&self.telemetry, direction, service, &edge, (&request, grpc));
        record.trace(request.headers_mut(), self.telemetry.tracing.sampling().unwrap_or(0.0));
        answered(response::failed(&error, grpc, version), &error, record)
    }
}
