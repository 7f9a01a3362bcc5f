//! `weft why` of a request whose two sidecars report to different replicas.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::super::{CLIENT, DEADLINE, PATH, images, inside, trust};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{attempt, http1, request};

/// What a sidecar remembers is there a moment after the answer.
const SOON: Duration = Duration::from_secs(10);
/// Requests before the client is made anew: each goes to one of two servers.
const TRIES: usize = 6;

/// A request whose sidecars report to different replicas.
#[derive(Clone, Debug)]
struct Divided {
    id: String,
    trace: String,
}

/// By id, by trace, by who called what, and among all that failed lately: both halves, and each once.
pub(super) async fn explained(cluster: &Cluster, namespace: &Namespace, server: SocketAddr) {
    let Divided { id, trace } = divided(namespace, server).await;
    let name = namespace.name();
    let (from, to) = (format!("client.{name}"), format!("server.{name}"));
    let asked: [&[&str]; 4] =
        [&[id.as_str()], &[trace.as_str()], &[&from, &to, "--path", "/users"], &[]];
    let answers = join_all(asked.map(|args| async move {
        let output = cluster.weft(&[&["why", "-o", "json"], args].concat()).await;
        assert_eq!(output.code, Some(3), "{output:?}");
        output.json()
    }));
    let answers = answers.await;
    let (lately, explained) = answers.split_last().expect("there are four");
    for found in explained {
        assert_eq!((&found["fault"], &found["whose"]), (&json!("denied"), &json!("configuration")));
        let miss = format!("AccessPolicy/{name}/readers#0 wants identity");
        assert!(found["summary"].as_str().is_some_and(|text| text.contains(&miss)), "{found}");
        let (outbound, inbound) = (&found["outbound"], &found["inbound"]);
        assert_eq!((&outbound["request_id"], &inbound["request_id"]), (&json!(id), &json!(id)));
        assert_eq!(found["object"], inbound["workload"], "nothing allows it there: {found}");
        assert_eq!(found["trail"], json!([from, inbound["workload"]]), "{found}");
        assert_eq!(outbound["workload"], *from);
        assert_eq!(found["silent"], json!([]), "{found}");
    }
    let requests = lately["requests"].as_array().into_iter().flatten();
    let of_it: Vec<&Value> = requests.filter(|one| one["request_id"] == *id).collect();
    let mut sides: Vec<&str> = of_it.iter().filter_map(|one| one["direction"].as_str()).collect();
    sides.sort_unstable();
    assert_eq!(sides, ["inbound", "outbound"], "{lately}");
}

/// Makes one. Where a sidecar reports to is drawn when it starts, so the client may have to start anew.
async fn divided(namespace: &Namespace, server: SocketAddr) -> Divided {
    let name = namespace.name();
    let made = async || {
        for _ in 0..TRIES {
            if let Some(divided) = one(namespace, server).await? {
                return Ok(divided);
            }
        }
        namespace.kubectl(&["delete", "pod", "client", "-n", name]).await;
        namespace.apply(&images(CLIENT)).await;
        namespace.ready("client").await;
        bail!("all sidecars report to one replica")
    };
    let what = "the sidecars of a request report to different replicas";
    namespace.eventually(what, name, 2 * DEADLINE, made).await
}

/// One request; `None` if both of its sidecars report to one replica.
async fn one(namespace: &Namespace, server: SocketAddr) -> Result<Option<Divided>> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let trace = format!("5b8efff798038103d269b633{:08x}", NEXT.fetch_add(1, Relaxed));
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let asked = request(Method::GET, PATH, &[("traceparent", &parent)], "");
    let client = inside(namespace, "client").await;
    let answer = client.run(http1(server, asked)).await?;
    ensure!(answer.status == 403, "{answer:?}");
    let id = answer.header("x-request-id").to_owned();
    let replicas = trust::replicas();
    ensure!(replicas.len() == 2, "{} replicas", replicas.len());
    let remembered = async || {
        let mut counts = Vec::new();
        for replica in &replicas {
            let answer = replica.post("/v1/requests", &json!({ "request_id": id })).await?;
            counts.push(answer["requests"].as_array().map_or(0, Vec::len));
        }
        ensure!(counts.iter().sum::<usize>() == 2, "{counts:?}");
        Ok(counts == [1, 1])
    };
    let is_divided = attempt(SOON, remembered).await.map_err(anyhow::Error::msg)?;
    Ok(is_divided.then_some(Divided { id, trace }))
}
