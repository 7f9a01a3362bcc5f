//! The data path's threads: a few single-threaded runtimes that share the listening sockets and nothing else
//! that is written on the request path. `app` starts them; a connection stays on the worker that accepted it,
//! with its connections to endpoints, so that nothing is locked or moved between threads.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cluster::Endpoint;
use crate::inbound::{self, Apps, Inbound, Own};
use crate::listener::Limits;
use crate::outbound::{self, Mirrors, Outbound};
use crate::random::Random;
use crate::retry::Exhausted;
use crate::state::{State, Target};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Edge;
use crate::tls::TlsStore;
use crate::upstream::Upstream;
use crate::{drain, listener};

/// A listening socket and what stands behind it.
#[derive(Debug)]
pub struct Door {
    /// Bound, not yet accepted from.
    pub socket: TcpListener,
    /// What stands behind it.
    pub behind: Behind,
}

/// What stands behind a listening socket.
#[derive(Debug)]
pub enum Behind {
    /// A port of the workload.
    Application {
        /// The port, as peers know it.
        port: u16,
        /// The application.
        app: Arc<Endpoint>,
    },
    /// A Service port that the application calls.
    Service(Arc<Target>),
    /// What the application calls, redirected.
    Outbound,
    /// What calls the workload, redirected.
    Inbound,
}

/// What a worker needs where connections are intercepted.
#[derive(Clone, Debug)]
pub struct Intercepted {
    /// The application.
    pub apps: Arc<Apps>,
    /// The workload's own addresses.
    pub addresses: Arc<[IpAddr]>,
    /// Counters of what passes through.
    pub passed: Arc<Edge>,
}

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// `product-v1.shop`.
    pub workload: Arc<str>,
    /// The configuration in force.
    pub state: Arc<State>,
    /// Our certificate and whom to trust.
    pub tls: Arc<TlsStore>,
    /// Where records go.
    pub telemetry: Arc<Telemetry>,
    /// Requests that were tried often enough.
    pub exhausted: Arc<Exhausted>,
    /// Limits of connections that are accepted.
    pub limits: Limits,
    /// Copies of requests under way.
    pub mirrors: Arc<Mirrors>,
    /// Drain of connections from callers.
    pub inbound: drain::Source,
    /// Drain of connections from the application.
    pub outbound: drain::Source,
    /// Where connections are intercepted.
    pub intercepted: Option<Intercepted>,
    /// Ends the worker.
    pub stop: Stop,
}

/// In two steps, so that connections may finish when no new ones come in any more.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Accept no more.
    pub accepting: watch::Receiver<bool>,
    /// End what is left.
    pub running: watch::Receiver<bool>,
}

/// Starts worker number `index`. Its thread ends with [`Stop::running`].
///
/// # Errors
/// If the system gives no thread, no runtime, or no clone of a socket.
pub fn start(
    index: usize,
    seed: u64,
    doors: &[Door],
    shared: &Shared,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let overload = shared.limits.overload.clone();
    let upstream = Upstream { worker: index, tls: Arc::clone(&shared.tls), own: None, overload };
    let random = Arc::new(Random::seeded(seed));
    let interceptors =
        shared.intercepted.as_ref().map(|all| interceptors(all, shared, &upstream, &random));
    let worker = Worker { shared: shared.clone(), upstream, random, interceptors };
    let mut listening = JoinSet::new();
    for door in doors {
        worker.listen(door, &mut listening, &runtime)?;
    }
    let Stop { mut accepting, mut running } = shared.stop.clone();
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        runtime.block_on(async {
            // A sender that is gone ends the worker too.
            let _ = accepting.wait_for(|stop| *stop).await;
            listening.abort_all();
            let _ = running.wait_for(|stop| *stop).await;
        });
    })
}

struct Worker {
    shared: Shared,
    upstream: Upstream,
    random: Arc<Random>,
    interceptors: Option<Interceptors>,
}

/// Of one worker.
struct Interceptors {
    inbound: Arc<inbound::Interceptor>,
    outbound: Arc<outbound::Interceptor>,
}

