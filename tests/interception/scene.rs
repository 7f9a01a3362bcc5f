//! A pod with rules, a peer without, and reporters in both.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Output, PROXY_UID, Pod, PodNetwork, binary, exchange};

/// What every test here is done with.
pub(super) const BACKENDS: [&str; 2] = ["nft", "iptables"];

/// What applications and peers answer on, besides what stands for the sidecar.
const PORTS: [u16; 9] = [80, 8080, 9090, 9091, 9100, 9120, 9121, 15001, 15006];

pub(super) struct Scene {
    /// With rules.
    pub(super) pod: Pod,
    /// Without.
    pub(super) peer: Pod,
    pub(super) network: PodNetwork,
}

impl Scene {
    /// A pod whose rules were installed with these flags. `None` if this machine has no namespaces for us.
    pub(super) async fn start(test: &str, backend: &str, flags: &[&str]) -> Option<Self> {
        let scene = Self::without_rules(test).await?;
        let args = [&["--backend", backend], flags].concat();
        let output = scene.init(&args).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        Some(scene)
    }

    /// The same before `init`.
    pub(super) async fn without_rules(test: &str) -> Option<Self> {
        let network = PodNetwork::create(&format!("interception, {test}"))?;
        let (pod, peer) = (network.pod("pod"), network.pod("peer"));
        for port in PORTS {
            report(&peer, port, "peer", Place::Everywhere).await;
        }
        // As the sidecar will listen: outbound on loopback alone.
        report(&pod, 15001, "outbound", Place::Loopback).await;
        report(&pod, 15006, "inbound", Place::Everywhere).await;
        report(
            &pod,
            15020,
            if test == "other ports" { "app" } else { "health" },
            Place::Everywhere,
        )
        .await;
        report(&pod, 8080, "app", Place::Everywhere).await;
        report(&pod, 8081, "app", Place::Everywhere).await;
        Some(Self { pod, peer, network })
    }

    /// `weft-proxy init` in the pod.
    pub(super) async fn init(&self, flags: &[&str]) -> Output {
        self.pod.run(&binary("weft-proxy"), &[&["init"], flags].concat()).await
    }

    /// A tool in the pod; what it wrote.
    pub(super) async fn tool(&self, command: &str) -> String {
        let (tool, args) = command.split_once(' ').expect("every tool has arguments here");
        let args: Vec<&str> = args.split(' ').collect();
        let output = self.pod.run(Path::new(tool), &args).await;
        assert_eq!(output.code, Some(0), "{command}: {output:?}");
        output.stdout
    }

    /// All rules of a backend in the pod, without counters.
    pub(super) async fn rules(&self, backend: &str) -> String {
        let tools = ["iptables -t nat -S", "iptables -S", "ip6tables -t nat -S", "ip6tables -S"];
        match backend {
            "nft" => self.tool("nft -s list ruleset").await,
            _ => {
                let mut all = String::new();
                for tool in tools {
                    all += &self.tool(tool).await;
                }
                all
            }
        }
    }

    /// Who answers the pod's user, or how he was refused.
    pub(super) async fn call(&self, uid: u32, to: SocketAddr) -> String {
        self.pod.on_as(uid, ask(to)).await
    }

    /// Who answers the peer.
    pub(super) async fn call_from_peer(&self, to: SocketAddr) -> String {
        self.peer.on(ask(to)).await
    }
}

enum Place {
    Loopback,
    Everywhere,
}

/// Starts a reporter for both families. It answers every connection with its name and the original destination.
async fn report(pod: &Pod, port: u16, name: &'static str, place: Place) {
    let addresses: [SocketAddr; 2] = match place {
        Place::Loopback => [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()],
        Place::Everywhere => {
            [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]
        }
    };
    let serve = async move {
        for address in addresses {
            let listener = listen(address);
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let text = format!("{name} {}", original(&stream));
                    // A client that goes away is its own affair.
                    tokio::spawn(async move { stream.write_all(text.as_bytes()).await.is_ok() });
                }
            });
        }
    };
    pod.on_as(PROXY_UID, serve).await;
}

/// For one family alone: the other has its own.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    socket.listen(16).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpListener::from_std(socket.into()).unwrap()
}

fn original(stream: &TcpStream) -> SocketAddr {
    let local = stream.local_addr().unwrap();
    let socket = SockRef::from(stream);
    let original =
        if local.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    // Where the kernel tracks no connection, nothing was changed.
    original.ok().and_then(|original| original.as_socket()).unwrap_or(local)
}

async fn ask(to: SocketAddr) -> String {
    match exchange(to, b"").await {
        Ok(answer) => String::from_utf8(answer).unwrap(),
        Err(error) => error.to_string(),
    }
}
