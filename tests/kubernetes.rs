//! Weft on Kubernetes. What needs the API alone has a kube-apiserver of its own; what needs pods shares one node. First
//! the fixture itself, then the mesh on it.

mod api_server;
mod conformance;
mod images;
mod jaeger;
mod node;
mod status;

// The mesh: install, injection, identity, status, traces.
mod installation;
mod manifests;
mod pods;
