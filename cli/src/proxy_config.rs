//! `weft proxy-config`: what one sidecar really has, asked of itself.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::args::ProxyConfigArgs;
use crate::environment::Environment;
use crate::moment::Moment;
use crate::output::{Output, Verdict};
use crate::sidecars;
use crate::table::{Align, Cell, Table};

/// Runs `weft proxy-config`.
pub(crate) async fn run(
    args: &ProxyConfigArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let sidecar = sidecars::find(&args.workload, &args.place, mesh, environment).await?;
    let config: Value =
        sidecar.get(args.section.path()).await.context("the sidecar does not say")?;
    if output.is_json() {
        output.json(&config)?;
    } else {
        output.data(&draw(&config))?;
    }
    Ok(Verdict::Fine)
}

/// A list of objects becomes a table with a column for each field, one object a list of its fields.
fn draw(config: &Value) -> String {
    match config {
        Value::Array(rows) if rows.is_empty() => "None.".to_owned(),
        Value::Array(rows) => rows_table(rows),
        Value::Object(fields) => {
            let mut table = Table::new(&[("FIELD", Align::Left), ("VALUE", Align::Left)]);
            for (name, value) in fields {
                let is_moment = name.ends_with("not_after") || name.ends_with("_at");
                let moment = Moment::read(value).filter(|_| is_moment);
                let shown = moment.map_or_else(|| text(value), Moment::shown);
                table.push(vec![name.as_str().into(), shown.into()]);
            }
            table.render()
        }
        other => text(other),
    }
}

/// Columns in the order in which people read them; what is not named here stands behind.
const ORDER: [&str; 15] = [
    "service",
    "listener",
    "cluster",
    "endpoint",
    "workload",
    "direction",
    "protocol",
    "mtls",
    "hosts",
    "match",
    "action",
    "balancer",
    "endpoints",
    "health",
    "circuit",
];
/// Columns that say where a row comes from stand last.
const LAST: [&str; 2] = ["identity", "source"];

fn rank(field: &str) -> usize {
    let known = ORDER.iter().position(|name| *name == field);
    let last = LAST.iter().position(|name| *name == field);
    known.or(last.map(|place| ORDER.len() + 1 + place)).unwrap_or(ORDER.len())
}

fn rows_table(rows: &[Value]) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for row in rows {
        // A column in which no row says anything is left out.
        let said = row.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        for name in said.map(|(name, _)| name.as_str()) {
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
    }
    fields.sort_by_key(|field| rank(field));
    let titles: Vec<String> =
        fields.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
    let columns: Vec<(&str, Align)> =
        titles.iter().map(|title| (title.as_str(), Align::Left)).collect();
    let mut table = Table::new(&columns);
    for row in rows {
        let cells: Vec<Cell> = fields.iter().map(|name| text(&row[*name]).into()).collect();
        table.push(cells);
    }
    table.render()
}

/// A value on one line.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let words = fields.iter().map(|(name, value)| format!("{name}={}", text(value)));
            words.collect::<Vec<_>>().join(" ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
