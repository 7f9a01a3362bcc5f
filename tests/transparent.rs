//! Applications that know nothing of the mesh, in pods whose TCP the kernel leads through a sidecar: where their
//! connections go, what a port takes, how a protocol is told, and what is left alone.

mod access;
mod destinations;
mod detection;
mod modes;
mod outages;
mod probes;

use std::net::SocketAddr;

use anyhow::Result;

use crate::harness::{Answer, App, Pod, PodBuilder, PodMesh, get};

/// The Service `web`, port 80, of the pod `web`, whose application listens on 8080, called by the pod `client`.
const WEB: u8 = 1;

fn web(protocol: &str) -> PodBuilder {
    let protocol = match protocol {
        "" => String::new(),
        protocol => format!(", appProtocol: {protocol}"),
    };
    PodMesh::builder()
        .pod("client")
        .pod("web")
        .port(&format!("{{name: main, port: 8080{protocol}}}"))
        .service("web", "web", WEB, &[&format!("{{port: 80, targetPort: main{protocol}}}")])
}

/// An application in a pod, on all of its addresses.
async fn serve(pod: &Pod, port: u16) -> Result<App> {
    let (name, address) = (pod.name().to_owned(), SocketAddr::from(([0_u16; 8], port)));
    pod.on(async move { App::start(&name, address).await }).await
}

/// GET / from within a pod.
async fn call(pod: &Pod, to: SocketAddr) -> Result<Answer> {
    pod.on(async move { get(to, "/").await }).await
}

/// Whose certificate the last request to the application came with; empty if it came with none.
fn caller(app: &App) -> String {
    let seen = app.seen();
    let header = seen.last().and_then(|seen| seen.headers.get("x-forwarded-client-cert"));
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.rsplit("URI=").next().filter(|_| !text.is_empty()).unwrap_or_default().to_owned()
}

const CLIENT: &str = "spiffe://mesh.test/ns/shop/sa/client";