impl Worker {
    fn listen(
        &self,
        door: &Door,
        listening: &mut JoinSet<()>,
        runtime: &Runtime,
    ) -> io::Result<()> {
        let socket = door.socket.try_clone()?;
        let runtime = runtime.handle();
        let overload = self.shared.limits.overload.clone();
        // Small futures: a future that is handed to another one is held twice.
        match &door.behind {
            Behind::Application { port, app } => {
                let (drain, inbound) = (self.shared.inbound.clone(), self.inbound(*port, app));
                let run = async move {
                    let handle = move |stream, client, watch| {
                        tokio::spawn(Arc::clone(&inbound).handle_connection(stream, client, watch));
                    };
                    say(listener::run(socket, drain, overload, handle).await);
                };
                listening.spawn_on(run, runtime);
            }
            Behind::Service(target) => {
                let (drain, outbound) = (self.shared.outbound.clone(), self.outbound(target));
                let run = async move {
                    let handle = move |stream, client, watch| {
                        let outbound = Arc::clone(&outbound);
                        tokio::spawn(outbound.handle_connection(stream, client, watch));
                    };
                    say(listener::run(socket, drain, overload, handle).await);
                };
                listening.spawn_on(run, runtime);
            }
            Behind::Outbound | Behind::Inbound => self.intercept(door, socket, listening, runtime),
        }
        Ok(())
    }

    fn intercept(
        &self,
        door: &Door,
        socket: TcpListener,
        listening: &mut JoinSet<()>,
        runtime: &Handle,
    ) {
        let Some(Interceptors { inbound, outbound }) = &self.interceptors else { return };
        let overload = self.shared.limits.overload.clone();
        if matches!(door.behind, Behind::Inbound) {
            let (drain, inbound) = (self.shared.inbound.clone(), Arc::clone(inbound));
            let run = async move {
                let handle = move |stream, client, watch| {
                    tokio::spawn(Arc::clone(&inbound).handle_connection(stream, client, watch));
                };
                say(listener::run(socket, drain, overload, handle).await);
            };
            listening.spawn_on(run, runtime);
        } else {
            let (drain, outbound) = (self.shared.outbound.clone(), Arc::clone(outbound));
            let run = async move {
                let handle = move |stream, client, watch| {
                    tokio::spawn(Arc::clone(&outbound).handle_connection(stream, client, watch));
                };
                say(listener::run(socket, drain, overload, handle).await);
            };
            listening.spawn_on(run, runtime);
        }
    }

    fn inbound(&self, port: u16, app: &Arc<Endpoint>) -> Arc<Inbound> {
        Arc::new(Inbound {
            port,
            workload: Arc::clone(&self.shared.workload),
            app: Arc::clone(app),
            state: Arc::clone(&self.shared.state),
            upstream: self.upstream.clone(),
            telemetry: Arc::clone(&self.shared.telemetry),
            exhausted: Arc::clone(&self.shared.exhausted),
            limits: self.shared.limits.clone(),
        })
    }

    fn outbound(&self, target: &Arc<Target>) -> Arc<Outbound> {
        Arc::new(Outbound {
            service: Arc::clone(&target.name),
            only: None,
            target: Arc::clone(target),
            upstream: self.upstream.clone(),
            telemetry: Arc::clone(&self.shared.telemetry),
            exhausted: Arc::clone(&self.shared.exhausted),
            mirrors: Arc::clone(&self.shared.mirrors),
            random: Arc::clone(&self.random),
            limits: self.shared.limits.clone(),
        })
    }
}

/// Order: the inbound one first, for the outbound one reaches it where the workload calls itself.
fn interceptors(
    all: &Intercepted,
    shared: &Shared,
    upstream: &Upstream,
    random: &Arc<Random>,
) -> Interceptors {
    let inbound = Arc::new(inbound::Interceptor {
        workload: Arc::clone(&shared.workload),
        apps: Arc::clone(&all.apps),
        state: Arc::clone(&shared.state),
        upstream: upstream.clone(),
        telemetry: Arc::clone(&shared.telemetry),
        exhausted: Arc::clone(&shared.exhausted),
        limits: shared.limits.clone(),
    });
    let own = Arc::new(Own {
        addresses: Arc::clone(&all.addresses),
        inbound: Arc::clone(&inbound),
        drain: shared.inbound.clone(),
    });
    let outbound = Arc::new(outbound::Interceptor {
        state: Arc::clone(&shared.state),
        upstream: Upstream { own: Some(own), ..upstream.clone() },
        telemetry: Arc::clone(&shared.telemetry),
        random: Arc::clone(random),
        exhausted: Arc::clone(&shared.exhausted),
        limits: shared.limits.clone(),
        mirrors: Arc::clone(&shared.mirrors),
        passed: Arc::clone(&all.passed),
    });
    Interceptors { inbound, outbound }
}

fn say(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a listener ended");
    }
}
