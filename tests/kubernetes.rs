//! Weft on Kubernetes. What needs the API alone has a kube-apiserver of its own; what needs pods shares one node. First
//! the fixture itself, then the mesh on it.

mod api_server;
mod conformance;
mod images;
mod jaeger;
mod node;
mod status;
mod webhook;

// The mesh: install, the control plane as a process, injection, identity, status, traces.
mod control_plane;
mod installation;
mod manifests;
mod pods;
mod readme;
