//! What the control plane was told: flags and environment, read once, checked, and resolved.
//!
//! The only file that may look at the environment. Everybody else gets a [`Config`], in which no invalid
//! state can be expressed any more.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use weft_certs::TrustDomain;

/// All that [`crate::app::App`] has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the mesh is described.
    pub source: SourceConfig,
    /// Private directory for the CA and the admin socket; made if missing.
    pub state_dir: PathBuf,
    /// Where proxies connect; port 0 takes any.
    pub listen: SocketAddr,
    /// What proxies are told to connect to, `host:port`; `None` for the address that `listen` became.
    pub advertise: Option<String>,
    /// `/live`, `/ready` and `/metrics` over plain HTTP; `None` for the admin socket only.
    pub health: Option<SocketAddr>,
    /// Name of the mesh, for people.
    pub mesh: String,
    /// Trust domain of a new CA; `None` takes it from `MeshConfig`.
    pub trust_domain: Option<TrustDomain>,
    /// Directory with an issuing CA from outside: `tls.crt`, `tls.key`, `ca.crt`. In Kubernetes it is a Secret.
    pub issuer_dir: Option<PathBuf>,
    /// How to log.
    pub log: LogConfig,
}

/// Where the mesh is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// A directory of YAML. The CA is kept in the state directory, proxies show join tokens.
    Directory(PathBuf),
    /// The API server of the cluster that we run in. The CA is kept in a Secret, proxies show service accounts' tokens.
    Kubernetes(KubernetesConfig),
}

/// What only a control plane in Kubernetes is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Namespace of the control plane.
    pub namespace: String,
    /// Name of this replica, for the election.
    pub pod: String,
    /// Where the API server calls the injector (HTTPS).
    pub webhook: SocketAddr,
    /// Name of the Secret with an issuing CA from outside, in the same namespace. It need not be there.
    pub issuer_secret: String,
    /// Image of the sidecar in injected pods.
    pub proxy_image: String,
    /// Image of the init container in injected pods.
    pub init_image: String,
}

/// How to log, on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Form of the lines.
    pub format: LogFormat,
    /// What is logged, in the words of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The Weft control plane: reads the mesh's configuration, tells it to the proxies, and issues their
/// certificates.
#[derive(Debug, Parser)]
#[command(name = "weft-control-plane", version, after_help = AFTER_HELP)]
struct Flags {
    /// Directory of YAML that describes the mesh; changes take effect at once
    #[arg(
        long,
        value_name = "DIR",
        env = "WEFT_CONFIG_DIR",
        required_unless_present = "kubernetes",
        conflicts_with = "kubernetes"
    )]
    config_dir: Option<PathBuf>,

    /// Take the mesh from the API server of the cluster that this runs in (or of $KUBECONFIG), inject sidecars, and write
    /// status there
    #[arg(long, env = "WEFT_KUBERNETES")]
    kubernetes: bool,

    /// Private directory for the CA and the admin socket; made if missing
    #[arg(long, value_name = "DIR", env = "WEFT_STATE_DIR")]
    state_dir: PathBuf,

    /// Address for the proxies (gRPC over TLS); port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", env = "WEFT_LISTEN", default_value = "127.0.0.1:15010")]
    listen: SocketAddr,

    /// What proxies are told to connect to, where that differs from --listen
    #[arg(long, value_name = "HOST:PORT", env = "WEFT_ADVERTISE")]
    advertise: Option<String>,

    /// Serve /live, /ready and /metrics on this address too
    #[arg(long, value_name = "ADDRESS", env = "WEFT_HEALTH_LISTEN")]
    health_listen: Option<SocketAddr>,

    #[command(flatten)]
    kubernetes_only: KubernetesFlags,

    /// Name of the mesh
    #[arg(long, value_name = "NAME", env = "WEFT_MESH", default_value = "default")]
    mesh: String,

    /// Trust domain of a new CA [default: as the MeshConfig says, else cluster.local]
    #[arg(long, value_name = "NAME", env = "WEFT_TRUST_DOMAIN")]
    trust_domain: Option<TrustDomain>,

    /// Sign with the issuing CA in this directory: tls.crt (certificate, then those up to its root), tls.key (ECDSA), ca.crt
    /// (the root); may be replaced at any time
    #[arg(long, value_name = "DIR", env = "WEFT_ISSUER_DIR", conflicts_with = "kubernetes")]
    issuer_dir: Option<PathBuf>,
    /// Form of the log on stderr; auto is text on a terminal and JSON otherwise
    #[arg(long, value_name = "FORM", env = "WEFT_LOG_FORMAT", default_value = "auto")]
    log_format: LogFormat,

    /// What to log: error, warn, info, debug, trace, or a filter such as info,weft_control_plane=debug
    #[arg(long, value_name = "FILTER", env = "WEFT_LOG", default_value = "info")]
    log: String,
}

