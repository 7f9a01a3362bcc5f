//! Finds the one sidecar that a command talks to: of the mesh on this machine, or in a pod of a cluster.
//!
//! In a cluster its admin socket is reached as the control plane's is: by `weft-proxy relay`, which the API server runs in
//! its container. Used by `proxy-config`.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use weft_proto::names;

use crate::admin::{AdminSocket, Container};
use crate::args::PlaceArgs;
use crate::cluster;
use crate::environment::Environment;
use crate::mesh::Mesh;

/// The container, and what it runs.
const CONTAINER: &str = "weft-proxy";
const PROGRAM: &str = "/usr/local/bin/weft-proxy";
/// Bound: names in one line.
const SHOWN: usize = 10;

/// The sidecar of a workload: `gateway` or `gateway.shop`; in a cluster that is a pod, and one without a namespace is looked for
/// in the context's.
///
/// # Errors
/// There is none of that name, or several; says which there are.
pub(crate) async fn find(
    name: &str,
    place: &PlaceArgs,
    mesh: Option<&str>,
    environment: &Environment,
) -> Result<AdminSocket> {
    if !place.means_a_cluster() {
        match Mesh::look(mesh, environment)? {
            Some(mesh) => return mesh.sidecar(name),
            None if mesh.is_none() && environment.has_kubeconfig => {}
            // Says how to get one.
            None => return Mesh::find(mesh, environment)?.sidecar(name),
        }
    }
    // Boxed: what asks a cluster is far larger than what asks a socket.
    Box::pin(of_cluster(name, place)).await
}

async fn of_cluster(name: &str, place: &PlaceArgs) -> Result<AdminSocket> {
    let client = cluster::connect(&place.cluster).await?;
    let (pod, namespace) = match names::parse_workload(name) {
        Some((pod, namespace)) => (pod.to_owned(), namespace.to_owned()),
        None => (name.to_owned(), client.default_namespace().to_owned()),
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let found = api.get_opt(&pod).await;
    let found = found.with_context(|| format!("cannot look for pod {pod} in {namespace}"))?;
    match found {
        Some(found) => {
            let container = container(&found, &namespace)?;
            Ok(AdminSocket::in_pod(api, container))
        }
        None => bail!(none(&pod, &namespace, &meshed(client, &namespace).await)),
    }
}

/// How its sidecar is asked.
fn container(pod: &Pod, namespace: &str) -> Result<Container> {
    let name = pod.name_any();
    if cluster::sidecar(pod).is_none() {
        bail!("pod {name} in {namespace} has no sidecar");
    }
    if cluster::has_ended(pod) {
        bail!("pod {name} in {namespace} has ended, and its sidecar with it");
    }
    let command = [PROGRAM, weft_relay::NAME].map(str::to_owned).to_vec();
    Ok(Container {
        namespace: namespace.to_owned(),
        pod: name,
        name: CONTAINER.to_owned(),
        command,
    })
}

/// Pods with a sidecar. Whoever may list none is shown none.
async fn meshed(client: Client, namespace: &str) -> Vec<String> {
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let pods = cluster::list(&api, ListParams::default()).await.unwrap_or_default();
    let pods =
        pods.iter().filter(|pod| cluster::sidecar(pod).is_some() && !cluster::has_ended(pod));
    pods.map(ResourceExt::name_any).collect()
}

/// A name of what starts pods is most likely meant; those that it may have started come first.
fn none(name: &str, namespace: &str, meshed: &[String]) -> String {
    let started = format!("{name}-");
    let mut meshed: Vec<&str> = meshed.iter().map(String::as_str).collect();
    meshed.sort_by_key(|pod| (!pod.starts_with(&started), *pod));
    let more = if meshed.len() > SHOWN { " …" } else { "" };
    match meshed[..] {
        [] => format!("there is no pod {name} in {namespace}, nor any pod with a sidecar"),
        [..] => {
            meshed.truncate(SHOWN);
            let there_are = meshed.join(", ");
            format!(
                "there is no pod {name} in {namespace}; with a sidecar there are {there_are}{more}"
            )
        }
    }
}

#[cfg(test)]
mod tests;
