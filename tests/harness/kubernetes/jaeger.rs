//! What a Jaeger has stored, read over its own query API.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::harness::{Network, Process, Program, eventually, http1, request, tools};

/// On a busy machine.
const UP: Duration = Duration::from_secs(120);

/// A Jaeger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jaeger {
    query: SocketAddr,
}

impl Jaeger {
    /// One of the test's own on host 3 of a network, at its usual ports, once it takes spans; `None` where there is none to
    /// run.
    pub(crate) async fn start(network: &Network, log: PathBuf) -> Option<Process> {
        let path = tools()?.join("jaeger");
        let at = |port| network.at(3, port).to_string();
        let args = [
            "--set=service.telemetry.metrics.level=none".to_owned(),
            format!("--set=extensions.jaeger_query.http.endpoint={}", at(16686)),
            format!("--set=extensions.jaeger_query.grpc.endpoint={}", at(16685)),
            format!("--set=extensions.expvar.endpoint={}", at(13132)),
            // Not among the listeners that follow the variable below.
            format!("--set=extensions.healthcheckv2.http.endpoint={}", at(13133)),
            format!("--set=extensions.healthcheckv2.grpc.endpoint={}", at(13134)),
        ];
        let program = Program {
            name: "Jaeger".to_owned(),
            path: path.exists().then_some(path)?,
            args: args.map(Into::into).into(),
            variables: vec![("JAEGER_LISTEN_HOST".to_owned(), network.at(3, 1).ip().to_string())],
            log,
        };
        let process = Process::start(program).unwrap();
        eventually("Jaeger takes spans and answers", UP, async || {
            process.pid()?;
            for port in [4317, 4318] {
                TcpStream::connect(network.at(3, port)).await?;
            }
            Self::at(network.at(3, 16686)).services().await
        })
        .await;
        Some(process)
    }

    /// The one whose query API is there, usually port 16686 of its Service.
    pub(crate) fn at(query: SocketAddr) -> Self {
        Self { query }
    }

    /// Names of all services that have sent spans.
    pub(crate) async fn services(&self) -> Result<Vec<String>> {
        let found = self.ask("/api/services").await?;
        Ok(serde_json::from_value(found["data"].clone()).unwrap_or_default())
    }

    /// The newest traces that a service has a part in.
    pub(crate) async fn traces(&self, service: &str) -> Result<Vec<Value>> {
        let found = self.ask(&format!("/api/traces?service={service}&limit=100")).await?;
        Ok(found["data"].as_array().cloned().unwrap_or_default())
    }

    /// All spans of a trace, as Jaeger has them: `operationName`, `references`, `tags`, `processID` and others; an error
    /// until there are at least `spans` of them.
    pub(crate) async fn trace(&self, id: &str, spans: usize) -> Result<Value> {
        let found = self.ask(&format!("/api/traces/{id}")).await?;
        let trace = found["data"][0].clone();
        let count = trace["spans"].as_array().map_or(0, Vec::len);
        ensure!(count >= spans, "{count} spans of {spans}");
        Ok(trace)
    }

    /// Waits until a trace has that many spans, which come a little later than the response.
    pub(crate) async fn whole_trace(&self, id: &str, spans: usize) -> Value {
        let what = format!("Jaeger has {spans} spans of {id}");
        eventually(&what, Duration::from_secs(30), async || self.trace(id, spans).await).await
    }

    async fn ask(&self, path: &str) -> Result<Value> {
        let answer = http1(self.query, request(Method::GET, path, &[], "")).await?;
        ensure!(answer.status.as_u16() == 200, "{path}: {}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
