//! Network namespaces as pods: a bridge with a router, and pods on it, each with an interface, an IPv4 and an IPv6
//! address and a default route. Inside there is no other network, so addresses and ports are fixed numbers, in every
//! test the same.
//!
//! Two ways in. [`Pod::on`] runs a future in the pod: all of the harness's clients and applications are then in
//! there, unchanged, as the user that is named. [`Pod::program`] makes a [`Program`](super::Program) that starts
//! there. A Service address ([`PodNetwork::SERVICES_V4`]) belongs to nobody: only a sidecar can make something of it.
//!
//! Everything goes with the value, after a panic too; what a killed test run has left is swept by the next one.

mod capture;
mod command;
mod inside;
mod namespace;
mod pod;
mod runtime;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use command::{batch, ip};
use namespace::Namespace;

pub(crate) use capture::Capture;
pub(crate) use inside::{Inside, Usage};
pub(crate) use pod::Pod;

/// User of applications in pods.
pub(crate) const APP_UID: u32 = 1000;

/// User of sidecars in pods.
pub(crate) const PROXY_UID: u32 = 1980;

/// Name of the bridge, in the namespace of the router.
const BRIDGE: &str = "pods";

/// A network with pods.
#[derive(Debug)]
pub(crate) struct PodNetwork {
    /// Where the bridge is: the pods' router, and the place of what runs in no pod.
    router: Pod,
    name: String,
    directory: TempDir,
    pods: AtomicU32,
}

impl PodNetwork {
    /// Addresses of Services; none of them exists: the router answers that there is no such host.
    pub(crate) const SERVICES_V4: &str = "10.96.0.0/16";
    /// The same for IPv6.
    pub(crate) const SERVICES_V6: &str = "fd96::/112";

    /// A new network, with no pods. `None` if this machine lets us have none; then it has said loudly why.
    ///
    /// # Panics
    /// It should be possible, but is not.
    pub(crate) fn create(test: &str) -> Option<Self> {
        if let Some(reason) = command::obstacle() {
            super::loud(&format!("{test}: SKIPPED: {reason}"));
            return None;
        }
        Some(Self::build().expect("network namespaces can be made"))
    }

    fn build() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        namespace::sweep();
        let name = format!("weft-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::Builder::new().prefix("weft-pods-").tempdir()?;
        // Users of pods pass it on their way to what is theirs.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let namespace = Namespace::create(&format!("{name}-router"))?;
        let (v4, v6) = addresses(1);
        batch(
            Some(namespace.name()),
            &[
                format!("link add {BRIDGE} type bridge forward_delay 0"),
                format!("link set {BRIDGE} up"),
                format!("addr add {v4}/16 dev {BRIDGE}"),
                format!("addr add {v6}/64 dev {BRIDGE} nodad"),
                format!("route add unreachable {}", Self::SERVICES_V4),
                format!("route add unreachable {}", Self::SERVICES_V6),
            ],
        )?;
        // Only who forwards says that there is no way.
        namespace.set("net/ipv4/ip_forward", "1")?;
        namespace.set("net/ipv6/conf/all/forwarding", "1")?;
        let router = Pod::new("router", namespace, v4, v6, directory.path());
        Ok(Self { router, name, directory, pods: AtomicU32::new(0) })
    }

    /// The namespace of the router, reached from every pod at its addresses: for a control plane, and for
    /// applications outside the mesh.
    pub(crate) fn router(&self) -> &Pod {
        &self.router
    }

    /// One more pod, at most 200.
    pub(crate) fn pod(&self, name: &str) -> Pod {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        self.try_pod(name, number).unwrap_or_else(|error| panic!("no pod {name}: {error:#}"))
    }

    fn try_pod(&self, name: &str, number: u32) -> Result<Pod> {
        let number = u8::try_from(number + 10).context("too many pods")?;
        let (v4, v6) = addresses(number);
        let (router_v4, router_v6) = addresses(1);
        let namespace = Namespace::create(&format!("{}-{number}", self.name))?;
        // Both ends are made where they belong: no name of ours is ever in the machine's own namespace.
        let link = format!("pod{number}");
        ip(&format!(
            "-n {} link add {link} type veth peer name eth0 netns {}",
            self.router.namespace(),
            namespace.name()
        ))?;
        batch(
            Some(self.router.namespace()),
            &[format!("link set {link} master {BRIDGE}"), format!("link set {link} up")],
        )?;
        batch(
            Some(namespace.name()),
            &[
                format!("addr add {v4}/16 dev eth0"),
                format!("addr add {v6}/64 dev eth0 nodad"),
                "link set eth0 up".to_owned(),
                format!("route add default via {router_v4}"),
                format!("route add default via {router_v6}"),
            ],
        )?;
        Ok(Pod::new(name, namespace, v4, v6, self.directory.path()))
    }

    /// An address of a Service, which nobody has. `number` is any.
    pub(crate) fn service_v4(number: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(10, 96, 0, number), port).into()
    }

    /// The same for IPv6.
    pub(crate) fn service_v6(number: u8, port: u16) -> SocketAddr {
        (Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, number.into()), port).into()
    }

    /// A directory that every user may pass; it goes with the network.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A program where every user may start it; built ones often lie in somebody's home.
    pub(crate) fn installed(&self, program: &Path) -> PathBuf {
        let name = program.file_name().expect("a program has a name");
        let path = self.directory.path().join(name);
        if !path.exists() {
            // Not a link to a link, which would lead from here to nowhere.
            let program = fs::canonicalize(program).expect("the program is there");
            // A link costs nothing, but only works on one file system.
            fs::hard_link(&program, &path)
                .or_else(|_| fs::copy(&program, &path).map(drop))
                .expect("the program can be copied");
        }
        path
    }
}

/// Of the router (1) and the pods (10 and above).
fn addresses(number: u8) -> (IpAddr, IpAddr) {
    (
        Ipv4Addr::new(10, 77, 0, number).into(),
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into()).into(),
    )
}
