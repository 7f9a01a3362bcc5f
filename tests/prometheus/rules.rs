//! The shipped configuration, rules and alerts, as promtool judges them; and that each alert names a command that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Program, binary, promtool, run, shipped};

const DEADLINE: Duration = Duration::from_secs(20);

fn read(name: &str) -> Value {
    let text = fs::read_to_string(shipped("prometheus").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The alerts of the shipped file.
fn alerts() -> Vec<Value> {
    let file = read("alerts.yaml");
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn path(name: &str) -> String {
    shipped("prometheus").join(name).to_string_lossy().into_owned()
}

#[tokio::test]
async fn promtool_finds_nothing_wrong() {
    for args in [
        &["check", "config", &path("local.yaml")][..],
        &["check", "rules", &path("rules.yaml"), &path("alerts.yaml")],
        &["test", "rules", &path("alerts.test.yaml"), &path("alerts-days.test.yaml")],
    ] {
        let Some(output) = promtool(args).await else { return };
        assert_eq!(output.code, Some(0), "{args:?}: {output:#?}");
    }
}

#[test]
fn every_alert_is_tested() {
    let read = |name: &str| fs::read_to_string(shipped("prometheus").join(name)).unwrap();
    let tests = read("alerts.test.yaml") + &read("alerts-days.test.yaml");
    let untested = alerts().into_iter().filter_map(|alert| {
        let name = alert["alert"].as_str()?.to_owned();
        (!tests.contains(&format!("alertname=\"{name}\""))).then_some(name)
    });
    assert_eq!(untested.collect::<Vec<_>>(), Vec::<String>::new());
}

/// The commands in backquotes: `weft proxy-config endpoints WORKLOAD`, as far as the words are ours.
fn commands(runbook: &str) -> impl Iterator<Item = Vec<String>> {
    let quoted = runbook.split('`').skip(1).step_by(2);
    let typed = quoted.filter_map(|text| text.strip_prefix("weft "));
    typed.map(|text| {
        let words = text.split(' ').map(str::to_owned);
        words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect()
    })
}

#[tokio::test]
async fn every_alert_says_what_it_is_and_names_a_command_that_there_is() {
    let mut named = BTreeSet::new();
    for alert in alerts() {
        let text = |key: &str| alert["annotations"][key].as_str().unwrap_or_default().to_owned();
        assert!(!text("summary").is_empty(), "{alert}");
        assert!(alert["labels"]["severity"].is_string(), "{alert}");
        let before = named.len();
        named.extend(commands(&text("runbook")));
        assert!(named.len() > before || commands(&text("runbook")).next().is_some(), "{alert}");
    }
    for words in named {
        let program = Program {
            name: format!("weft {}", words.join(" ")),
            path: binary("weft"),
            args: words.iter().map(Into::into).chain(["--help".into()]).collect(),
            variables: Vec::new(),
            log: PathBuf::new(),
        };
        let output = run(&program, DEADLINE).await;
        assert_eq!(output.code, Some(0), "{words:?}: {output:#?}");
    }
}
