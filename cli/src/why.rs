//! `weft why`: one request explained.
//!
//! Read in this order: `facts` (what sidecars remember and what the model says), `gather` (which request is meant, both sides of
//! it), `diagnosis` (the verdict), `checks` (the way step by step), `draw`. This file asks and puts together. Every replica of
//! the control plane is asked, for each knows the sidecars that are connected to it.

mod checks;
mod diagnosis;
mod draw;
mod facts;
mod gather;
mod id;

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};

use self::diagnosis::Fault;
use self::draw::Explained;
use self::facts::{Facts, Gathered, Lookup};
use self::gather::Hop;
use crate::admin::{AdminError, AdminSocket};
use crate::args::{Asked, WhyArgs};
use crate::control_planes;
use crate::environment::Environment;
use crate::output::{Output, Verdict};

/// How far back a refused connection is looked for: it was refused as the request failed, which is asked about at once.
const REFUSED_SINCE_S: u64 = 900;

/// Runs `weft why`.
pub(crate) async fn run(
    args: &WhyArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let planes = control_planes::find(&args.place, mesh, environment).await?;
    let gathered = gather(&planes, args).await?;
    let explained = match args.asked() {
        Asked::Lately => return lately(&gathered, output),
        Asked::Id(id) => {
            let hops = gather::hops(&gathered.requests);
            let Some(hop) = gather::innermost(&hops).cloned() else {
                return not_found(&id, &gathered);
            };
            let trail = gather::trail(&hops, &hop);
            explain(&planes, hop, trail, gathered).await?
        }
        Asked::Edge(from, to) => of_edge(&planes, args, from, to, gathered).await?,
    };
    if output.is_json() {
        output.json(&explained.to_json()?)?;
    } else {
        output.data(&explained.draw())?;
    }
    Ok(match explained.diagnosis.fault {
        Fault::Nothing => Verdict::Fine,
        _ => Verdict::Findings,
    })
}

/// What sidecars remember of what is asked. An id may be one of several things: the first that anybody remembers.
async fn gather(planes: &[AdminSocket], args: &WhyArgs) -> Result<Gathered> {
    let mut query = json!({
        "since_s": args.since.as_secs(),
        "method": args.method.clone().unwrap_or_default(),
        "path": args.path.clone().unwrap_or_default(),
    });
    match args.asked() {
        Asked::Lately => {}
        Asked::Id(id) => {
            let mut gathered = Gathered::default();
            for (kind, id) in id::readings(&id) {
                let mut query = query.clone();
                query[kind] = id.into();
                gathered = ask(planes, &query).await?;
                if !gathered.requests.is_empty() {
                    break;
                }
            }
            return Ok(gathered);
        }
        Asked::Edge(from, to) => {
            query["to"] = to.into();
            if let Some(from) = from {
                query["from"] = from.into();
            }
        }
    }
    ask(planes, &query).await
}

/// At once: what they remember is then of the same moment.
async fn ask(planes: &[AdminSocket], query: &Value) -> Result<Gathered> {
    let asked = planes.iter().map(|plane| plane.post::<Gathered>("/v1/requests", query));
    let mut answers = Vec::new();
    for answer in join_all(asked).await {
        answers.push(answer.context("cannot ask the sidecars")?);
    }
    Ok(gather::merged(answers))
}

async fn look_up(planes: &[AdminSocket], query: &Value) -> Result<Option<Lookup>> {
    let asked = planes.iter().map(|plane| plane.post::<Lookup>("/v1/requests/lookup", query));
    let mut answers = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(lookup) => answers.push(lookup),
            // What sidecars remember may be of what is not there any more.
            Err(AdminError::Refused { .. }) => {}
            Err(error) => return Err(error).context("cannot look it up"),
        }
    }
    Ok(gather::merged_lookups(answers))
}

/// By who called what: the newest request that failed, else the newest slow one, else what the model says.
async fn of_edge(
    planes: &[AdminSocket],
    args: &WhyArgs,
    from: Option<String>,
    to: String,
    gathered: Gathered,
) -> Result<Explained> {
    let hops = gather::hops(&gathered.requests);
    if let Some(hop) = hops.into_iter().max_by_key(Hop::rank) {
        let trail = gather::trail(std::slice::from_ref(&hop), &hop);
        return explain(planes, hop, trail, gathered).await;
    }
    let query = json!({
        "from": from.clone().unwrap_or_default(),
        "to": to,
        "method": args.method.clone().unwrap_or_default(),
        "path": args.path.clone().unwrap_or_default(),
    });
    let lookup = look_up(planes, &query).await?;
    if lookup.is_none() {
        bail!(
            "the control plane knows no such workload or Service: `weft stat edges` shows who calls whom"
        );
    }
    // A refused connection is all that there is of a request that came without a sidecar.
    let inbound = gathered.requests.iter().find(|one| one.opaque && !one.is_outbound()).cloned();
    let facts = Facts { lookup, refusal: inbound, ..Facts::default() };
    let trail = from.into_iter().chain([to]).collect();
    Ok(explained(facts, trail, gathered))
}

/// Asks what is still missing of a hop, and decides.
async fn explain(
    planes: &[AdminSocket],
    hop: Hop,
    trail: Vec<String>,
    gathered: Gathered,
) -> Result<Explained> {
    let lookup = look_up(planes, &lookup_query(&hop)).await?;
    let refusal = match &hop.outbound {
        Some(out) if hop.inbound.is_none() && !out.last_workload().is_empty() => {
            let query =
                json!({ "to": out.last_workload(), "since_s": REFUSED_SINCE_S, "limit": 200 });
            // Whoever is gone meanwhile says nothing.
            let recent = ask(planes, &query).await.unwrap_or_default();
            gather::refusal(&hop, &recent.requests)
        }
        _ => None,
    };
    let Hop { outbound, inbound } = hop;
    Ok(explained(Facts { outbound, inbound, refusal, lookup }, trail, gathered))
}

fn lookup_query(hop: &Hop) -> Value {
    match (&hop.outbound, &hop.inbound) {
        (Some(out), _) => json!({
            "from": out.workload, "to": out.service, "method": out.method, "path": out.path,
            "host": out.host, "route": out.route,
        }),
        (None, Some(inbound)) => json!({
            "to": inbound.workload, "method": inbound.method, "path": inbound.path,
            "host": inbound.host,
        }),
        (None, None) => json!({ "to": "" }),
    }
}

fn explained(facts: Facts, trail: Vec<String>, gathered: Gathered) -> Explained {
    let (diagnosis, checks) = (diagnosis::diagnose(&facts), checks::checks(&facts));
    Explained { facts, trail, checks, diagnosis, silent: gathered.silent }
}

fn lately(gathered: &Gathered, output: &Output) -> Result<Verdict> {
    if output.is_json() {
        output.json(&json!({
            "schema_version": 1,
            "requests": gathered.requests,
            "left_out": gathered.left_out,
            "silent": gathered.silent,
        }))?;
    } else {
        output.data(&draw::list(&gathered.requests))?;
    }
    Ok(if gathered.requests.is_empty() { Verdict::Fine } else { Verdict::Findings })
}

fn not_found(id: &str, gathered: &Gathered) -> Result<Verdict> {
    let asked = gathered.answered.len();
    let silent = gathered.silent.len();
    bail!(
        "no sidecar remembers {id}: {asked} were asked and {silent} did not answer. They remember requests that failed or were slow, \
         and of many alike the newest only; `weft why FROM TO` asks by who called what"
    )
}
