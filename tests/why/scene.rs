//! The mesh in which all faults but the last are seeded, each in a Service or a path of its own.

use crate::harness::manifests::{self, http_route, traffic_policy};
use crate::harness::{Act, Builder, Mesh};

/// By path: what the product does, and what the route makes of it. There is no rule for anything else.
const RULES: &str = "  - name: try
    matches: [{path: {value: /try}}]
    timeouts: {backendRequest: 200ms}
    backendRefs: [{name: product, port: 8080}]
  - name: all
    matches: [{path: {value: /all}}]
    timeouts: {request: 200ms}
    backendRefs: [{name: product, port: 8080}]
  - name: missing
    matches: [{path: {value: /missing}}]
    backendRefs: [{name: nowhere, port: 8080}]
  - name: rest
    matches: [{path: {value: /ok}}, {path: {value: /fail}}, {path: {value: /close}}, {path: {value: /admin}}]
    backendRefs: [{name: product, port: 8080}]
";

const ADMIN: &str = "apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: admin, namespace: shop}
spec:
  selector: {matchLabels: {app: product}}
  action: DENY
  rules: [{name: admin, to: [{paths: [{value: /admin}]}]}]
";

const RATE: &str = "apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: rate, namespace: shop}
spec:
  selector: {matchLabels: {app: rate}}
  rateLimits: [{requests: 1, per: 1h}]
";

/// One Service or path for each fault.
pub(super) fn shop() -> Builder {
    let never_ejected = "  outlierDetection: {consecutiveFailures: 0}\n";
    let service = |name: &str| manifests::service(name, name, None, "http");
    let files = [
        ("route.yaml", http_route("product", "product", RULES)),
        ("admin.yaml", ADMIN.to_owned()),
        ("rate.yaml", RATE.to_owned()),
        ("calm.yaml", traffic_policy("product", never_ejected)),
        (
            "flaky.yaml",
            traffic_policy(
                "flaky",
                "  outlierDetection: {consecutiveFailures: 1, baseEjection: 5m, maxEjectedPercent: 100}\n",
            ),
        ),
        (
            "budget.yaml",
            traffic_policy(
                "budget",
                "  retries: {attempts: 3, conditions: ['5xx'], budget: {percent: 0, minRetriesPerSecond: 0}}\n  outlierDetection: {consecutiveFailures: 0}\n",
            ),
        ),
        ("limit.yaml", traffic_policy("limit", "  limits: {requests: 1}\n")),
        ("empty.yaml", service("empty")),
        (
            "wrong.yaml",
            manifests::service("wrong", "product", None, "http")
                .replace("targetPort: main", "targetPort: 9999"),
        ),
        ("plain.yaml", service("plain")),
    ];
    let builder = Mesh::builder()
        .mtls("STRICT")
        .service("product", &["v1"])
        .service("flaky", &["v1", "v2"])
        .service("budget", &["v1"])
        .service("limit", &["v1"])
        .service("rate", &["v1"])
        .without_app("refused", "http")
        .without_app("mismatch", "http")
        .without_sidecar("expired", "http")
        .without_sidecar("stranger", "http")
        .without_sidecar("impostor", "http")
        .listed(["empty", "wrong", "plain"].map(str::to_owned))
        .caller("gateway");
    files.iter().fold(builder, |builder, (name, text)| builder.file(name, text))
}

/// What the applications do.
pub(super) fn script(mesh: &Mesh) {
    mesh.app("product-v1").script(|seen| match seen.path.as_str() {
        "/try" | "/all" => Act::Hang,
        "/fail" => Act::Status(503),
        "/close" => Act::Close,
        _ => Act::Echo,
    });
    for failing in ["flaky-v1", "flaky-v2", "budget-v1"] {
        mesh.app(failing).script(|_| Act::Status(503));
    }
    mesh.app("limit-v1").script(|seen| match seen.path.as_str() {
        "/hold" => Act::Hang,
        _ => Act::Echo,
    });
    // A workload that is said to have no sidecar, and has one: its callers come in plaintext.
    let product = mesh.workload_address("product-v1");
    let plain = format!(
        "apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: plain-v1, namespace: shop, labels: {{app: plain}}}}
spec:
  address: {}
  serviceAccount: plain
  meshed: false
  ports: [{{name: main, port: {}, appProtocol: http}}]
",
        product.ip(),
        product.port()
    );
    mesh.write("workload-plain.yaml", &plain);
}
