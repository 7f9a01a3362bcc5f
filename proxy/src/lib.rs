//! The Weft sidecar: it stands beside one workload and carries its traffic over mutual TLS.
//!
//! # Reading order
//!
//! 1. [`outbound`]: from the application into the mesh. The life of a request is its module doc; every step is
//!    one "go to definition" from the last: [`listener::run`] accepts, [`outbound::Outbound::handle_connection`]
//!    tells HTTP from opaque bytes, [`outbound::Outbound::handle_request`] opens the [`record`], one snapshot
//!    ([`state`]) is loaded, [`router::route`] decides, [`retry::send`] repeats what may be repeated,
//!    [`outbound::Outbound::attempt`] chooses an endpoint ([`cluster`]), [`upstream::Upstream::send`] takes a
//!    connection from the pool or opens one.
//! 2. [`inbound`]: from the mesh to the application. Who may come in (`inbound::door`), and what the application is
//!    told about the caller.
//!
//!    Where an application knows nothing of the mesh, the kernel leads its connections here ([`interception`] sets that
//!    up); [`outbound::Interceptor`] and [`inbound::Interceptor`] ask where they wanted to go, and the path is the same.
//! 3. [`state`], [`model`] and [`xds`]: where configuration comes from and how it changes under traffic.
//! 4. [`identity`], [`tls`]: the certificate, its renewal, and the check of every peer.
//! 5. [`telemetry`]: what can be seen from outside.
//! 6. [`app`]: the one place where all of it is put together; [`workers`]: the threads of the data path.
//! 7. [`interception`]: `weft-proxy init`, the kernel's rules that lead a pod's traffic here; no part of the sidecar
//!    that runs.
//!
//! # Invariants
//!
//! - A request sees one snapshot of the configuration, from routing to the last retry.
//! - A request is brought into one canonical form ([`canonical`]) before anything judges it, and what was judged is
//!   what is forwarded.
//! - The application never sees a request twice unless its method is idempotent and the policy asks for it, or it
//!   is certain that it did not see it the first time ([`error::Replay`]).
//! - No plaintext where an identity is expected, and no fallback to it. Without a valid certificate nothing is sent
//!   and nothing accepted.
//! - The private key never leaves the process but for its 0600 file in the state directory.
//! - Nothing on the request path takes a lock that another thread holds for longer than a push or a pop, looks a
//!   name up in a map, or waits for the control plane, a collector or a log.
//! - Everything that grows has a bound, stated where it is declared.

pub mod access;
pub mod admin;
pub mod app;
pub mod body;
pub mod bootstrap;
pub mod canonical;
pub mod cluster;
pub mod config;
pub mod control_channel;
pub mod deadline;
pub mod denied;
pub mod drain;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod headers;
mod health;
pub mod identity;
pub mod inbound;
pub mod interception;
pub mod io;
pub mod listener;
mod log;
pub mod model;
pub mod outbound;
pub mod overload;
pub mod random;
pub mod rate_limit;
pub mod readiness;
pub mod record;
pub mod relay;
pub mod response;
pub mod retry;
pub mod router;
pub mod state;
pub mod store;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod upgrade;
pub mod upstream;
pub mod workers;
pub mod xds;

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The program: reads the command line and runs until it is told to stop. Exit codes: 0, 1 for a failure, 2 for a
/// command line that makes no sense. Called by `main` and by `weft proxy`.
#[must_use]
pub fn main_with_args(args: Vec<OsString>) -> ExitCode {
    let command = match config::parse(args, std::env::vars()) {
        Ok(command) => command,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match command {
        // Its stdout is the connection.
        config::Command::Relay { state_dir } => weft_relay::main(&state_dir),
        config::Command::Run(config) => logged(|| {
            raise_file_limit();
            app::App::build(*config).and_then(app::App::run)
        }),
        config::Command::Drain { state_dir } => logged(|| app::drain(&state_dir)),
        config::Command::Init(init) => {
            logged(|| interception::run(&init, &mut std::io::stdout().lock()))
        }
    }
}

fn logged(work: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    // Order: ends last.
    let _log = log::start();
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every connection through the sidecar costs two descriptors, every upstream a few, and the usual soft limit is
/// 1,024.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
