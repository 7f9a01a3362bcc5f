//! The other replicas of the control plane, asked for the receipts of the proxies that are connected to them; by `trust`
//! also for their proxies' roots.
//!
//! ```text
//! mesh (Service weft-control-plane) ─► listed (who) ─► connection ─► service, of another replica ─► xds::Receipts
//!                                                          └───────► total (pure): all replicas as one
//! ```
//! `writer` asks while it leads. Where there is no other replica nothing is asked and nothing is connected. A replica
//! that does not answer costs one second at most and is then left alone for two; nobody is asked twice at a time.

mod connection;
mod listed;
mod service;
#[cfg(test)]
mod tests;
mod total;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::Channel;
use weft_certs::SpiffeId;
use weft_proto::status::receipts_client::ReceiptsClient;

pub(crate) use self::connection::AskError;
use self::connection::Connection;
pub(crate) use self::service::ReceiptsService;
pub(super) use self::total::{Answer, total};
use crate::clock::Clock;
use crate::model::{Mesh, ObjectKey};

/// Bound: objects in one question.
pub(super) const MAX_OBJECTS: usize = 100;
// Bound: an answer about 100 objects, with five names and five reasons for each, has less than 500 KiB.
const MAX_ANSWER: usize = 1024 * 1024;
/// Bound: replicas that are asked. Further ones count as silent.
const MAX_REPLICAS: usize = 32;
/// Bound on an answer, the connection included.
const LIMIT: Duration = Duration::from_secs(1);
/// How long one that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// What a replica knows of itself.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    /// Where the control plane runs.
    pub(crate) namespace: String,
    /// Name of this replica's pod.
    pub(crate) pod: String,
    /// What all replicas have certificates for.
    pub(crate) identity: SpiffeId,
    /// With this replica's own, renewed with it.
    pub(crate) tls: watch::Receiver<Arc<ClientConfig>>,
    /// For expiry.
    pub(crate) clock: Clock,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Replicas {
    own: Own,
    /// By the names of their pods. Bound: those that the Service lists.
    others: BTreeMap<String, Other>,
}

/// One of them.
#[derive(Debug)]
struct Other {
    address: SocketAddr,
    connection: Option<Connection>,
    /// It did not answer lately.
    left_alone_until: Option<Instant>,
}

impl Replicas {
    pub(crate) fn new(own: Own) -> Self {
        Self { own, others: BTreeMap::new() }
    }

    /// What each of the others that the mesh lists says of these objects; at most [`MAX_OBJECTS`]. Cancel: at any time.
    pub(super) async fn ask(&mut self, mesh: &Mesh, objects: &[ObjectKey]) -> Vec<Answer> {
        let (request, asked) = (wire::request(objects), objects.len());
        let answers = self.ask_each(mesh, |channel| {
            let request = request.clone();
            async move {
                let mut client = ReceiptsClient::new(channel).max_decoding_message_size(MAX_ANSWER);
                let answer = client.get(request).await?.into_inner();
                wire::receipts(answer, asked).ok_or(AskError::Malformed)
            }
        });
        let answers = answers.await.into_iter();
        answers.map(|(replica, receipts)| Answer { replica, receipts }).collect()
    }

    /// Asks each of the others that the mesh lists over a channel to it; by the names of their pods, `None` of one that does
    /// not answer. Cancel: at any time.
    pub(crate) async fn ask_each<T, F>(
        &mut self,
        mesh: &Mesh,
        question: impl Fn(Channel) -> F,
    ) -> Vec<(String, Option<T>)>
    where
        F: Future<Output = Result<T, AskError>>,
    {
        self.follow(listed::others(mesh, &self.own.namespace, &self.own.pod));
        let (own, question) = (&self.own, &question);
        let asked = self.others.iter_mut().enumerate().map(|(number, (name, other))| async move {
            let answer = match number < MAX_REPLICAS {
                true => other.ask(own, name, question).await,
                false => None,
            };
            (name.clone(), answer)
        });
        join_all(asked).await
    }

    /// Lets go of those that are gone, and of connections to where nobody is any more.
    fn follow(&mut self, listed: BTreeMap<String, SocketAddr>) {
        self.others.retain(|name, other| listed.get(name) == Some(&other.address));
        for (name, address) in listed {
            let new = || Other { address, connection: None, left_alone_until: None };
            self.others.entry(name).or_insert_with(new);
        }
    }
}

impl Other {
    async fn ask<T, F>(
        &mut self,
        own: &Own,
        name: &str,
        question: impl Fn(Channel) -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, AskError>>,
    {
        if self.left_alone_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = timeout(LIMIT, self.exchange(own, question)).await;
        match answer.unwrap_or(Err(AskError::Slow)) {
            Ok(answer) => {
                if self.left_alone_until.take().is_some() {
                    tracing::info!(replica = name, "the replica answers again");
                }
                Some(answer)
            }
            Err(error) => {
                self.connection = None;
                // Once: it is tried again and again.
                if self.left_alone_until.replace(Instant::now() + PAUSE).is_none() {
                    tracing::warn!(replica = name, address = %self.address, %error, "a replica does not answer");
                }
                None
            }
        }
    }

    async fn exchange<T, F>(
        &mut self,
        own: &Own,
        question: impl Fn(Channel) -> F,
    ) -> Result<T, AskError>
    where
        F: Future<Output = Result<T, AskError>>,
    {
        let tls = own.tls.borrow().clone();
        // With a certificate that was renewed since, it would be refused some day.
        let connection = match self.connection.take().filter(|known| known.is_with(&tls)) {
            Some(connection) => connection,
            None => Connection::open(self.address, tls, own).await?,
        };
        let channel = self.connection.insert(connection).channel();
        question(channel).await
    }
}
