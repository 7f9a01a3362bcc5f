//! The demo's shop: five small real HTTP services, `weft demo-service NAME`, each a process of its own.
//!
//! gateway calls user, product and order; order calls user, product and payment. They know nothing of the
//! mesh: they find each other by `USER_SERVICE_URL` and its like, and pass trace headers on, which is all
//! that a mesh asks of a program. One file a service; `peer` is their HTTP client.

mod fault;
mod gateway;
mod order;
mod page;
mod payment;
mod peer;
mod product;
mod user;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{DemoServiceArgs, ShopService};
use crate::output::Verdict;
pub(crate) use fault::{most_of as most_faults_of, share as fault_share};
use peer::Peer;

/// How long open requests may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// Serves one service until SIGTERM.
pub(crate) async fn run(args: DemoServiceArgs) -> Result<Verdict> {
    let stopped = stop_signal()?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let service = service(args)?;
    let (stopping, mut has_stopped) = tokio::sync::watch::channel(false);
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        stopped.await;
        stopping.send_replace(true);
    });
    let deadline = async move {
        // An error means that the sender is gone, and with it the server.
        let _ = has_stopped.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(GRACE).await;
    };
    let (mut serving, mut deadline) = (pin!(serving.into_future()), pin!(deadline));
    tokio::select! {
        ended = &mut serving => ended.context("cannot serve")?,
        () = &mut deadline => {}
    }
    Ok(Verdict::Fine)
}

/// The service's routes, with `/health`.
fn service(args: DemoServiceArgs) -> Result<Router> {
    let name = match args.service {
        ShopService::Gateway => "gateway",
        ShopService::User => "user",
        ShopService::Product => "product",
        ShopService::Order => "order",
        ShopService::Payment => "payment",
    };
    let peer = |variable: &str, url: Option<String>| -> Result<Arc<Peer>> {
        let url = url.with_context(|| format!("{name} needs {variable}"))?;
        Ok(Arc::new(Peer::new(&url).with_context(|| format!("{variable}={url}"))?))
    };
    let routes = match args.service {
        ShopService::Gateway => gateway::routes(gateway::Peers {
            user: peer("USER_SERVICE_URL", args.user_url)?,
            product: peer("PRODUCT_SERVICE_URL", args.product_url)?,
            order: peer("ORDER_SERVICE_URL", args.order_url)?,
        }),
        ShopService::Order => order::routes(order::Peers {
            user: peer("USER_SERVICE_URL", args.user_url)?,
            product: peer("PRODUCT_SERVICE_URL", args.product_url)?,
            payment: peer("PAYMENT_SERVICE_URL", args.payment_url)?,
        }),
        ShopService::User => user::routes(),
        ShopService::Product => product::routes(&args.version),
        ShopService::Payment => payment::routes(args.seed),
    };
    let version = args.version;
    let health = move || {
        let answer = json!({ "status": "ok", "service": name, "version": version });
        async move { axum::Json(answer) }
    };
    Ok(routes.route("/health", get(health)))
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    Ok(async move {
        terminate.recv().await;
    })
}

#[cfg(test)]
mod tests;
