//! Copies of requests for other backends. Started by `forward` beside the request itself, which they never
//! change, delay or fail: each is a task of its own, tried once, its answer read and thrown away. What it comes to is
//! counted and nothing else: neither outlier detection nor the limits and budgets of a policy hear of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::Request;
use http::header::EXPECT;
use http_body::Body as _;

use tokio::time::Instant;

use super::Outbound;
use crate::body::{Body, ClientBody, Tee};
use crate::cluster::{Ask, Cluster};
use crate::random::Random;
use crate::router::Matched;
use crate::state::TargetConfig;
use crate::telemetry::metrics::{Edge, Mirrored};
use crate::upstream::{Upstream, Version};

/// Bound: copies under way, of all workers; what is over it is not made. With the bound of [`Tee`] on the bytes that
/// one holds back they hold at most 16 MiB.
const MOST: usize = 64;
/// For a copy, where the route has no limit.
const LIMIT: Duration = Duration::from_secs(60);

/// Copies under way.
#[derive(Debug, Default)]
pub struct Mirrors(AtomicUsize);

/// A place among them.
struct Place(Arc<Mirrors>);

impl Place {
    fn take(mirrors: &Arc<Mirrors>) -> Option<Self> {
        let place = Self(Arc::clone(mirrors));
        (mirrors.0.fetch_add(1, Relaxed) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// One copy.
struct Copy {
    upstream: Upstream,
    cluster: Arc<Cluster>,
    random: Arc<Random>,
    version: Version,
    edge: Arc<Edge>,
    _place: Place,
}

impl Outbound {
    /// Starts the copies that the rule asks for. What is returned must see the body pass.
    pub(super) fn mirror(
        &self,
        config: &TargetConfig,
        matched: Matched<'_>,
        version: Version,
        request: &Request<ClientBody>,
    ) -> Option<Box<Tee>> {
        if matched.rule.mirrors.is_empty() {
            return None;
        }
        let mut tee: Option<Box<Tee>> = None;
        for (mirror, edge) in matched.rule.mirrors.iter().zip(&config.rule(matched.at).mirrors) {
            if self.random.below(1_000_000) >= mirror.millionths as usize {
                continue;
            }
            let cluster = config.clusters[mirror.cluster].as_ref();
            let (Some(cluster), Some(place)) = (cluster, Place::take(&self.mirrors)) else {
                edge.mirrored(Mirrored::Dropped);
                continue;
            };
            let copy = Copy {
                upstream: self.upstream.clone(),
                cluster: Arc::clone(cluster),
                random: Arc::clone(&self.random),
                version,
                edge: Arc::clone(edge),
                _place: place,
            };
            let body = if request.body().is_end_stream() {
                Body::Empty
            } else {
                Body::Copied(tee.get_or_insert_default().copy(request.body().size_hint()))
            };
            let limit = matched.rule.timeout.unwrap_or(LIMIT);
            tokio::spawn(copy.run(head(request, body), limit));
        }
        tee
    }
}

fn head(of: &Request<ClientBody>, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = of.method().clone();
    *request.uri_mut() = of.uri().clone();
    *request.version_mut() = of.version();
    *request.headers_mut() = of.headers().clone();
    // The body comes whether it is expected or not.
    request.headers_mut().remove(EXPECT);
    request
}

impl Copy {
    async fn run(self, request: Request<Body>, limit: Duration) {
        let answered = tokio::time::timeout(limit, self.exchange(request)).await == Ok(true);
        self.edge.mirrored(if answered { Mirrored::Answered } else { Mirrored::Failed });
    }

    /// Was there a whole answer?
    async fn exchange(&self, request: Request<Body>) -> bool {
        let now = Instant::now();
        let ask =
            Ask { random: &self.random, now, tried: &[], session: None, only: None, hash: None };
        // A copy decides nothing: a trial that falls to it is given up when it ends, and is nobody else's until then.
        let Some((endpoint, _trial)) = self.cluster.choose(&ask) else { return false };
        let _in_flight = endpoint.begin();
        let timeout = self.cluster.spec.connect_timeout;
        let sent = self.upstream.send(None, endpoint, self.version, timeout, request).await;
        let Ok(sent) = sent else { return false };
        let mut body = sent.response.into_body();
        loop {
            match poll_fn(|cx| body.poll_frame(cx)).await {
                Some(Ok(_)) => {}
                end => return end.is_none(),
            }
        }
    }
}
