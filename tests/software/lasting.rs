//! A connection that lasts: neither a control plane that goes and comes back nor new certificates end it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::product::{Counted, Product, Session};
use super::scene::{CALLER, ENTRIES, Entry, Scene, Side, client};
use crate::harness::{APP_UID, Pod, eventually, within};

/// For one answer.
const SOON: Duration = Duration::from_secs(30);

/// Keeps one session with each of these, declared or not.
pub(crate) async fn lasts(products: &[&dyn Product]) {
    let settings = ["leafLifetime: 10s"];
    let declared: Vec<_> =
        products.iter().enumerate().map(|(place, product)| (*product, entry(place))).collect();
    let Some(scene) = Scene::start(&declared, &settings).await else { return };
    let mut talks = Vec::new();
    for (place, product) in products.iter().enumerate() {
        let facts = product.facts();
        let entry = entry(place);
        let session = product.session(entry.address(place, &facts));
        let session = session.unwrap_or_else(|| panic!("{} has no session", facts.name));
        talks.push(Talk::open(scene.mesh.pod(CALLER), facts.name, session).expect("it starts"));
    }
    say(&mut talks).await;
    let first = connections(&scene, products).await;
    let control_plane = scene.mesh.control_plane();
    control_plane.process().kill();
    say(&mut talks).await;
    control_plane.restart().await;
    say(&mut talks).await;
    renewed(&scene, products).await;
    say(&mut talks).await;
    assert_eq!(connections(&scene, products).await, first, "somebody has connected again");
}

/// How many connections of each product there have been, where they are counted.
async fn connections(scene: &Scene, products: &[&dyn Product]) -> Vec<(&'static str, f64)> {
    let mut counts = Vec::new();
    for (place, product) in products.iter().enumerate() {
        let facts = product.facts();
        if facts.counted == Counted::Connections {
            let count = scene.count(&facts, Side::Outbound(entry(place))).await;
            counts.push((facts.name, count.expect("the sidecar answers")));
        }
    }
    assert!(counts.iter().all(|(_, count)| *count > 0.0), "{counts:?}");
    counts
}

/// The next thing to say, to everybody.
async fn say(talks: &mut [Talk]) {
    for talk in talks {
        talk.say().await;
    }
}

/// The products are declared in different ways, Service and pod alike.
fn entry(place: usize) -> Entry {
    ENTRIES[place % ENTRIES.len()]
}

/// Waits until every sidecar has another certificate than now.
async fn renewed(scene: &Scene, products: &[&dyn Product]) {
    let pods: Vec<&str> =
        products.iter().map(|product| product.facts().name).chain([CALLER]).collect();
    let mut first = BTreeMap::new();
    for pod in &pods {
        first.insert(*pod, leaf(scene, pod).await.expect("the admin socket answers"));
    }
    for pod in pods {
        eventually("a new certificate", SOON, async || {
            ensure!(leaf(scene, pod).await? != first[pod], "{pod} still has the old one");
            Ok(())
        })
        .await;
    }
}

/// When the certificate of a pod's sidecar ends.
async fn leaf(scene: &Scene, pod: &str) -> Result<Value> {
    Ok(scene.mesh.admin(pod).get("/v1/config/certificate").await?["not_after"].clone())
}

/// A client that runs.
struct Talk {
    name: &'static str,
    session: Session,
    said: usize,
    /// Killed with the value.
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn open(pod: &Pod, name: &'static str, session: Session) -> Result<Self> {
        let program = pod.program(APP_UID, client(&session.run));
        let mut child = tokio::process::Command::new(&program.path)
            .args(&program.args)
            .envs(program.variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("it was piped")?;
        let stdout = child.stdout.take().context("it was piped")?;
        Ok(Self { name, session, said: 0, child, stdin, stdout: BufReader::new(stdout).lines() })
    }

    /// Says the next thing, and waits for the answer to it.
    async fn say(&mut self) {
        let (ask, answer) = ((self.session.ask)(self.said), (self.session.answer)(self.said));
        self.said += 1;
        let asked = self.stdin.write_all(format!("{ask}\n").as_bytes()).await;
        let what = format!("{} answers {ask:?}", self.name);
        asked.and(self.stdin.flush().await).unwrap_or_else(|error| panic!("{what}: {error}"));
        let heard = async {
            while let Some(line) = self.stdout.next_line().await? {
                if line.contains(&answer) {
                    return Ok(());
                }
            }
            anyhow::bail!("ended: {:?}", self.child.wait().await?)
        };
        within(&what, SOON, heard).await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
    }
}
