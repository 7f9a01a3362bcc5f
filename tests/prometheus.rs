//! What sidecars and control plane tell Prometheus: by the conventions' names, with bounded labels, and what `k8s/prometheus`
//! and `k8s/grafana` make of it.

mod conventions;
mod dashboards;
mod discovery;
mod rules;
mod standing;
