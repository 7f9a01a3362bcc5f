//! Replicas of one CA on real ports: who is listed, who is answered, what is counted, and who is given up for how long.

use std::cell::Cell;
use std::time::SystemTime;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};
use weft_certs::Leaf;
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

use super::*;
use crate::model::{Key, Listed};
use crate::server::{Server, ServerLeaf, Tls};
use crate::testing::{Client, TestCa, id, mesh, stop_the_clock, trust_domain};
use crate::translate::{ResourceType, fixture, translate};
use crate::xds::{self, Receipt};

const PRODUCT: &str = "product.shop:8080";
const HOUR: Duration = Duration::from_secs(3600);

fn route() -> ObjectKey {
    ("HTTPRoute".to_owned(), "shop".to_owned(), "split".to_owned())
}

/// A replica that serves a route of `product` in one generation. Its port closes with the value.
struct Replica {
    address: SocketAddr,
    leaf: watch::Receiver<Arc<ClientConfig>>,
    _streams: watch::Sender<bool>,
    _stop: oneshot::Sender<()>,
}

impl Replica {
    /// At that address, with a certificate for `account`.
    fn start(ca: &TestCa, account: &str, at: SocketAddr, generation: u64) -> Self {
        let mut mesh = fixture::shop();
        let mut made = fixture::route("split", ("product", 8080), &[("web", 80, 1)]);
        made.origin.generation = generation;
        mesh.routes.push(made);
        let (cache, registry) = (xds::Cache::new(), xds::Registry::new());
        cache.apply(&translate(&mesh, fixture::BUNDLE));
        let receipts = xds::Receipts::new(cache.clone(), registry.clone());
        let streams = watch::Sender::new(false);
        let ads = xds::Server::new(cache, registry, xds::Limits::default(), streams.subscribe());
        let service = ReceiptsService::new(receipts, id("control-plane"));
        let routes = Routes::new(ads).add_service(service.into_server());

        let leaf = ServerLeaf::issue(ca.ca.clone(), id(account)).unwrap();
        let server = Server::bind(at).unwrap();
        let address = server.address();
        let clock = ca.clock.clock();
        let tls = Tls { config: leaf.config(), trust_domain: trust_domain(), clock };
        let client = leaf.client_config();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(tls, routes, async {
            let _ = stopped.await;
        }));
        Self { address, leaf: client, _streams: streams, _stop: stop }
    }

    fn client(&self, ca: &TestCa) -> Client {
        Client::new(self.address, id("control-plane"), ca.ca.bundle())
    }

    /// What it says to whoever has this certificate about so many objects.
    async fn get(&self, ca: &TestCa, leaf: Option<&Leaf>, objects: usize) -> Result<usize, Status> {
        let channel = self.client(ca).connect(leaf).await.unwrap();
        let request = wire::request(&vec![route(); objects]);
        let answer = ReceiptsClient::new(channel).get(request).await?;
        Ok(answer.into_inner().receipts.len())
    }
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An address where nobody is, which nobody else is given either.
fn hold() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&any().into()).unwrap();
    socket
}

fn leaf(ca: &TestCa, account: &str) -> Leaf {
    ca.authority().leaf_for(&id(account), HOUR, SystemTime::now()).unwrap()
}

/// The proxy of `web-1`: a stream that asks for the routes of `product`.
struct Proxy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    answers: Streaming<DeltaDiscoveryResponse>,
}

