//! `weft stat`: golden metrics of workloads, edges and routes. The demo's screen draws the same tables.

mod merge;
pub(crate) mod tables;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::admin::{AdminSocket, Stat};
use crate::args::{Format, StatArgs, StatView, Window};
use crate::control_planes::Planes;
use crate::environment::Environment;
use crate::output::{Output, Verdict};

/// Runs `weft stat`.
pub(crate) async fn run(
    args: &StatArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let planes = Planes::find(&args.place, mesh, environment).await?;
    let in_place =
        args.watch && !output.is_json() && environment.smart_terminal && output.is_terminal();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let stat = match fetch_all(&planes.now().await, args.window).await {
            Ok(stat) => stat,
            // Whoever watches wants to see it come back, as another pod perhaps.
            Err(error) if args.watch => {
                output.note(&format!("{error:#}; trying again"));
                planes.lost();
                continue;
            }
            Err(error) => return Err(error).context("cannot measure"),
        };
        if output.is_json() {
            print_json(args, serde_json::to_value(&stat)?, output)?;
        } else {
            let table = draw(args.view.unwrap_or(StatView::Workloads), &stat, output.format);
            // Home, and clear what is there: the table is drawn over the last one.
            let clear = if in_place { "\x1b[H\x1b[2J" } else { "" };
            output.data(&format!("{clear}{table}"))?;
        }
        if !args.watch {
            return Ok(Verdict::Fine);
        }
    }
}

/// Asks the control plane for its figures.
///
/// # Errors
/// It does not answer.
pub(crate) async fn fetch(admin: &AdminSocket, window: Window) -> Result<Stat> {
    Ok(admin.get(&format!("/v1/stat?window={}", window.query())).await?)
}

/// The same of all replicas together. Each is asked at the same time, so that they speak of the same seconds.
pub(crate) async fn fetch_all(planes: &[AdminSocket], window: Window) -> Result<Stat> {
    if let [one] = planes {
        return fetch(one, window).await;
    }
    let path = format!("/v1/stat?window={}&buckets=true", window.query());
    let asked = planes.iter().map(|plane| plane.get(&path));
    let all: Vec<Stat> = futures_util::future::try_join_all(asked).await?;
    Ok(merge::merged(all))
}

fn draw(view: StatView, stat: &Stat, format: Format) -> String {
    let wide = format == Format::Wide;
    let (table, empty) = match view {
        StatView::Workloads => {
            (tables::workloads(&stat.workloads, wide), stat.workloads.is_empty())
        }
        StatView::Edges => (tables::edges(&stat.edges, wide), stat.edges.is_empty()),
        StatView::Routes => (tables::routes(&stat.routes), stat.routes.is_empty()),
    };
    if empty { "No requests were seen in this time.".to_owned() } else { table.render() }
}

/// One object; of one view only, if one was asked for. With `--watch`, one a line.
fn print_json(args: &StatArgs, value: Value, output: &Output) -> Result<()> {
    let value = match args.view {
        None => value,
        Some(view) => only(view, value),
    };
    if args.watch {
        output.data(&value.to_string())?;
    } else {
        output.json(&value)?;
    }
    Ok(())
}

fn only(view: StatView, value: Value) -> Value {
    let kept = match view {
        StatView::Workloads => "workloads",
        StatView::Edges => "edges",
        StatView::Routes => "routes",
    };
    let Value::Object(object) = value else { return value };
    let fields: Map<String, Value> = object
        .into_iter()
        .filter(|(name, _)| {
            name == kept || !["workloads", "edges", "routes"].contains(&name.as_str())
        })
        .collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests;
