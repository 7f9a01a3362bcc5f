//! The control planes that a command talks to: that of the mesh on this machine, or all replicas of a cluster's.
//!
//! Each replica knows the sidecars that are connected to it and no others, so whoever wants to know of all asks all. Used by
//! every command that asks one; what asks again and again has [`Planes`]. Commands that mean one machine only use [`Mesh`].

mod planes;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use crate::admin::{AdminSocket, Container};
use crate::args::PlaceArgs;
use crate::cluster::{self, NAMESPACE};
use crate::environment::Environment;
use crate::mesh::Mesh;

pub(crate) use planes::Planes;

/// The pods of the control plane.
const SELECTOR: &str = "app.kubernetes.io/name=weft,app.kubernetes.io/component=control-plane";
/// Where nobody said which mesh is meant.
const NEITHER: &str = "no mesh runs here (`weft demo` starts one), and the cluster of the kubeconfig was asked instead";
/// The container, and what it runs.
const CONTAINER: &str = "control-plane";
const PROGRAM: &str = "/usr/local/bin/weft-control-plane";

/// All that there are, at least one.
///
/// # Errors
/// No mesh is found where it was looked for, or no replica of the control plane is ready.
pub(crate) async fn find(
    place: &PlaceArgs,
    mesh: Option<&str>,
    environment: &Environment,
) -> Result<Vec<AdminSocket>> {
    if !place.means_a_cluster() {
        match Mesh::look(mesh, environment)? {
            Some(mesh) => return Ok(vec![mesh.control_plane()]),
            None if mesh.is_none() && environment.has_kubeconfig => {
                // Boxed: what asks a cluster is far larger than what asks a socket.
                return Box::pin(of_cluster(place)).await.context(NEITHER);
            }
            // Says how to get one.
            None => return Ok(vec![Mesh::find(mesh, environment)?.control_plane()]),
        }
    }
    Box::pin(of_cluster(place)).await
}

async fn of_cluster(place: &PlaceArgs) -> Result<Vec<AdminSocket>> {
    ready(cluster::connect(&place.cluster).await?).await
}

/// All replicas of a cluster that are ready, at least one.
///
/// # Errors
/// There is none, or it may not be asked.
pub(crate) async fn ready(client: Client) -> Result<Vec<AdminSocket>> {
    let api: Api<Pod> = Api::namespaced(client, NAMESPACE);
    let pods = cluster::list(&api, ListParams::default().labels(SELECTOR)).await;
    let pods = pods.context(
        "cannot list the pods of the control plane (`weft check --kubernetes` says more)",
    )?;
    if pods.is_empty() {
        bail!(
            "there is no control plane in {NAMESPACE}; install it with `weft install | kubectl apply --server-side -f -`"
        );
    }
    let ready: Vec<AdminSocket> = pods
        .iter()
        .filter(|pod| is_ready(pod))
        .map(|pod| AdminSocket::in_pod(api.clone(), container(pod)))
        .collect();
    if ready.is_empty() {
        bail!("no pod of the control plane is ready: `weft check` says more");
    }
    Ok(ready)
}

fn container(pod: &Pod) -> Container {
    let command = [PROGRAM, "relay"].map(str::to_owned).to_vec();
    let namespace = NAMESPACE.to_owned();
    Container { namespace, pod: pod.name_any(), name: CONTAINER.to_owned(), command }
}

/// One that is being deleted is on its way out, ready or not.
fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut conditions = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests;
