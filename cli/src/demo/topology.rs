//! The demo's processes: six workloads of the shop and who calls whom. As in `k8s/demo/workloads.yaml`.

/// Namespace of all of them.
pub(super) const NAMESPACE: &str = "shop";
/// Port of every Service.
pub(super) const SERVICE_PORT: u16 = 8080;

/// One workload: a service's process and its sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    /// Name of its MeshWorkload.
    pub(super) name: &'static str,
    /// The service it is, as `weft demo-service` knows it.
    pub(super) service: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// Last byte of its loopback address.
    pub(super) host: u8,
    /// The services it calls, with the variables by which its program finds them.
    pub(super) calls: &'static [(&'static str, &'static str)],
}

impl Workload {
    /// `order.shop`.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{NAMESPACE}", self.name)
    }
}

const USER: (&str, &str) = ("user", "USER_SERVICE_URL");
const PRODUCT: (&str, &str) = ("product", "PRODUCT_SERVICE_URL");
const ORDER: (&str, &str) = ("order", "ORDER_SERVICE_URL");
const PAYMENT: (&str, &str) = ("payment", "PAYMENT_SERVICE_URL");

/// All of them; the first is where customers come in.
pub(super) const WORKLOADS: [Workload; 6] = [
    Workload {
        name: "gateway",
        service: "gateway",
        version: "v1",
        host: 1,
        calls: &[USER, PRODUCT, ORDER],
    },
    Workload { name: "user", service: "user", version: "v1", host: 2, calls: &[] },
    Workload { name: "product-v1", service: "product", version: "v1", host: 3, calls: &[] },
    Workload { name: "product-v2", service: "product", version: "v2", host: 4, calls: &[] },
    Workload {
        name: "order",
        service: "order",
        version: "v1",
        host: 5,
        calls: &[USER, PRODUCT, PAYMENT],
    },
    Workload { name: "payment", service: "payment", version: "v1", host: 6, calls: &[] },
];

/// Caller and service, one for each edge of the mesh.
pub(super) fn edges() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORKLOADS
        .iter()
        .flat_map(|caller| caller.calls.iter().map(|(service, _)| (caller.service, *service)))
}