impl Proxy {
    async fn connect(ca: &TestCa, replica: &Replica) -> Self {
        let channel = replica.client(ca).connect(Some(&leaf(ca, "web"))).await.unwrap();
        let (requests, queue) = mpsc::channel(4);
        let first = DeltaDiscoveryRequest {
            node: Some(Node { id: "web-1.shop".to_owned(), ..Node::default() }),
            type_url: ResourceType::Route.type_url().to_owned(),
            resource_names_subscribe: vec![PRODUCT.to_owned()],
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let answers = client.delta_aggregated_resources(ReceiverStream::new(queue)).await.unwrap();
        Self { requests, answers: answers.into_inner() }
    }

    async fn hear(&mut self) -> DeltaDiscoveryResponse {
        self.answers.message().await.unwrap().expect("the stream is open")
    }

    async fn ack(&self, answer: DeltaDiscoveryResponse) {
        let DeltaDiscoveryResponse { type_url, nonce, .. } = answer;
        let ack = DeltaDiscoveryRequest { type_url, response_nonce: nonce, ..Default::default() };
        self.requests.send(ack).await.unwrap();
    }
}

/// A mesh whose control plane has these replicas.
fn listing(replicas: &[(&str, SocketAddr)]) -> Mesh {
    let names: Vec<_> = replicas.iter().map(|(name, _)| *name).collect();
    let mut mesh = Mesh::clone(&mesh(&names));
    fixture::add_service(&mut mesh, "weft-control-plane", 15010, crate::model::AppProtocol::Http);
    let listed = replicas.iter().map(|(name, address)| Listed {
        workload: Key::new("shop", *name),
        ports: [("grpc".to_owned(), address.port())].into(),
        draining: false,
    });
    fixture::service(&mut mesh, "weft-control-plane").listed = Some(listed.collect());
    mesh
}

/// The replica `cp-1`, as it asks.
fn leader(ca: &TestCa, tls: &watch::Receiver<Arc<ClientConfig>>) -> Replicas {
    Replicas::new(Own {
        namespace: "shop".to_owned(),
        pod: "cp-1".to_owned(),
        identity: id("control-plane"),
        tls: tls.clone(),
        clock: ca.clock.clock(),
    })
}

/// Asks; once so many have answered, the time that an answer may take is over for the rest.
async fn ask_until(leader: &mut Replicas, mesh: &Mesh, answering: usize) -> Vec<String> {
    let (left, all) = (Cell::new(answering), Notify::new());
    let (left, all) = (&left, &all);
    let asked = leader.ask_each(mesh, |channel| async move {
        let answer = ReceiptsClient::new(channel).get(wire::request(&[route()])).await?;
        left.set(left.get() - 1);
        if left.get() == 0 {
            all.notify_one();
        }
        wire::receipts(answer.into_inner(), 1).ok_or(AskError::Malformed)
    });
    let over = async {
        all.notified().await;
        // Timers are a millisecond late at most.
        tokio::time::advance(LIMIT + Duration::from_millis(1)).await;
        std::future::pending().await
    };
    let answers: Vec<_> = tokio::select! { answers = asked => answers, never = over => never };
    let answers = answers.into_iter().map(|(replica, receipts)| Answer { replica, receipts });
    lines(&answers.collect::<Vec<_>>())
}

/// `cp-2: 3 0/1`: generation, and how many of the proxies concerned run it.
fn lines(answers: &[Answer]) -> Vec<String> {
    let one = |answer: &Answer| {
        let said = answer.receipts.as_ref().map_or("silent".to_owned(), |receipts| {
            let Receipt { generation, concerned, programmed, .. } = &receipts[0];
            format!("{} {programmed}/{concerned}", generation.unwrap_or(0))
        });
        format!("{}: {said}", answer.replica)
    };
    answers.iter().map(one).collect()
}

#[test]
fn the_others_are_the_ready_pods_behind_the_service() {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut mesh = listing(&[("cp-1", at(1)), ("cp-2", at(2)), ("cp-3", at(3)), ("cp-4", at(4))]);
    let listed = fixture::service(&mut mesh, "weft-control-plane").listed.as_mut().unwrap();
    listed[1].draining = true;
    listed[2].ports = [("webhook".to_owned(), 3)].into();
    let elsewhere = Listed { workload: Key::new("blog", "cp-5"), ..listed[1].clone() };
    let unknown = Listed { workload: Key::new("shop", "cp-6"), ..listed[1].clone() };
    listed.extend([elsewhere, unknown]);
    let found = listed::others(&mesh, "shop", "cp-1");
    assert_eq!(found, [("cp-2".to_owned(), at(2)), ("cp-4".to_owned(), at(4))].into());
    assert!(listed::others(&mesh, "blog", "cp-1").is_empty());
    assert!(listed::others(&listing(&[("cp-1", at(1))]), "shop", "cp-1").is_empty());
    fixture::service(&mut mesh, "weft-control-plane").listed = None;
    assert!(listed::others(&mesh, "shop", "cp-1").is_empty());
}

#[test]
fn an_answer_that_is_none_is_not_taken() {
    let receipt = Receipt {
        generation: Some(3),
        concerned: 3,
        programmed: 1,
        refusing: 1,
        refused: vec![xds::Refusal { proxy: "a.shop".to_owned(), reason: "no".to_owned() }],
        waiting: vec!["b.shop".to_owned()],
        missing: vec![],
    };
    let answer = wire::response(vec![receipt.clone()]);
    assert_eq!(wire::receipts(answer.clone(), 1), Some(vec![receipt]));
    assert_eq!(wire::receipts(answer.clone(), 2), None);
    let mut odd = answer;
    odd.receipts[0].programmed = 3;
    assert_eq!(wire::receipts(odd, 1), None);
}

#[tokio::test]
async fn only_a_replica_is_answered_and_only_about_so_many_objects() {
    let ca = TestCa::new(&["product", "web"]);
    let replica = Replica::start(&ca, "control-plane", any(), 3);
    let own = leaf(&ca, "control-plane");
    assert_eq!(replica.get(&ca, Some(&own), MAX_OBJECTS).await.unwrap(), MAX_OBJECTS);
    for (leaf, objects, code) in [
        (Some(&own), MAX_OBJECTS + 1, Code::InvalidArgument),
        (Some(&leaf(&ca, "product")), 1, Code::PermissionDenied),
        (None, 1, Code::Unauthenticated),
    ] {
        let status = replica.get(&ca, leaf, objects).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
}

#[tokio::test]
async fn proxies_of_the_others_are_counted() {
    stop_the_clock();
    let ca = TestCa::new(&["web"]);
    let [one, two] = [3, 3].map(|at| Replica::start(&ca, "control-plane", any(), at));
    let mesh = listing(&[("cp-1", one.address), ("cp-2", two.address)]);
    let mut leader = leader(&ca, &one.leaf);
    let mut ask = async || lines(&leader.ask(&mesh, &[route()]).await);
    assert_eq!(ask().await, ["cp-2: 3 0/0"]);
    let mut proxy = Proxy::connect(&ca, &two).await;
    let answer = proxy.hear().await;
    assert_eq!(ask().await, ["cp-2: 3 0/1"]);
    proxy.ack(answer).await;
    let runs = async {
        while ask().await != ["cp-2: 3 1/1"] {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), runs).await.expect("the proxy's answer is heard");
}

#[tokio::test]
async fn one_that_does_not_answer_is_left_alone_for_a_while_and_holds_up_nobody() {
    stop_the_clock();
    let ca = TestCa::new(&["web"]);
    // A port that takes connections and says nothing, one of somebody else, and one where nobody is.
    let mute = std::net::TcpListener::bind(any()).unwrap();
    let other = Replica::start(&ca, "web", any(), 3);
    let good = Replica::start(&ca, "control-plane", any(), 3);
    let held = hold();
    let nobody = held.local_addr().unwrap().as_socket().unwrap();
    let mesh = listing(&[
        ("cp-2", mute.local_addr().unwrap()),
        ("cp-3", other.address),
        ("cp-4", good.address),
        ("cp-5", nobody),
    ]);
    let mut leader = leader(&ca, &good.leaf);
    let expected = ["cp-2: silent", "cp-3: silent", "cp-4: 3 0/0", "cp-5: silent"];
    assert_eq!(ask_until(&mut leader, &mesh, 1).await, expected);

    let back = Replica::start(&ca, "control-plane", nobody, 4);
    // The clock stands: nobody is waited for again.
    let begun = Instant::now();
    assert_eq!(lines(&leader.ask(&mesh, &[route()]).await), expected);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    tokio::time::advance(PAUSE).await;
    let answers = ask_until(&mut leader, &mesh, 2).await;
    assert_eq!(answers, ["cp-2: silent", "cp-3: silent", "cp-4: 3 0/0", "cp-5: 4 0/0"]);

    let fewer = listing(&[("cp-5", back.address)]);
    assert_eq!(lines(&leader.ask(&fewer, &[route()]).await), ["cp-5: 4 0/0"]);
    assert_eq!(leader.others.len(), 1);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on() {
    stop_the_clock();
    let ca = TestCa::new(&["web"]);
    let replica = Replica::start(&ca, "control-plane", any(), 3);
    let mesh = listing(&[("cp-2", replica.address)]);
    // Somebody else's: the same place, the same question, another certificate.
    let wrong = ServerLeaf::issue(ca.ca.clone(), id("web")).unwrap();
    let shown = watch::Sender::new(wrong.client_config().borrow().clone());
    let mut leader = leader(&ca, &shown.subscribe());
    assert_eq!(lines(&leader.ask(&mesh, &[route()]).await), ["cp-2: silent"]);
    for _ in 0..2 {
        let right = ServerLeaf::issue(ca.ca.clone(), id("control-plane")).unwrap();
        let right = right.client_config().borrow().clone();
        shown.send_replace(right.clone());
        leader.others.get_mut("cp-2").unwrap().left_alone_until = None;
        assert_eq!(lines(&leader.ask(&mesh, &[route()]).await), ["cp-2: 3 0/0"]);
        let connection = leader.others["cp-2"].connection.as_ref().unwrap();
        assert!(connection.is_with(&right));
    }
}
