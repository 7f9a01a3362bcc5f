//! How one object stands, by the status that it has. Pure.

use serde_json::Value;

use super::manifests::is_service;

/// Whose entries on a route are read.
const CONTROLLER: &str = "weft.dev/mesh";
/// What must be true of the present generation.
const NEEDED: [&str; 2] = ["Accepted", "weft.dev/Programmed"];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The cluster has no such object.
    Absent,
    /// It is in force, and who runs it.
    Good(String),
    /// It is not, for these reasons.
    Open(Vec<String>),
}

impl Standing {
    pub(super) fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    /// In words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Absent => "the cluster has no such object; apply it first".to_owned(),
            Self::Good(text) => text.clone(),
            Self::Open(reasons) => reasons.join("; "),
        }
    }
}

/// Judges an object as the API server has it.
pub(super) fn standing(kind: &str, object: &Value) -> Standing {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    if !kind.ends_with("Route") {
        return sum([(String::new(), &object["status"]["conditions"])].into_iter(), generation);
    }
    let parents = object["spec"]["parentRefs"].as_array().into_iter().flatten();
    let parents = parents.filter(|parent| is_service(parent));
    let entries = object["status"]["parents"].as_array().map_or(&[][..], Vec::as_slice);
    let conditions = parents.map(|parent| {
        let ours = |entry: &&Value| {
            entry["controllerName"] == CONTROLLER && is_same(&entry["parentRef"], parent)
        };
        let found = entries.iter().find(ours);
        (shown(parent), found.map_or(&Value::Null, |entry| &entry["conditions"]))
    });
    sum(conditions, generation)
}

/// All must be good; what is said of several in the same words is said once.
fn sum<'a>(all: impl Iterator<Item = (String, &'a Value)>, generation: i64) -> Standing {
    let (mut good, mut open): (Vec<String>, Vec<String>) = Default::default();
    for (of, conditions) in all {
        match judge(conditions, generation) {
            Ok(text) if !good.contains(&text) => good.push(text),
            Ok(_) => {}
            Err(text) => {
                let text = if of.is_empty() { text } else { format!("{of}: {text}") };
                open.push(text);
            }
        }
    }
    match (open.is_empty(), good.is_empty()) {
        (false, _) => Standing::Open(open),
        (true, false) => Standing::Good(good.join("; ")),
        (true, true) => Standing::Good("no parent is a Service".to_owned()),
    }
}

fn judge(conditions: &Value, generation: i64) -> Result<String, String> {
    let mut last = String::new();
    for kind in NEEDED {
        let found = conditions.as_array().into_iter().flatten().find(|one| one["type"] == kind);
        let Some(found) = found else {
            return Err("the control plane has not written a status yet".to_owned());
        };
        let text = |field: &str| found[field].as_str().unwrap_or_default();
        if found["observedGeneration"].as_i64() != Some(generation) {
            let partly = conditions.as_array().into_iter().flatten();
            let mut partly = partly.filter(|one| one["type"] == "PartiallyInvalid");
            return Err(match partly.next().and_then(|one| one["message"].as_str()) {
                Some(message) => format!("PartiallyInvalid: {message}"),
                None => format!("the status is not of generation {generation} yet"),
            });
        }
        if text("status") != "True" {
            return Err(format!(
                "{kind} is {} ({}): {}",
                text("status"),
                text("reason"),
                text("message")
            ));
        }
        last = text("message").to_owned();
    }
    Ok(last)
}

/// Is the entry about that parent? A namespace may be left out on either side.
fn is_same(entry: &Value, parent: &Value) -> bool {
    let same = |field: &str| entry[field] == parent[field];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let namespace = text(&entry["namespace"]).zip(text(&parent["namespace"]));
    ["name", "sectionName", "port"].into_iter().all(same)
        && is_service(entry)
        && namespace.is_none_or(|(entry, parent)| entry == parent)
}

fn shown(parent: &Value) -> String {
    let name = parent["name"].as_str().unwrap_or_default();
    match parent["port"].as_i64() {
        Some(port) => format!("Service {name} port {port}"),
        None => format!("Service {name}"),
    }
}

#[cfg(test)]
mod tests;
