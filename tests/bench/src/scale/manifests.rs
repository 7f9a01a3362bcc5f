//! What users of a large mesh would have written: a hundred Services to a file, each with a workload. Those that are
//! called select one workload that really runs, so that their calls are real ones over mutual TLS.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;

/// Services in one file.
const TOGETHER: usize = 100;

/// `s7.bench:8080`.
pub(super) fn port_of(service: usize) -> String {
    format!("s{service}.bench:8080")
}

/// Writes all of them; the first `called` are served at `inbound`.
pub(super) fn write(dir: &Path, services: usize, called: usize, inbound: SocketAddr) -> Result<()> {
    let (address, port) = (inbound.ip(), inbound.port());
    let mesh = format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: weft-system}}
spec: {{trustDomain: bench.local, mtls: STRICT}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: server, namespace: bench, labels: {{app: server}}}}
spec:
  address: {address}
  serviceAccount: server
  meshed: true
  ports: [{{name: http, port: {port}, appProtocol: http}}]
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: client, namespace: bench, labels: {{app: client}}}}
spec: {{address: {address}, serviceAccount: client, meshed: true, ports: []}}
"
    );
    fs::write(dir.join("mesh.yaml"), mesh)?;
    for first in (0..services).step_by(TOGETHER) {
        let mut text = String::new();
        for service in first..services.min(first + TOGETHER) {
            text += &one(service, called);
        }
        fs::write(dir.join(format!("services-{first:06}.yaml")), text)?;
    }
    Ok(())
}

fn one(number: usize, called: usize) -> String {
    let app = if number < called { "server".to_owned() } else { format!("s{number}") };
    let mut text = format!(
        "\
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}, namespace: bench}}
spec:
  selector: {{app: {app}}}
  ports: [{{name: http, port: 8080, targetPort: http, appProtocol: http}}]
"
    );
    if number >= called {
        let (high, low) = (number / 250, number % 250 + 1);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: w{number}, namespace: bench, labels: {{app: s{number}}}}}
spec:
  address: 10.1.{high}.{low}
  serviceAccount: s{number}
  meshed: true
  ports: [{{name: http, port: 8080, appProtocol: http}}]
"
        );
    }
    text
}

/// The first Service answers a redirect at `path`, and goes on as before elsewhere.
pub(super) fn redirect(path: &str) -> String {
    format!(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: moved, namespace: bench}}
spec:
  parentRefs: [{{group: \"\", kind: Service, name: s0, port: 8080}}]
  rules:
  - matches: [{{path: {{type: Exact, value: {path}}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{path: {{type: ReplaceFullPath, replaceFullPath: /}}, statusCode: 302}}}}]
  - backendRefs: [{{name: s0, port: 8080}}]
"
    )
}
