//! `weft wait -f FILE`: is what I applied in force everywhere? Reads which objects are meant, asks the cluster how each
//! stands until all are well or the time is up, and says who is not and why.
//!
//! `manifests` reads files, `standing` judges one object (both pure), `cluster` asks. What is judged is the status that
//! the control plane has written; sidecars are not asked.

mod cluster;
mod manifests;
mod standing;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::cluster::Cluster;
use self::manifests::{Manifests, Wanted};
use self::standing::{Standing, standing};
use crate::args::WaitArgs;
use crate::manifest_files;
use crate::output::{BAD, GOOD, Output, STRONG, Verdict, styled};

/// Between two questions after the same object.
const AGAIN: Duration = Duration::from_millis(500);

/// One object and how it stands.
#[derive(Debug)]
struct Row {
    wanted: Wanted,
    standing: Standing,
}

/// Runs `weft wait`.
pub(crate) async fn run(args: &WaitArgs, output: &Output) -> Result<Verdict> {
    let cluster = Cluster::connect(args).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| cluster.namespace().to_owned());
    let mut manifests = Manifests::default();
    for (name, text) in manifest_files::read(&args.filename)? {
        manifests.add(&text, &namespace).with_context(|| format!("cannot read {name}"))?;
    }
    match manifests.others {
        0 => {}
        1 => output.note("1 object of another kind is passed over"),
        others => output.note(&format!("{others} objects of other kinds are passed over")),
    }
    let rows = wait(&cluster, manifests.wanted, args.timeout, output).await?;
    let good = rows.iter().all(|row| row.standing.is_good());
    if output.is_json() {
        output.json(&shape(&rows, good))?;
    } else {
        output.data(&draw(&rows))?;
    }
    Ok(if good { Verdict::Fine } else { Verdict::Findings })
}

/// Asks until all are well or the time is up.
async fn wait(
    cluster: &Cluster,
    wanted: BTreeSet<Wanted>,
    limit: Duration,
    output: &Output,
) -> Result<Vec<Row>> {
    let new = |wanted| Row { wanted, standing: Standing::Absent };
    let mut rows: Vec<Row> = wanted.into_iter().map(new).collect();
    let end = Instant::now() + limit;
    let mut said = String::new();
    loop {
        let next = Instant::now() + AGAIN;
        for row in rows.iter_mut().filter(|row| !row.standing.is_good()) {
            let found = cluster.get(&row.wanted).await?;
            row.standing =
                found.map_or(Standing::Absent, |found| standing(&row.wanted.kind, &found));
        }
        let open: Vec<&Row> = rows.iter().filter(|row| !row.standing.is_good()).collect();
        let Some(first) = open.first() else { return Ok(rows) };
        if next >= end {
            return Ok(rows);
        }
        let progress = format!(
            "{} of {} in force; {}: {}",
            rows.len() - open.len(),
            rows.len(),
            first.wanted,
            first.standing.reason()
        );
        if std::io::stderr().is_terminal() && progress != said {
            output.note(&progress);
            said = progress;
        }
        sleep_until(next).await;
    }
}

fn draw(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Nothing to wait for: no object of these files has a status of Weft's.".to_owned();
    }
    let line = |row: &Row| {
        let (mark, style) = if row.standing.is_good() { ("√", GOOD) } else { ("×", BAD) };
        let name = styled(STRONG, &row.wanted.to_string());
        format!("{} {name}  {}", styled(style, mark), row.standing.reason())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shape(rows: &[Row], good: bool) -> serde_json::Value {
    let one = |row: &Row| {
        let Wanted { kind, namespace, name } = &row.wanted;
        json!({
            "kind": kind, "namespace": namespace, "name": name,
            "ready": row.standing.is_good(), "reason": row.standing.reason(),
        })
    };
    json!({ "schema_version": 1, "ready": good, "objects": rows.iter().map(one).collect::<Vec<_>>() })
}
