//! A real Prometheus, as Debian packs it, that scrapes what a test runs by the configuration, rules and alerts that Weft
//! ships: only the times are shorter, and the targets the test's.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{Output, Process, Program, eventually, get, loud, run};

/// Until it answers, on a busy machine.
const UP: Duration = Duration::from_secs(180);
/// Of one call of promtool.
const PROMTOOL: Duration = Duration::from_secs(300);

/// A running Prometheus. Ends with the value.
#[derive(Debug)]
pub(crate) struct Prometheus {
    // Order: the process before its data.
    _process: Process,
    address: SocketAddr,
    _directory: TempDir,
}

/// One series of an instant query.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value.
    pub(crate) value: f64,
}

/// A file of `k8s/`.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s").join(name)
}

/// `promtool` with these arguments; `None` where it is not installed, which is then said.
pub(crate) async fn promtool(args: &[&str]) -> Option<Output> {
    let path = installed("promtool")?;
    let program = Program {
        name: format!("promtool {}", args.join(" ")),
        path,
        args: args.iter().map(Into::into).collect(),
        variables: Vec::new(),
        log: PathBuf::new(),
    };
    Some(run(&program, PROMTOOL).await)
}

/// The same with a file as its standard input.
pub(crate) async fn promtool_on(input: &Path, args: &[&str]) -> Option<Output> {
    let path = installed("promtool")?;
    let line = format!("exec {} {} <{}", path.display(), args.join(" "), input.display());
    let program = Program {
        name: format!("promtool {}", args.join(" ")),
        path: "/bin/sh".into(),
        args: vec!["-c".into(), line.into()],
        variables: Vec::new(),
        log: PathBuf::new(),
    };
    Some(run(&program, PROMTOOL).await)
}

/// Copies the rules, and this configuration of `k8s/prometheus`, changed, into a directory; returns its path there.
pub(crate) fn checked_config(
    directory: &Path,
    name: &str,
    change: impl Fn(&str) -> String,
) -> Result<PathBuf> {
    for rules in ["rules.yaml", "alerts.yaml"] {
        fs::copy(shipped("prometheus").join(rules), directory.join(rules))?;
    }
    let text = fs::read_to_string(shipped("prometheus").join(name))?;
    let path = directory.join(name);
    fs::write(&path, change(&text))?;
    Ok(path)
}

impl Prometheus {
    /// One that scrapes these targets (as in `k8s/prometheus/local-targets.yaml`) once a second by
    /// `k8s/prometheus/local.yaml`. `None` where Prometheus is not installed, which is then said.
    pub(crate) async fn local(address: SocketAddr, targets: &str) -> Option<Self> {
        Self::start(address, "local.yaml", |text| text.replace(": 5s", ": 1s"), targets).await
    }

    /// The same by another configuration, changed.
    pub(crate) async fn start(
        address: SocketAddr,
        config: &str,
        change: impl Fn(&str) -> String,
        targets: &str,
    ) -> Option<Self> {
        let path = installed("prometheus")?;
        let started = Self::spawn(path, address, (config, &change), targets);
        let this = started.expect("it can be started");
        eventually("Prometheus is ready", UP, async || {
            let answer = get(address, "/-/ready").await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await;
        Some(this)
    }

    fn spawn(
        path: PathBuf,
        address: SocketAddr,
        (config, change): (&str, &dyn Fn(&str) -> String),
        targets: &str,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("weft-prometheus-").tempdir()?;
        let at = |name: &str| directory.path().join(name);
        fs::write(at("local-targets.yaml"), targets)?;
        let config = checked_config(directory.path(), config, change)?;
        let args = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", at("data").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ];
        let process = Process::start(Program {
            name: "prometheus".to_owned(),
            path,
            args: args.map(Into::into).into(),
            variables: Vec::new(),
            log: at("log"),
        })?;
        Ok(Self { _process: process, address, _directory: directory })
    }

    /// An instant query.
    ///
    /// # Panics
    /// It is none.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let path = format!("/api/v1/query?query={}", percent(expression));
        let data = match self.ask(&path).await {
            Err(error) if error.to_string().contains("bad_data") => {
                panic!("{expression}: {error}")
            }
            answer => answer?,
        };
        if data["resultType"] == "scalar" {
            return Ok(vec![Sample {
                labels: BTreeMap::new(),
                value: number(&data["result"][1])?,
            }]);
        }
        let sample = |row: &Value| {
            let labels = serde_json::from_value(row["metric"].clone())?;
            Ok(Sample { labels, value: number(&row["value"][1])? })
        };
        data["result"].as_array().context("no vector")?.iter().map(sample).collect()
    }

    /// The sum of an instant query's values; 0 of none.
    pub(crate) async fn sum(&self, expression: &str) -> Result<f64> {
        Ok(self.query(expression).await?.iter().map(|sample| sample.value).sum())
    }

    /// `data` of what an endpoint of its API answers.
    pub(crate) async fn ask(&self, path: &str) -> Result<Value> {
        let answer = get(self.address, path).await?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        if answer["status"] != "success" {
            bail!("{path}: {}: {}", answer["errorType"], answer["error"]);
        }
        Ok(answer["data"].clone())
    }
}

fn number(value: &Value) -> Result<f64> {
    Ok(value.as_str().context("no number")?.parse()?)
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let written = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    written.collect()
}

/// Where a program of Debian's package `prometheus` is.
fn installed(program: &str) -> Option<PathBuf> {
    let found = Path::new("/usr/bin").join(program);
    if !found.exists() {
        loud(&format!("SKIPPED: no {program}; tests/run installs it (Debian: prometheus)"));
        return None;
    }
    Some(found)
}
