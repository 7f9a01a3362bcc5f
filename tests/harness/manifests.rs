//! The YAML that a user would write for a test's mesh: settings, Services, workloads. Everything lies in namespace
//! `shop`.

use std::net::Ipv4Addr;

/// Namespace of everything.
pub(crate) const NAMESPACE: &str = "shop";
/// Port of every Service.
pub(crate) const SERVICE_PORT: u16 = 8080;
/// Port of every workload, where its sidecar listens.
pub(crate) const WORKLOAD_PORT: u16 = 21080;

/// `MeshConfig`; `spec` holds the lines that differ from test to test.
pub(crate) fn mesh_config(trust_domain: &str, spec: &str) -> String {
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: weft-system}}
spec:
  trustDomain: {trust_domain}
{spec}"
    )
}

/// A Service that selects the workloads with label `app`, and `version` if it is given.
pub(crate) fn service(name: &str, app: &str, version: Option<&str>, protocol: &str) -> String {
    let version = version.map(|version| format!(", version: {version}")).unwrap_or_default();
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  selector: {{app: {app}{version}}}
  ports: [{{name: main, port: {SERVICE_PORT}, targetPort: main, appProtocol: {protocol}}}]
"
    )
}

/// A workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Label `app`, by which Services select.
    pub(crate) app: &'a str,
    /// Label `version`.
    pub(crate) version: &'a str,
    /// Its service account.
    pub(crate) account: &'a str,
    /// Where its sidecar listens.
    pub(crate) address: Ipv4Addr,
    /// What its port carries.
    pub(crate) protocol: &'a str,
    /// Where it is, `eu/a`; empty for nowhere in particular.
    pub(crate) locality: &'a str,
}

impl Workload<'_> {
    /// As a user would write it.
    pub(crate) fn to_yaml(self) -> String {
        let Self { name, namespace, app, version, account, address, protocol, locality } = self;
        let locality = match locality {
            "" => String::new(),
            locality => format!("  locality: {locality}\n"),
        };
        format!(
            "\
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}, version: {version}}}}}
spec:
  address: {address}
  serviceAccount: {account}
  meshed: true
{locality}  ports: [{{name: main, port: {WORKLOAD_PORT}, appProtocol: {protocol}}}]
"
        )
    }
}

/// `product-v1`.
pub(crate) fn workload_name(app: &str, version: &str) -> String {
    format!("{app}-{version}")
}

/// An HTTPRoute on a Service; `rules` is YAML, indented by two.
pub(crate) fn http_route(name: &str, service: &str, rules: &str) -> String {
    format!(
        "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  parentRefs: [{{group: \"\", kind: Service, name: {service}, port: {SERVICE_PORT}}}]
  rules:
{rules}"
    )
}

/// A GRPCRoute on a Service; `rules` is YAML, indented by two.
pub(crate) fn grpc_route(name: &str, service: &str, rules: &str) -> String {
    http_route(name, service, rules).replace("kind: HTTPRoute", "kind: GRPCRoute")
}

/// A backend of a rule, as one line of flow YAML.
pub(crate) fn backend(service: &str, weight: u32) -> String {
    format!("{{name: {service}, port: {SERVICE_PORT}, weight: {weight}}}")
}

/// A TrafficPolicy on a Service; `spec` is YAML, indented by two.
pub(crate) fn traffic_policy(service: &str, spec: &str) -> String {
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: {{name: {service}, namespace: {NAMESPACE}}}
spec:
  targetRefs: [{{group: \"\", kind: Service, name: {service}}}]
{spec}"
    )
}
