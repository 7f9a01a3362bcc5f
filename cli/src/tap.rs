//! `weft tap`: requests as they end. Every replica of the control plane is asked, for each knows the sidecars that are connected
//! to it, and hands on what they show ([`replicas`]); `line` is one request for people. It ends when it was told to, or when nobody
//! is left to listen to.

mod line;
mod replicas;

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::admin::AdminSocket;
use crate::args::TapArgs;
use crate::control_planes::Planes;
use crate::environment::Environment;
use crate::output::{Output, Verdict};
use crate::signals::Signals;
use replicas::{LOOK, PATIENCE, Replicas, Said};

/// Bound: lines that were read and not printed yet.
const MAX_LINES: usize = 64;

/// What came of it.
#[derive(Debug, Default)]
struct Tally {
    shown: u64,
    dropped: u64,
    /// Whether somebody was told yet that nobody can be seen.
    told: bool,
}

/// Runs `weft tap`.
pub(crate) async fn run(
    args: &TapArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let planes = Planes::find(&args.place, mesh, environment).await?;
    let all = planes.now().await;
    let query = query(args, &all).await?;
    let mut signals = Signals::watch()?;
    let (sender, mut said) = mpsc::channel(MAX_LINES);
    let replicas = Replicas::new(query, sender);
    replicas.begin(&all).await?;
    // On one machine there is one, and it ends with that.
    if planes.are_in_cluster() {
        tokio::spawn(replicas.follow(planes, LOOK, PATIENCE));
    } else {
        drop(replicas);
    }
    let mut over = pin!(tokio::time::sleep(args.lasting.unwrap_or(Duration::MAX / 4)));
    let mut tally = Tally::default();
    let gone = loop {
        tokio::select! {
            _ = signals.next() => break None,
            () = &mut over => break None,
            next = said.recv() => match next {
                Some(Said::Line(line)) => {
                    tally.take(&line, output)?;
                    if args.max.is_some_and(|max| tally.shown >= max) {
                        break None;
                    }
                }
                Some(Said::Gone(why)) => output.note(&why),
                None => break Some("the control plane shows no more"),
            }
        }
    };
    output.note(&tally.told_at_the_end());
    match gone {
        None => Ok(Verdict::Fine),
        Some(why) => bail!("{why}"),
    }
}

async fn query(args: &TapArgs, planes: &[AdminSocket]) -> Result<Value> {
    let peer = match &args.identity {
        None => String::new(),
        Some(id) if id.starts_with("spiffe://") => id.clone(),
        Some(id) => {
            let Some((namespace, account)) = id.split_once('/') else {
                bail!("{id:?} is no identity: write namespace/account, or a SPIFFE id");
            };
            let first = planes.first().context("there is no control plane")?;
            let mesh: Value =
                first.get("/v1/mesh").await.context("cannot ask for the trust domain")?;
            let domain = mesh["trust_domain"].as_str().unwrap_or_default();
            format!("spiffe://{domain}/ns/{namespace}/sa/{account}")
        }
    };
    Ok(json!({
        "workloads": args.workloads,
        "to": args.to.clone().unwrap_or_default(),
        "method": args.method.clone().unwrap_or_default(),
        "path": args.path.clone().unwrap_or_default(),
        "status": args.status.unwrap_or(0),
        "peer": peer,
        "errors": args.errors,
        "most": args.most,
    }))
}

impl Tally {
    fn told_at_the_end(&self) -> String {
        let Self { shown, dropped, .. } = self;
        let requests = if *shown == 1 { "request" } else { "requests" };
        format!("{shown} {requests} shown, {dropped} not shown for there were too many")
    }

    fn take(&mut self, line: &Value, output: &Output) -> Result<()> {
        self.dropped += line["dropped"].as_u64().unwrap_or(0);
        match line["type"].as_str() {
            Some("request") => {
                self.shown += 1;
                output.data(&match output.is_json() {
                    true => line.to_string(),
                    false => line::draw(line),
                })?;
            }
            Some("status") if line["sidecars"] == 0 && !self.told => {
                self.told = true;
                output.note("no sidecar that is wanted is connected yet");
            }
            _ => {}
        }
        Ok(())
    }
}
