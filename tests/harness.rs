//! What every test here stands on: [`Mesh`] names a topology in a few lines and runs it as real processes, with
//! scriptable applications and clients in the test's own process.
//!
//! Nothing is shared between two tests: each has a loopback network, a directory and processes of its own, and all
//! of it goes when the value goes. Nothing here sleeps for luck: [`eventually`] waits for a condition, with a
//! deadline. When a test fails, the logs of its processes are part of its output.

mod admin;
mod answer;
mod app;
mod binaries;
mod browser;
mod cache;
mod certificate;
mod cgroup;
mod client;
mod control_channel;
mod control_plane;
mod deadline;
mod demo;
mod forger;
pub(crate) mod frames;
mod grpc;
mod grpc_health;
pub(crate) mod kubernetes;
mod load;
mod loud;
pub(crate) mod manifests;
mod meddler;
mod mesh;
mod netns;
mod network;
mod otlp;
mod pod_mesh;
mod process;
mod prometheus;
mod raw;
mod raw_app;
mod share;
mod sidecar;
mod skew;
mod tcp_app;
mod terminal;
mod tls;
mod tls_app;

pub(crate) use admin::Admin;
pub(crate) use answer::Answer;
pub(crate) use app::{Act, App};
pub(crate) use binaries::{as_shipped, binary, built, tool, tools};
pub(crate) use browser::Browser;
pub(crate) use cache::{cache, may_install};
pub(crate) use certificate::{issue, issue_for, join_token};
pub(crate) use cgroup::{Cgroup, raise_file_limit};
pub(crate) use client::{Kept, get, http1, http2, request};
pub(crate) use control_channel::{control_channel, trusting_channel};
pub(crate) use control_plane::ControlPlane;
pub(crate) use deadline::{attempt, eventually, within};
pub(crate) use demo::Demo;
pub(crate) use forger::{Forged, Forger, named, san};
pub(crate) use grpc::{Grpc, Plain};
pub(crate) use grpc_health::GrpcHealth;
pub(crate) use load::{Load, Tally};
pub(crate) use loud::loud;
pub(crate) use meddler::Meddler;
pub(crate) use mesh::{Builder, Mesh, TRUST_DOMAIN};
pub(crate) use netns::{APP_UID, Inside, PROXY_UID, Pod, PodNetwork, Usage};
pub(crate) use network::{Network, own_port};
pub(crate) use otlp::{Collector, Silent, Span, TlsDoor};
pub(crate) use pod_mesh::{PodBuilder, PodMesh};
pub(crate) use process::{Output, Process, Program, run};
pub(crate) use prometheus::{Prometheus, checked_config, promtool, promtool_on, shipped};
pub(crate) use raw::{ask, exchange, head, until};
pub(crate) use raw_app::RawApp;
pub(crate) use share::assert_share;
pub(crate) use sidecar::Sidecar;
pub(crate) use tcp_app::TcpApp;
pub(crate) use terminal::Terminal;
pub(crate) use tls::TlsClient;
pub(crate) use tls_app::TlsApp;
