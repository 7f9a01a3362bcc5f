//! The control plane as a process before a real kube-apiserver, with the rights of `k8s/install.yaml` and no others: what it
//! keeps there, what it reads from there, whom it gives certificates, and what it does while the API server is away. Pods
//! are objects here that nobody runs.

mod definitions;
mod identity;
mod injection;
mod outages;
mod proxy;
mod receipts;
mod relay;
mod replicas;
mod scene;
mod source;
mod theft;
mod trust;
mod trust_domain;
