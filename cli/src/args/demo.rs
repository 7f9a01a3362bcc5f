//! `weft demo`.

use std::time::Duration;

use clap::Args;

use super::duration;

const DEMO_EXAMPLES: &str = "\
Everything is real and a process of its own: no root, no Docker, no cluster. Ctrl-C stops it and leaves \
nothing behind. The manifests it runs on are those in k8s/demo of the checkout (outside one: a copy, whose \
path it says); an edit takes effect while it runs.

Examples:
  weft demo
  weft demo --rate 100
  weft demo --exit-after 20s -o json      a smoke test: one object on stdout, exit 0 if all is well

The sidecars send traces by OTLP to localhost:4317 if something listens there, or to \
OTEL_EXPORTER_OTLP_ENDPOINT.";

/// `weft demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Stop by itself, this long after everything is up
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) exit_after: Option<Duration>,
    /// Requests per second of the load generator; 0 for none
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000), value_name = "N")]
    pub(crate) rate: u32,
    /// Port of the shop; the next free one if it is taken
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1024..), value_name = "PORT")]
    pub(crate) port: u16,
    /// Port of the dashboard; the next free one if it is taken
    #[arg(long, default_value_t = super::DASHBOARD_PORT, value_parser = clap::value_parser!(u16).range(1024..), value_name = "PORT")]
    pub(crate) dashboard_port: u16,
    /// Seed of the payment service's failures
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}
