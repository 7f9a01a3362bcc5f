//! `Service`, version `v1`: all of its standard fields, though Weft uses few of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{NumberOrText, null_as_default};

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) ports: Vec<Port>,
    /// An address, `None`, or empty.
    #[serde(rename = "clusterIP")]
    pub(crate) cluster_ip: Option<String>,
    #[serde(default, rename = "clusterIPs", deserialize_with = "null_as_default")]
    pub(crate) cluster_ips: Vec<String>,
    pub(crate) session_affinity: Option<String>,
    #[serde(default, rename = "externalIPs", deserialize_with = "null_as_default")]
    pub(crate) external_ips: Vec<String>,
    pub(crate) internal_traffic_policy: Option<String>,
    pub(crate) traffic_distribution: Option<String>,
    #[serde(default, rename = "publishNotReadyAddresses")]
    _publish_not_ready_addresses: IgnoredAny,
    #[serde(default, rename = "sessionAffinityConfig")]
    _session_affinity_config: IgnoredAny,
    #[serde(default, rename = "ipFamilies")]
    _ip_families: IgnoredAny,
    #[serde(default, rename = "ipFamilyPolicy")]
    _ip_family_policy: IgnoredAny,
    #[serde(default, rename = "externalName")]
    _external_name: IgnoredAny,
    #[serde(default, rename = "externalTrafficPolicy")]
    _external_traffic_policy: IgnoredAny,
    #[serde(default, rename = "healthCheckNodePort")]
    _health_check_node_port: IgnoredAny,
    #[serde(default, rename = "loadBalancerIP")]
    _load_balancer_ip: IgnoredAny,
    #[serde(default, rename = "loadBalancerSourceRanges")]
    _load_balancer_source_ranges: IgnoredAny,
    #[serde(default, rename = "loadBalancerClass")]
    _load_balancer_class: IgnoredAny,
    #[serde(default, rename = "allocateLoadBalancerNodePorts")]
    _allocate_load_balancer_node_ports: IgnoredAny,
}

/// `spec.ports[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Port {
    pub(crate) name: Option<String>,
    pub(crate) port: i64,
    pub(crate) target_port: Option<NumberOrText>,
    /// Transport; `TCP` where absent.
    pub(crate) protocol: Option<String>,
    pub(crate) app_protocol: Option<String>,
    #[serde(default, rename = "nodePort")]
    _node_port: IgnoredAny,
}
