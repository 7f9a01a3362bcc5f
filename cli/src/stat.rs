//! `weft stat`: golden metrics of workloads, edges and routes. The demo's screen draws the same tables.

mod live;
mod merge;
pub(crate) mod tables;

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
    if args.watch {
        return live::watch(args, planes, environment, output).await;
    }
    let stat = fetch_all(&planes.now().await, args.window).await.context("cannot measure")?;
    match shown(args, &stat, output)? {
        Shown::Json(value) => output.json(&value)?,
        Shown::Table(table) => output.data(&table)?,
    }
    Ok(Verdict::Fine)
}

/// What is printed.
enum Shown {
    Json(Value),
    Table(String),
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

/// One object, of one view only if one was asked for; or a table.
fn shown(args: &StatArgs, stat: &Stat, output: &Output) -> Result<Shown> {
    if !output.is_json() {
        let view = args.view.unwrap_or(StatView::Workloads);
        return Ok(Shown::Table(draw(view, stat, output.format)));
    }
    let value = serde_json::to_value(stat)?;
    Ok(Shown::Json(match args.view {
        None => value,
        Some(view) => only(view, value),
    }))
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
