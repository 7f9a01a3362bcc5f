//! `weft dashboard`: a page with the mesh's topology and golden metrics, live, on this machine's loopback.
//!
//! [`Board`] asks the control planes, as `weft stat` does, and `server` is what a browser may ask. The page itself is six
//! files that are built in; it loads nothing from anywhere else. Used by `demo` too.

mod board;
mod latest;
mod notices;
mod requests;
mod server;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;

pub(crate) use self::board::Board;
use crate::args::DashboardArgs;
use crate::environment::Environment;
use crate::mesh::Mesh;
use crate::output::{Output, STRONG, Verdict, styled};
use crate::signals::Signals;

/// Runs `weft dashboard`.
pub(crate) async fn run(
    args: &DashboardArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let mut signals = Signals::watch()?;
    let local = Mesh::look(mesh, environment).ok().flatten();
    let jaeger = args.jaeger.clone().or_else(|| {
        let page =
            local.filter(|_| !args.place.means_a_cluster())?.record.urls.get("jaeger")?.clone();
        origin(&page)
    });
    let board = Board::find(&args.place, mesh, environment, jaeger).await?;
    let listener = listen(args.port).await?;
    let address = listener.local_addr().context("it has no address")?;
    let url = format!("http://{address}");
    if output.is_json() {
        output.json(&json!({ "url": url }))?;
    } else {
        output.data(&format!("Dashboard  {}   Stop: Ctrl-C", styled(STRONG, &url)))?;
    }
    tokio::select! {
        served = serve(listener, board) => served.map(|()| Verdict::Fine),
        _ = signals.next() => Ok(Verdict::Fine),
    }
}

/// A port of this machine that nobody else reaches.
///
/// # Errors
/// Somebody has it.
pub(crate) async fn listen(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot serve the dashboard on {address}; choose another with --port")
    })
}

/// The same on the first port from this one on that is free.
///
/// # Errors
/// None of many is.
pub(crate) async fn listen_near(port: u16) -> Result<TcpListener> {
    for port in port..port.saturating_add(TRIES) {
        if let Ok(listener) = listen(port).await {
            return Ok(listener);
        }
    }
    listen(port).await
}

/// Serves the page, for ever.
///
/// # Errors
/// The listener is of no use any more.
pub(crate) async fn serve(listener: TcpListener, board: Board) -> Result<()> {
    let port = listener.local_addr().context("it has no address")?.port();
    axum::serve(listener, server::router(board, port)).await.context("the dashboard ended")
}

/// `http://localhost:16686` of a page there.
pub(crate) fn origin(page: &str) -> Option<String> {
    let url: http::Uri = page.parse().ok()?;
    Some(format!("{}://{}", url.scheme_str()?, url.authority()?))
}

/// How many ports are tried one after the other.
const TRIES: u16 = 200;
