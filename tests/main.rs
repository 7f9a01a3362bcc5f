//! The one test binary above unit level: real processes that meet on sockets. Its `mod` list is its table of
//! contents.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

mod access;
mod amplification;
mod attacks;
mod authz;
mod balancing;
mod bulk;
mod cli;
mod config_errors;
mod conformance;
mod consumer_routes;
mod demo;
mod drain;
mod endpoints;
mod expect;
mod fallback;
mod goaway;
mod grpc;
mod health_checks;
mod hostile;
mod house;
mod http2;
mod http_limits;
mod identity;
mod interception;
mod invalid_backends;
mod keep_alive;
mod kubernetes;
mod limits;
mod mirror;
mod mtls;
mod nack;
mod netns;
mod on_demand;
mod oracle;
mod outage;
mod outlier;
mod pods;
mod post_quantum;
mod rate_limits;
mod retries;
mod rewrites;
mod rotation;
mod routing;
mod software;
mod tcp;
mod tcp_ends;
mod telemetry;
mod timeouts;
mod trailers;
mod transparent;
mod upgrades;
