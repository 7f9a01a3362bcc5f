//! Kubernetes in tests, in two tiers. [`ApiServer`] is a real kube-apiserver over a real etcd: up in seconds, needs no
//! root, one test's own, with objects that nothing acts on. [`Cluster`] is all of it, with a node that runs pods from
//! images; it is booted once for all tests of this process. Both are asked through [`Api`].
//!
//! The programs are Go: where `tests/tools/build` has not made them, and nobody has said where they are, the tests
//! that need them say so loudly and end. Nothing is ever pulled: the node gets its images from here
//! ([`images`]), Weft's own made of the very programs under test by `k8s/images/Containerfile`.

mod api;
mod api_server;
mod cluster;
mod containerfile;
mod image;
mod images;
mod jaeger;
mod namespace;

pub(crate) use api::Api;
pub(crate) use api_server::ApiServer;
pub(crate) use cluster::Cluster;
pub(crate) use containerfile::{Stage, final_stages};
pub(crate) use images::{BUSYBOX, busybox, containerfile, echo, server_of_grpc, sizes};
pub(crate) use jaeger::Jaeger;
pub(crate) use namespace::Namespace;

use super::{loud, tools};

/// Are the programs there? If not, `test` is skipped, and this has said so.
fn programs_are_there(test: &str) -> bool {
    let there = tools().is_some_and(|tools| tools.join("kubeall").exists());
    if !there {
        loud(&format!(
            "{test}: SKIPPED: there is no Kubernetes: use tests/run, or export TEST_TOOLS=\"$(tests/tools/build \
             ~/.cache/weft kubernetes gateway-api coredns jaeger)\""
        ));
    }
    there
}
