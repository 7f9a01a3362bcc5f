//! `weft why`: real sidecars, real control plane, the real command line. Twenty faults, each seeded in a mesh, made to fail one
//! request, and explained from what its answer carries and nothing else (`faults`); and the other ways to ask (`asked`).

mod asked;
mod faults;
mod scene;

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::harness::{Answer, Mesh, attempt, eventually};

/// What the two sidecars remember of a request is there a moment after its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What ought to be said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    fault: &'static str,
    whose: &'static str,
    object: &'static str,
}

const fn expected(fault: &'static str, whose: &'static str, object: &'static str) -> Expected {
    Expected { fault, whose, object }
}

/// `weft why -o json`, whatever it says.
async fn why(mesh: &Mesh, args: &[&str]) -> Result<Value> {
    let output = mesh.weft(&[&["why", "-o", "json"], args].concat()).await;
    ensure!(output.code == Some(0) || output.code == Some(3), "{output:?}");
    Ok(output.json())
}

/// Asks about an answer, until it is said what is expected or the deadline is over; returns what was said last.
async fn explained(mesh: &Mesh, answer: &Answer, expected: Expected) -> (bool, String) {
    let id = answer.header("x-request-id").to_owned();
    assert!(!id.is_empty(), "whoever gets this answer cannot ask about it: {answer:?}");
    let found = attempt(DEADLINE, async || {
        let found = why(mesh, &[&id]).await?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        let [fault, whose, object, summary] = ["fault", "whose", "object", "summary"].map(text);
        let said = format!("{fault}, {whose}: {object}: {summary}");
        let Expected { fault: what, whose: who, object: which } = expected;
        ensure!((fault.as_str(), whose.as_str(), object.as_str()) == (what, who, which), "{said}");
        Ok(said)
    });
    match found.await {
        Ok(said) => (true, said),
        Err(said) => (false, said),
    }
}

/// Waits until the newest failure of an edge is explained so.
async fn edge_is_explained(mesh: &Mesh, args: &[&str], fault: &str) -> Value {
    eventually("it is explained", DEADLINE, async || {
        let found = why(mesh, args).await?;
        ensure!(found["fault"] == fault, "{found}");
        Ok(found)
    })
    .await
}
