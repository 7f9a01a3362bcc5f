//! Products in a mesh: each in a pod of its own, called from the pod `client`, through Services that declare its
//! protocol and one that does not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::User;

use super::product::{Command, Counted, Facts, Product, find};
use crate::harness::{
    APP_UID, Output, Pod, PodMesh, PodNetwork, Process, Program, eventually, loud, run,
};

/// Time until a server takes connections: for a busy machine, and for those that run on Java.
const START: Duration = Duration::from_secs(180);
/// The pod of all clients.
pub(crate) const CALLER: &str = "client";

/// How a Service names what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// By `appProtocol`.
    Declared,
    /// By the first word of the port's name.
    Named,
    /// Not at all.
    Bare,
}

/// All of them.
pub(crate) const ENTRIES: [Entry; 3] = [Entry::Declared, Entry::Named, Entry::Bare];

/// A mesh with running servers. Everything of it goes with the value.
#[derive(Debug)]
pub(crate) struct Scene {
    // Order: servers first, then what they run in.
    _servers: Vec<Process>,
    pub(crate) mesh: PodMesh,
}

impl Entry {
    /// The Service of a product that is entered so.
    pub(crate) fn service(self, facts: &Facts) -> String {
        match self {
            Self::Declared => format!("{}-declared", facts.name),
            Self::Named => format!("{}-named", facts.name),
            Self::Bare => facts.name.to_owned(),
        }
    }

    /// Its one port, as a user writes it.
    fn port(self, facts: &Facts) -> String {
        let Facts { port, protocol, .. } = facts;
        match self {
            Self::Declared => {
                format!("{{port: {port}, targetPort: {port}, appProtocol: {protocol}}}")
            }
            Self::Named => format!("{{name: {protocol}-x, port: {port}, targetPort: {port}}}"),
            Self::Bare => format!("{{port: {port}, targetPort: {port}}}"),
        }
    }

    /// The port of the pod.
    fn of_pod(self, facts: &Facts) -> String {
        let Facts { port, protocol, .. } = facts;
        match self {
            Self::Declared => format!("{{name: main, port: {port}, appProtocol: {protocol}}}"),
            Self::Named => format!("{{name: {protocol}-x, port: {port}}}"),
            Self::Bare => format!("{{name: main, port: {port}}}"),
        }
    }

    /// Where it is: the address of the product that stands at this place. One of them has IPv6.
    pub(crate) fn address(self, place: usize, facts: &Facts) -> SocketAddr {
        let number = self.number(place);
        match self {
            Self::Named => PodNetwork::service_v6(number, facts.port),
            Self::Declared | Self::Bare => PodNetwork::service_v4(number, facts.port),
        }
    }

    /// The last part of its address.
    fn number(self, place: usize) -> u8 {
        u8::try_from(10 * (place + 1) + self as usize).expect("a few products")
    }
}

impl Scene {
    /// Starts these products in a mesh, each with what its pod says of its port. `None` if this machine cannot; then
    /// it has said loudly why.
    pub(crate) async fn start(
        products: &[(&dyn Product, Entry)],
        settings: &[&str],
    ) -> Option<Self> {
        let names: Vec<&str> = products.iter().map(|(product, _)| product.facts().name).collect();
        let names = names.join(", ");
        if let Some(lack) = products.iter().find_map(|(product, _)| lack(&product.facts())) {
            loud(&format!("{names}: SKIPPED: {lack}"));
            return None;
        }
        let mut builder = PodMesh::builder().pod(CALLER);
        for (place, (product, port)) in products.iter().enumerate() {
            let facts = product.facts();
            builder = builder.pod(facts.name).port(&port.of_pod(&facts));
            for entry in ENTRIES {
                let (service, number) = (entry.service(&facts), entry.number(place));
                builder = builder.service(&service, facts.name, number, &[&entry.port(&facts)]);
            }
        }
        builder = settings.iter().fold(builder, |builder, line| builder.setting(line));
        let mesh = builder.start(&names).await?;
        let mut servers = Vec::new();
        for (product, _) in products {
            servers.extend(serve(&mesh, *product).await.expect("the server starts"));
        }
        Some(Self { _servers: servers, mesh })
    }

    /// How often the mesh has counted what came through this entry: by the caller's sidecar under the Service port
    /// asked for, or by the receiver's under the identity of the caller, over mutual TLS.
    pub(crate) async fn count(&self, facts: &Facts, side: Side) -> Result<f64> {
        let name = match facts.counted {
            Counted::Requests => "weft_requests_total",
            Counted::Connections => "weft_tcp_connections_opened_total",
        };
        let (pod, direction, peer) = match side {
            Side::Outbound(entry) => {
                let service = entry.service(facts);
                (CALLER, "outbound", format!("{service}.shop:{}", facts.port))
            }
            Side::Inbound => {
                (facts.name, "inbound", format!("spiffe://mesh.test/ns/shop/sa/{CALLER}"))
            }
        };
        let labels = [
            format!("direction=\"{direction}\""),
            format!("peer=\"{peer}\""),
            "mtls=\"true\"".to_owned(),
        ];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        self.mesh.metric(pod, name, &labels).await
    }
}

/// Whose count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// The caller's sidecar, of this entry.
    Outbound(Entry),
    /// The receiver's.
    Inbound,
}

/// What of a product is not on this machine.
fn lack(facts: &Facts) -> Option<String> {
    let missing = facts.needs.iter().find(|(program, _)| find(program).is_none());
    missing.map(|(program, package)| {
        format!(
            "there is no `{program}`: install {package}, or use tests/run (for some, with --all)"
        )
    })
}

/// Starts the server in its pod, and waits until it takes connections.
async fn serve(mesh: &PodMesh, product: &dyn Product) -> Result<Vec<Process>> {
    let facts = product.facts();
    let pod = mesh.pod(facts.name);
    let user = User::from_name(facts.user)?;
    let uid = user.with_context(|| format!("no user {}", facts.user))?.uid.as_raw();
    let home = pod.home(uid);
    let server = product.server(&home);
    let program = |command: &Command| {
        let mut program = program(command);
        program.variables.push(("HOME".to_owned(), home.display().to_string()));
        program.log = mesh.network().directory().join(format!("{}-server.log", facts.name));
        pod.program(uid, program)
    };
    for command in &server.before {
        let output = run(&program(command), START).await;
        ensure!(output.code == Some(0), "{command:?}: {output:?}");
    }
    let processes: Vec<Process> = server
        .start
        .iter()
        .map(|command| Process::start(program(command)))
        .collect::<Result<_>>()?;
    eventually(&format!("{} takes connections", facts.name), START, async || {
        for process in &processes {
            process.pid()?;
        }
        let output = run(&program(&server.ready), START).await;
        ensure!(output.code == Some(0), "{output:?}");
        Ok(())
    })
    .await;
    Ok(processes)
}

/// Runs a client to its end, as the application's user.
pub(crate) async fn ask(pod: &Pod, command: &Command, limit: Duration) -> Output {
    run(&pod.program(APP_UID, client(command)), limit).await
}

/// A client's program.
pub(crate) fn client(command: &Command) -> Program {
    let mut program = program(command);
    program.variables.push(("HOME".to_owned(), "/tmp".to_owned()));
    program
}

fn program(command: &Command) -> Program {
    Program {
        name: command.join(" "),
        path: command[0].clone().into(),
        args: command[1..].iter().map(Into::into).collect(),
        variables: Vec::new(),
        log: PathBuf::new(),
    }
}
