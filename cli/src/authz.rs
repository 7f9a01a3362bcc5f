//! `weft authz`: who can reach what, and what a policy would have done before it is applied.
//!
//! The control plane knows both (`/v1/access/…`). By the model any replica can answer; of what sidecars have seen each knows
//! those that are connected to it, so a trial asks all of them and puts the answers together (`outcome`).

mod outcome;
mod reach;
mod trial;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde_json::{Value, json};

use self::outcome::Outcome;
use self::reach::Reached;
use crate::admin::AdminSocket;
use crate::args::{AuthzArgs, Format};
use crate::cluster;
use crate::control_planes;
use crate::environment::Environment;
use crate::manifest_files;
use crate::output::{Output, Verdict};

/// Runs `weft authz`.
pub(crate) async fn run(
    args: &AuthzArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let control_planes = control_planes::find(&args.place, mesh, environment).await?;
    if args.is_trial() {
        return Box::pin(try_out(args, &control_planes, output)).await;
    }
    let mut query = json!({});
    for (name, value) in [("from", &args.from), ("to", &args.to)] {
        if let Some(value) = value {
            query[name] = value.as_str().into();
        }
    }
    if let Some(request) = &args.request {
        query["request"] = serde_json::to_value(request)?;
    }
    // Any of them knows.
    let first = control_planes.first().context("there is no control plane")?;
    let value: Value = first.post("/v1/access/reach", &query).await.context("cannot look it up")?;
    let reached: Reached =
        serde_json::from_value(value.clone()).context("cannot read the answer")?;
    if output.is_json() {
        output.json(&value)?;
    } else {
        output.data(&reach::draw(&reached, output.format == Format::Wide))?;
    }
    let is_question = args.from.is_some() && args.to.is_some() && args.request.is_some();
    Ok(if is_question && !reached.is_allowed() { Verdict::Findings } else { Verdict::Fine })
}

async fn try_out(
    args: &AuthzArgs,
    control_planes: &[AdminSocket],
    output: &Output,
) -> Result<Verdict> {
    let files = manifest_files::read(&args.tried)?;
    let files = files.into_iter().map(|(name, text)| json!({ "name": name, "text": text }));
    let query = json!({
        "files": files.collect::<Vec<_>>(),
        "delete": args.delete,
        "namespace": namespace(args, control_planes).await?,
        "since": args.since.as_secs(),
    });
    // At once: what they have seen is then of the same minutes.
    let asked = control_planes.iter().map(|one| one.post("/v1/access/trial", &query));
    let mut answers: Vec<Outcome> = Vec::new();
    for answer in join_all(asked).await {
        answers.push(answer.context("cannot try it")?);
    }
    let outcome = outcome::merged(answers).context("there is no control plane")?;
    if output.is_json() {
        output.json(&outcome)?;
    } else {
        output.data(&trial::draw(&outcome, output.format == Format::Wide))?;
    }
    Ok(if outcome.is_harmless() { Verdict::Fine } else { Verdict::Findings })
}

async fn namespace(args: &AuthzArgs, control_planes: &[AdminSocket]) -> Result<String> {
    match &args.namespace {
        Some(namespace) => Ok(namespace.clone()),
        None if control_planes.iter().any(AdminSocket::is_in_cluster) => {
            let client = cluster::connect(&args.place.cluster).await?;
            Ok(client.default_namespace().to_owned())
        }
        None => Ok("default".to_owned()),
    }
}
