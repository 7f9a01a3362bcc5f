//! `weft why`.

use std::time::Duration;

use clap::Args;

const WHY_EXAMPLES: &str = "\
Sidecars remember the requests that failed or were slow: for a while, within bounds, and never a header, a query or a body. \
weft asks all of them, by way of every replica of the control plane, sets beside it what the configuration says, and tells what \
happened in order: intercepted, route, backends, identity, policy, attempts, outcome; whose fault it is, and what to do.

A request is named by its x-request-id, which answers to failed requests carry, or by its trace id. Where several hops failed, it is \
the innermost that is explained. Without a name, by who called what: the newest request that failed, else what the configuration \
would do with one. Without anything: a list of what failed lately.

Exit code 0: nothing is wrong. 3: something is, and it is said what. 1: it could not be found out.

Examples:
  weft why 6d5b6b9e-0b1c-4c5e-9a3e-2f6a4de2f0aa       the request that was answered with this x-request-id
  weft why 4bf92f3577b34da6a3ce929d0e0e4736           the trace
  weft why order payment --path /charge               the last of order's calls of payment that failed
  weft why --to payment -o json                       the last call of payment that failed, whoever made it
  weft why                                            what failed in the last fifteen minutes";

/// `weft why`.
#[derive(Clone, Debug, Args)]
#[command(after_help = WHY_EXAMPLES)]
pub(crate) struct WhyArgs {
    /// An x-request-id or a trace id; or, with TO, who called: a workload, `order` or `order.shop`
    #[arg(value_name = "ID|FROM")]
    pub(crate) what: Option<String>,
    /// What was called: a Service with or without its port, `payment` or `payment.shop:8080`
    #[arg(value_name = "TO", requires = "what", conflicts_with = "called")]
    pub(crate) to: Option<String>,
    /// What was called, whoever called it
    #[arg(long = "to", value_name = "SERVICE", conflicts_with = "what")]
    pub(crate) called: Option<String>,
    /// Only requests to this path and what is under it
    #[arg(long, value_name = "/PATH", value_parser = path)]
    pub(crate) path: Option<String>,
    /// Only requests with this method
    #[arg(long, value_name = "METHOD", value_parser = method)]
    pub(crate) method: Option<String>,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = since)]
    pub(crate) since: Duration,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: super::PlaceArgs,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// One request or trace.
    Id(String),
    /// Who called what; `None` is anybody.
    Edge(Option<String>, String),
    /// Whatever failed.
    Lately,
}

impl WhyArgs {
    /// What is asked.
    pub(crate) fn asked(&self) -> Asked {
        match (&self.what, &self.to, &self.called) {
            (Some(from), Some(to), _) => Asked::Edge(Some(from.clone()), to.clone()),
            (Some(id), None, _) => Asked::Id(id.clone()),
            (None, _, Some(to)) => Asked::Edge(None, to.clone()),
            (None, _, None) => Asked::Lately,
        }
    }
}

pub(super) fn path(text: &str) -> Result<String, String> {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(format!("`{text}` is no path: it begins with /")),
    }
}

pub(super) fn method(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') {
        true => Ok(text.to_ascii_uppercase()),
        false => Err(format!("`{text}` is no method")),
    }
}

fn since(text: &str) -> Result<Duration, String> {
    let since = super::duration(text)?;
    match since.as_secs() {
        1..=86_400 => Ok(since),
        _ => Err("sidecars are asked for the last 1s to 24h".to_owned()),
    }
}