/// Flags that count with --kubernetes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --kubernetes")]
struct KubernetesFlags {
    /// Namespace of the control plane
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE", default_value = "weft-system")]
    namespace: String,

    /// Name of this replica, another one for each [default: by its process id]
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pod: Option<String>,

    /// Address for the injector (HTTPS, called by the API server)
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "WEFT_WEBHOOK_LISTEN",
        default_value = "0.0.0.0:15017"
    )]
    webhook_listen: SocketAddr,

    /// Secret with an issuing CA from outside, as cert-manager makes it; used where it is there
    #[arg(long, value_name = "NAME", env = "WEFT_ISSUER_SECRET", default_value = "weft-issuer")]
    issuer_secret: String,
    /// Image of the sidecar
    #[arg(long, value_name = "IMAGE", env = "WEFT_PROXY_IMAGE", default_value = concat!("weft.dev/weft-proxy:", env!("CARGO_PKG_VERSION")))]
    proxy_image: String,

    /// Image of the container that leads a pod's traffic through the sidecar
    #[arg(long, value_name = "IMAGE", env = "WEFT_INIT_IMAGE", default_value = concat!("weft.dev/weft-init:", env!("CARGO_PKG_VERSION")))]
    init_image: String,
}

impl KubernetesFlags {
    fn resolve(self) -> KubernetesConfig {
        KubernetesConfig {
            namespace: self.namespace,
            pod: self.pod.unwrap_or_else(|| format!("process-{}", std::process::id())),
            webhook: self.webhook_listen,
            issuer_secret: self.issuer_secret,
            proxy_image: self.proxy_image,
            init_image: self.init_image,
        }
    }
}

const AFTER_HELP: &str = "\
The state directory holds:
  admin.sock    HTTP and JSON for weft and for scripts; whoever may open it may do anything
  ca/           certificates and keys of the CA; without them every workload has to join again
  trust-domain  the trust domain that the CA was made for
With --kubernetes only the socket is there; the rest is in the Secret weft-ca. `weft-control-plane relay` connects its stdin
and stdout to the socket: so weft reaches it from outside the container.

Try it:
  curl --unix-socket DIR/admin.sock http://localhost/v1/mesh
  curl --unix-socket DIR/admin.sock http://localhost/v1/join-tokens \\
    -d '{\"workload\":\"product-v1.shop\"}'";

/// The process's arguments without its name.
pub fn process_arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

impl Config {
    /// From arguments (without the program's name) and the environment.
    ///
    /// # Errors
    /// What clap says of them, `--help` and `--version` included; it knows the text, stream and exit code.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let name = OsString::from("weft-control-plane");
        let flags = Flags::try_parse_from(std::iter::once(name).chain(arguments))?;
        flags
            .resolve()
            .map_err(|message| Flags::command().error(ErrorKind::ValueValidation, message))
    }
}

impl Flags {
    fn resolve(self) -> Result<Config, String> {
        check_mesh_name(&self.mesh)?;
        match &self.advertise {
            Some(advertise) => check_host_port(advertise)?,
            None if self.listen.ip().is_unspecified() => {
                let listen = self.listen;
                return Err(format!(
                    "--listen {listen} takes connections on every address, so proxies have to be told \
                     one: add --advertise HOST:PORT"
                ));
            }
            None => {}
        }
        let source = match self.config_dir {
            Some(dir) => SourceConfig::Directory(dir),
            // clap has seen to it that it is one or the other.
            None => SourceConfig::Kubernetes(self.kubernetes_only.resolve()),
        };
        Ok(Config {
            source,
            state_dir: self.state_dir,
            listen: self.listen,
            advertise: self.advertise,
            health: self.health_listen,
            mesh: self.mesh,
            trust_domain: self.trust_domain,
            issuer_dir: self.issuer_dir,
            log: LogConfig { format: self.log_format, filter: self.log },
        })
    }
}

/// It becomes a file name and stands in commands.
fn check_mesh_name(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        Ok(())
    } else {
        Err(format!(
            "--mesh {name:?}: 1 to 63 of a-z, 0-9 and '-', which is neither first nor last"
        ))
    }
}

fn check_host_port(text: &str) -> Result<(), String> {
    let authority: Option<http::uri::Authority> = text.parse().ok();
    let good = authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        let unspecified = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        !host.is_empty()
            && !unspecified
            && !text.contains('@')
            && authority.port_u16().is_some_and(|port| port != 0)
    });
    if good { Ok(()) } else { Err(format!("--advertise {text:?} is not HOST:PORT")) }
}

#[cfg(test)]
mod tests;
