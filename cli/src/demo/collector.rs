//! Where the demo's traces go: to the endpoint that the user has set, else to whatever listens on 4317.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::screen::Screen;
use crate::environment::Environment;

/// OTLP over gRPC.
const OTLP: u16 = 4317;
/// Jaeger's pages.
const JAEGER: u16 = 16686;
/// Something on this machine accepts at once or not at all.
const PATIENCE: Duration = Duration::from_millis(300);

/// Where traces go and where they can be looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Collector {
    /// OTLP endpoint.
    pub(super) endpoint: Option<String>,
    /// Jaeger's page, if one listens too.
    pub(super) jaeger: Option<String>,
}

impl Collector {
    /// Looks for one.
    pub(super) async fn find(environment: &Environment) -> Self {
        let endpoint = match &environment.otlp_endpoint {
            Some(chosen) => Some(chosen.clone()),
            None => listens(OTLP).await.then(|| format!("http://localhost:{OTLP}")),
        };
        let jaeger = endpoint.is_some() && listens(JAEGER).await;
        let page = format!("http://localhost:{JAEGER}/search?service=gateway");
        Self { endpoint, jaeger: jaeger.then_some(page) }
    }

    /// What a person may open: the shop, and Jaeger's page if there is one.
    pub(super) fn urls(&self, front: SocketAddr) -> BTreeMap<String, String> {
        let mut urls = BTreeMap::from([("shop".to_owned(), format!("http://{front}"))]);
        urls.extend(self.jaeger.iter().map(|page| ("jaeger".to_owned(), page.clone())));
        urls
    }

    /// Says it.
    pub(super) fn show(&self, screen: &Screen) {
        match &self.endpoint {
            Some(endpoint) => screen.up("traces", &format!("sent to {endpoint}")),
            None => screen.up(
                "traces",
                &format!("not sent: nothing listens on localhost:{OTLP} (start Jaeger first)"),
            ),
        }
    }
}

async fn listens(port: u16) -> bool {
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let connecting = tokio::net::TcpStream::connect(SocketAddr::new(ip, port));
        if matches!(tokio::time::timeout(PATIENCE, connecting).await, Ok(Ok(_))) {
            return true;
        }
    }
    false
}
