//! What the demo starts: one control plane, and a program and a sidecar for each workload.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::layout::{Addresses, Layout};
use super::topology::{NAMESPACE, SERVICE_PORT, WORKLOADS, Workload};
use crate::admin::AdminSocket;
use crate::process::{Prepare, Spec};
use crate::run_dir::{MeshDir, check_socket_path, create_private, proxy_dir, write_private};

/// The control plane, reading `manifests`.
pub(super) fn control_plane(mesh: &MeshDir, manifests: &Path, layout: &Layout) -> Spec {
    Spec {
        name: "control plane".to_owned(),
        args: vec![
            "control-plane".into(),
            "--config-dir".into(),
            manifests.into(),
            "--state-dir".into(),
            mesh.control_plane().into(),
            "--listen".into(),
            layout.control_plane.to_string().into(),
            "--health-listen".into(),
            layout.control_plane_health.to_string().into(),
            "--mesh".into(),
            mesh.name().into(),
            "--log-format".into(),
            "text".into(),
        ],
        variables: Vec::new(),
    }
}

/// The program of a workload, which knows its peers by the variables of design's contract.
pub(super) fn app(workload: &Workload, addresses: &Addresses, seed: u64) -> Spec {
    let variables = workload.calls.iter().zip(&addresses.upstreams);
    Spec {
        name: workload.name.to_owned(),
        args: vec![
            "demo-service".into(),
            workload.service.into(),
            "--listen".into(),
            addresses.app.to_string().into(),
            "--as".into(),
            workload.version.into(),
            "--seed".into(),
            seed.to_string().into(),
        ],
        variables: variables
            .map(|((_, variable), (_, address))| (*variable, format!("http://{address}")))
            .collect(),
    }
}

/// What a sidecar tells of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watching<'a> {
    /// Where traces go, if anywhere.
    pub(super) collector: Option<&'a str>,
    /// Does it log requests that fail?
    pub(super) log: bool,
}

/// The sidecar of a workload. The shop's front door is a second address of the gateway's.
pub(super) fn sidecar(
    workload: &Workload,
    addresses: &Addresses,
    layout: &Layout,
    state: &Path,
    watching: Watching<'_>,
) -> Spec {
    let mut args: Vec<OsString> = vec![
        "proxy".into(),
        "--bootstrap".into(),
        bootstrap_file(state).into(),
        "--state-dir".into(),
        state.into(),
        "--health".into(),
        addresses.health.to_string().into(),
        "--workers".into(),
        "1".into(),
        "--access-log".into(),
        if watching.log { "errors" } else { "off" }.into(),
    ];
    let mut inbound = vec![addresses.inbound];
    if *workload == WORKLOADS[0] {
        inbound.push(layout.front());
    }
    for address in inbound {
        args.extend(["--inbound".into(), format!("{address}={}", addresses.app).into()]);
    }
    for (service, address) in &addresses.upstreams {
        let target = format!("{address}={service}.{NAMESPACE}:{SERVICE_PORT}");
        args.extend(["--upstream".into(), target.into()]);
    }
    let endpoint = watching.collector.map(|url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url.to_owned()));
    Spec {
        name: format!("sidecar of {}", workload.name),
        args,
        variables: endpoint.into_iter().collect(),
    }
}

/// What precedes each start of a sidecar: a join token of its own, since a token is good once only.
pub(super) fn joining(admin: &AdminSocket, workload: &Workload, mesh: &MeshDir) -> Prepare {
    let (admin, name) = (admin.clone(), workload.full_name());
    let state = proxy_dir(mesh.path(), &name);
    Arc::new(move || {
        let (admin, name, state) = (admin.clone(), name.clone(), state.clone());
        Box::pin(async move { join(&admin, &name, &state).await })
    })
}

/// Asks for a join token and writes the bootstrap file into the sidecar's state directory. A sidecar that
/// has joined before starts with the file it has if the control plane is away: its certificate is enough.
///
/// # Errors
/// The control plane refuses, or the file cannot be written.
pub(crate) async fn join(admin: &AdminSocket, workload: &str, state: &Path) -> Result<()> {
    let asked = json!({ "workload": workload });
    let file = bootstrap_file(state);
    let bootstrap: Value = match admin.post("/v1/join-tokens", &asked).await {
        Ok(bootstrap) => bootstrap,
        Err(_) if file.exists() => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("no join token for {workload}")),
    };
    check_socket_path(state)?;
    create_private(state).with_context(|| format!("cannot create {}", state.display()))?;
    write_private(&file, bootstrap.to_string().as_bytes())
}

/// The bootstrap file in a sidecar's state directory.
pub(crate) fn bootstrap_file(state: &Path) -> PathBuf {
    state.join("bootstrap.json")
}
