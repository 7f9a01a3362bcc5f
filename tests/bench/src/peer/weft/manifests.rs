//! What a user would write for this mesh: a Service, the workload behind it, a caller, a route by host name,
//! mTLS required, and a policy that has the caller's sidecar do all it does for a request: retries, limits,
//! ejection.

use std::net::SocketAddr;

use crate::peer::HOST;

/// The mesh's trust domain, as in the ids of [`crate::peer`].
pub(super) const TRUST_DOMAIN: &str = "bench.local";
/// The caller.
pub(super) const CLIENT: &str = "client.bench";
/// The workload behind the Service.
pub(super) const SERVER: &str = "server.bench";
/// What the caller's sidecar is asked to reach.
pub(super) const SERVICE: &str = "server.bench:8080";
/// The same for opaque bytes.
pub(super) const OPAQUE: &str = "server.bench:9000";

/// All objects as one YAML stream; `inbound` is where the server's sidecar listens, at `opaque` for opaque bytes.
/// `collector` gets spans of one trace in a hundred.
pub(super) fn mesh(inbound: SocketAddr, opaque: u16, collector: Option<&str>) -> String {
    let tracing = collector.map_or_else(String::new, |endpoint| {
        format!(", tracing: {{endpoint: '{endpoint}', protocol: http/protobuf, sampling: 0.01}}")
    });
    let (address, port) = (inbound.ip(), inbound.port());
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: weft-system}}
spec: {{trustDomain: {TRUST_DOMAIN}{tracing}}}
---
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {{name: strict, namespace: bench}}
spec: {{mtls: STRICT}}
---
apiVersion: v1
kind: Service
metadata: {{name: server, namespace: bench}}
spec:
  selector: {{app: server}}
  ports:
  - {{name: http, port: 8080, targetPort: http, appProtocol: http}}
  - {{name: tcp, port: 9000, targetPort: tcp, appProtocol: tcp}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: server, namespace: bench}}
spec:
  parentRefs: [{{group: \"\", kind: Service, name: server, port: 8080}}]
  hostnames: [{HOST}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /}}}}]
    backendRefs: [{{name: server, port: 8080}}]
{POLICIES}---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: server, namespace: bench, labels: {{app: server}}}}
spec:
  address: {address}
  serviceAccount: server
  meshed: true
  ports:
  - {{name: http, port: {port}, appProtocol: http}}
  - {{name: tcp, port: {opaque}, appProtocol: tcp}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: client, namespace: bench, labels: {{app: client}}}}
spec: {{address: {address}, serviceAccount: client, meshed: true, ports: []}}
"
    )
}

/// What the caller's sidecar does besides: on the HTTP port all that there is, on the other what is for connections.
const POLICIES: &str = "\
---
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: server, namespace: bench}
spec:
  targetRefs: [{group: \"\", kind: Service, name: server, sectionName: http}]
  limits: {connections: 1024, pendingRequests: 1024, requests: 4096, retries: 16}
  outlierDetection: {consecutiveFailures: 5, failurePercentage: {threshold: 50}}
  retries: {attempts: 2, conditions: [connect-failure, reset, refused-stream, gateway-error], perTryTimeout: 15s}
---
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: opaque, namespace: bench}
spec:
  targetRefs: [{group: \"\", kind: Service, name: server, sectionName: tcp}]
  limits: {connections: 9900, pendingRequests: 1024}
  outlierDetection: {consecutiveFailures: 5}
";
