//! Where an admin socket is, and how it is reached: on this machine, or in a pod's container through the API server.
//!
//! Used by [`super::AdminSocket`] alone. In a pod nothing listens for it: the API server is asked to run the program's `relay`
//! there, whose stdin and stdout are the connection then. Who may do that (`pods/exec`) is the cluster's business.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

use crate::cluster::Unanswered;

/// Bound: what a relay that fails has to say.
const MAX_COMPLAINT: u64 = 4096;
/// An answer comes from memory; a peer that needs longer is stuck.
const DEADLINE: Duration = Duration::from_secs(5);
/// A program is started for it, by way of the API server and a kubelet, if need be again.
const DEADLINE_IN_POD: Duration = Duration::from_secs(45);
/// For that program to say that it is there. On a busy node a runtime loses the first bytes of one now and then, and nothing
/// follows.
const GREETING: Duration = Duration::from_secs(5);
/// How often it is started.
const STARTS: usize = 5;

/// See the module.
#[derive(Clone)]
pub(super) enum Place {
    /// A file.
    Here(PathBuf),
    /// In a container.
    Pod(Api<Pod>, Box<Container>),
}

/// A container with a control plane or a sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) name: String,
    /// What it runs, and the argument with which that relays.
    pub(crate) command: Vec<String>,
}

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, and the process behind it.
pub(super) struct Connection {
    /// Bytes both ways.
    pub(super) stream: Box<dyn Stream>,
    /// None on this machine.
    pub(super) relay: Option<AttachedProcess>,
}

impl Place {
    pub(super) fn deadline(&self) -> Duration {
        match self {
            Self::Here(_) => DEADLINE,
            Self::Pod(..) => DEADLINE_IN_POD,
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Connection> {
        match self {
            Self::Here(path) => {
                let stream = tokio::net::UnixStream::connect(path).await?;
                Ok(Connection { stream: Box::new(stream), relay: None })
            }
            Self::Pod(pods, container) => {
                let mut silence = None;
                for _ in 0..STARTS {
                    match timeout(GREETING, start(pods, container)).await {
                        Ok(connected) => return connected,
                        Err(silent) => silence = Some(silent),
                    }
                }
                Err(silence.map_or_else(|| io::Error::other("never started"), Into::into))
            }
        }
    }
}

/// Starts the program that relays, and waits until it does.
async fn start(pods: &Api<Pod>, container: &Container) -> io::Result<Connection> {
    let Container { pod, name, command, .. } = container;
    let params = AttachParams::default().container(name).stdin(true).stdout(true);
    let started = pods.exec(pod, command, &params.stderr(true)).await;
    let mut process = started.map_err(|error| refused(error, &container.namespace))?;
    let (Some(stdin), Some(mut stdout)) = (process.stdin(), process.stdout()) else {
        return Err(io::Error::other("the API server gives no way in or out"));
    };
    let mut said = [0; weft_relay::GREETING.len()];
    if let Err(error) = stdout.read_exact(&mut said).await {
        let complaint = complaint(Some(process)).await;
        return Err(complaint.map_or(error, io::Error::other));
    }
    if said != *weft_relay::GREETING {
        return Err(io::Error::other("what runs there is of a version that relays nothing"));
    }
    Ok(Connection { stream: Box::new(tokio::io::join(stdout, stdin)), relay: Some(process) })
}

/// Why nothing was started. The API server asks for `get` here, because a WebSocket begins with a GET; later ones (1.35) for
/// `create` besides. Its own words get lost on the way.
fn refused(error: kube::Error, namespace: &str) -> io::Error {
    use kube::client::UpgradeConnectionError::ProtocolSwitch;
    match error {
        kube::Error::UpgradeConnection(ProtocolSwitch(status))
            if status == StatusCode::FORBIDDEN =>
        {
            io::Error::other(format!(
                "you may run nothing in pods there: it takes the rights to `get` and to `create` `pods/exec` in {namespace}"
            ))
        }
        other => io::Error::other(Unanswered::from(other)),
    }
}

/// What the process behind a connection that broke off said of it.
pub(super) async fn complaint(relay: Option<AttachedProcess>) -> Option<String> {
    let mut text = Vec::new();
    let said = relay?.stderr()?.take(MAX_COMPLAINT).read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    (said.is_ok() && !text.is_empty()).then_some(text)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(path) => path.display().fmt(f),
            Self::Pod(_, container) => write!(f, "pod {}.{}", container.pod, container.namespace),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
